import { beforeAll, describe, expect, it } from 'vitest';
import {
  commandsOf,
  dcAt,
  dcLine,
  dcPorts,
  knownDcs,
  knownDcsUntil,
  referral,
} from './discovery-kit.ts';
import { entries, identity, liveIo, LOCAL_PORT, stafdConf, subsystems, type Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

const UNIQUE = 'nqn.2024-01.org.example:unique-dc';

// In order, on the same controllers: 8009 is configured, whatever else is there is referred to.
describe('referrals', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(1) });
    const dcs: readonly Readonly<Record<string, unknown>>[] = [
      {
        port: 8009,
        entries: [
          referral('self', 8009),
          referral('8010', 8010),
          referral('8012', 8012, UNIQUE),
          { id: 'rdma', subtype: 'referral', trtype: 'rdma', traddr: '127.0.0.1', trsvcid: '4420' },
          {
            id: 'fc',
            subtype: 'referral',
            trtype: 'fc',
            adrfam: 'fc',
            traddr: 'nn-0x1000000000000001:pn-0x2000000000000001',
            trsvcid: 'none',
          },
        ].map((entry) => ({ subnqn: 'nqn.2014-08.org.nvmexpress.discovery', ...entry })),
      },
      { port: 8010, entries: [referral('back', 8009), referral('8011', 8011)] },
      { port: 8011, entries: [referral('back', 8010), ...entries(1)] },
      { port: 8012, subnqn: UNIQUE, wellKnown: false, entries: [] },
    ];
    for (const { port, ...config } of dcs) {
      await here.addDc({
        name: String(port),
        listen: [{ address: '127.0.0.1', port }],
        ...config,
      });
    }
    await here.configure('stafd', stafdConf(dcLine(8009)));
    await here.systemctl('start stafd stacd');
  });

  it('are followed, each DC once, in circles and to itself, and one by its own NQN', async () => {
    const kernel = await here.kernelUntil(
      'four discovery controllers, and what the furthest lists',
      (all) => dcPorts(all).length === 4 && liveIo(all).length === 1,
    );
    expect(dcPorts(kernel)).toEqual(['8009', '8010', '8011', '8012']);
    expect(dcAt(kernel, 8012)?.subsysnqn).toBe(UNIQUE);
    const listed = await here.listUntil('stafctl', (all) => all.length === 6);
    const origins = listed.map(({ origin, transport, trsvcid }) => [transport, trsvcid, origin]);
    expect(origins.sort()).toEqual([
      ['fc', '', 'referral'],
      ['rdma', '4420', 'referral'],
      ['tcp', '8009', 'configured'],
      ['tcp', '8010', 'referral'],
      ['tcp', '8011', 'referral'],
      ['tcp', '8012', 'referral'],
    ]);
    for (const controller of ['8009', '8010', '8011']) {
      expect(await commandsOf(here, { controller, command: 'connect' })).toHaveLength(1);
    }
    // What the kernel cannot connect is tried again, and nothing else hears of it.
    const unreachable = listed.filter(({ transport }) => transport !== 'tcp');
    expect(unreachable.map(({ connected }) => connected)).toEqual(['False', 'False']);
  });

  it('become configured ones without a second connection, and stay when no log lists them', async () => {
    const before = await here.kernel();
    await here.configure(
      'stafd',
      stafdConf(dcLine(8009), dcLine(8010), dcLine(8012, `nqn=${UNIQUE}`)),
    );
    await here.systemctl('reload stafd');
    await here.listUntil(
      'stafctl',
      (all) => all.filter(({ origin }) => origin === 'configured').length === 3,
    );
    await here.dc({
      op: 'remove-entries',
      controller: '8009',
      ids: ['8010', '8012', 'rdma', 'fc'],
    });
    await here.listUntil('stafctl', (all) => all.length === 4);
    const after = await here.kernel();
    expect(after.map(identity).sort()).toEqual(before.map(identity).sort());
  });

  it('hold a DC that is no longer configured, and one connection serves both of its NQNs', async () => {
    const before = await here.kernel();
    await here.dc({
      op: 'add-entries',
      controller: '8009',
      entries: [referral('8010', 8010), referral('8012', 8012, UNIQUE)],
    });
    await here.dc({ op: 'set', controller: '8012', settings: { wellKnown: true } });
    await here.configure('stafd', stafdConf(dcLine(8009), dcLine(8012)));
    await here.systemctl('reload stafd');
    const listed = await here.listUntil(
      'stafctl',
      (all) =>
        all.filter(({ trsvcid, connected }) => trsvcid === '8012' && connected === 'True')
          .length === 2 &&
        all.some(({ trsvcid, origin }) => trsvcid === '8010' && origin === 'referral'),
    );
    const both = listed.filter(({ trsvcid }) => trsvcid === '8012');
    expect(new Set(both.map(({ device }) => device)).size).toBe(1);
    expect(both.map(({ origin }) => origin).sort()).toEqual(['configured', 'referral']);
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
  });

  it('are dropped with what they led to when the log drops them, though that refers back', async () => {
    const before = await here.kernel();
    await here.dc({ op: 'remove-entries', controller: '8009', ids: ['8010', '8012'] });
    const kernel = await here.kernelUntil(
      'two discovery controllers and no I/O controller',
      (all) => dcPorts(all).length === 2 && liveIo(all).length === 0,
    );
    expect(dcPorts(kernel)).toEqual(['8009', '8012']);
    for (const port of [8009, 8012]) {
      expect(dcAt(kernel, port)?.inode).toBe(dcAt(before, port)?.inode);
    }
    expect([...(await knownDcs(here)).keys()].sort()).toEqual(['8009', '8012']);
  });

  it('do not keep one another when their root leaves the configuration', async () => {
    await here.dc({ op: 'add-entries', controller: '8009', entries: [referral('8010', 8010)] });
    await here.kernelUntil('all again', (all) => dcPorts(all).length === 4);
    await knownDcsUntil(here, 'every log', (dcs) =>
      ['8009', '8010', '8011'].every((port) => dcs.get(port)?.log.state === 'known'),
    );
    await here.configure('stafd', stafdConf(dcLine(8012)));
    await here.systemctl('reload stafd');
    const kernel = await here.kernelUntil(
      'one discovery controller',
      (all) => dcPorts(all).length === 1 && liveIo(all).length === 0,
    );
    expect(dcPorts(kernel)).toEqual(['8012']);
  });
});
