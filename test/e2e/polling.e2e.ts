import { beforeAll, describe, expect, it } from 'vitest';
import {
  commandsOf,
  dcLine,
  dcPorts,
  knownDcs,
  WELL_KNOWN_NQN,
  type DcCommand,
} from './discovery-kit.ts';
import {
  entries,
  identity,
  liveIo,
  LOCAL_PORT,
  PATIENCE_MS,
  stafdConf,
  subsystems,
  type Dict,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

function ownEntry(port: number, ...eflags: readonly string[]): DcCommand {
  const address = { traddr: '127.0.0.1', trsvcid: String(port), subnqn: WELL_KNOWN_NQN };
  return { id: 'own', subtype: 'discovery', eflags, ...address };
}

function conf(persistent: 'auto' | 'true' | 'false', interval = ''): string {
  return `[Discovery controller connection management]\npersistent-connections = ${persistent}\n${interval}\n${stafdConf(dcLine(8009), dcLine(8010))}`;
}

// In order: the DC on 8009 says that it keeps no persistent connections, that on 8010 that it does.
describe('discovery controllers that keep no persistent connections', () => {
  let here: Lab;
  let before: readonly KernelView[];

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(3) });
    await here.addDc({
      name: '8009',
      dctype: 'ddc',
      entries: [ownEntry(8009), ...entries(2)],
    });
    await here.addDc({
      name: '8010',
      listen: [{ address: '127.0.0.1', port: 8010 }],
      entries: [ownEntry(8010, 'epcsd'), ...entries(1, '127.0.0.1', 2)],
    });
    await here.configure('stafd', conf('auto', 'poll-interval = 5s'));
    await here.systemctl('start stafd stacd');
    before = await here.kernelUntil('what both list', (all) => liveIo(all).length === 3);
    await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
  });

  const io = (all: readonly KernelView[]): readonly string[] => liveIo(all).map(identity).sort();

  it('are connected, registered with, read and disconnected, again and again, and nobody else hears of it', async () => {
    await commandsOf(here, { controller: '8009' });
    await here.dc({
      op: 'wait-commands',
      controller: '8009',
      command: 'close',
      count: 2,
      timeoutMs: PATIENCE_MS,
    });
    const commands = await commandsOf(here, { controller: '8009' });
    const steps = commands.flatMap(({ command, lid }) => {
      const name = String(command);
      if (name === 'get-log-page') return [lid === 0 ? 'support' : 'log'];
      return ['connect', 'dim', 'close'].includes(name) ? [name] : [];
    });
    const seen = steps.filter((name, index) => name !== steps[index - 1]).join(' ');
    expect(seen).toContain('close connect dim support log close');
    const after = await here.kernel();
    expect(dcPorts(after)).toContain('8010');
    expect(io(after)).toEqual(io(before));
    expect((await knownDcs(here)).get('8009')?.log).toMatchObject({ state: 'known', fresh: true });
  });

  it('have what they list followed', async () => {
    await here.dc({ op: 'remove-entries', controller: '8009', ids: ['s0'] });
    const after = await here.kernelUntil('one less', (all) => liveIo(all).length === 2);
    expect(io(before)).toEqual(expect.arrayContaining([...io(after)]));
    before = after;
  });

  it('are polled every quarter of an hour, at once by a reload, and shown as they are', async () => {
    const rests = (all: readonly Dict[]): boolean =>
      all.some(
        (each) =>
          each['trsvcid'] === '8009' &&
          each['device'] === 'nvme?' &&
          each['connected'] === 'False' &&
          each['poll timer']?.startsWith('900.0s') === true,
      );
    await here.configure('stafd', conf('auto'));
    await here.systemctl('reload stafd');
    await here.listUntil('stafctl', rests);
    await expect
      .poll(() => here.machine.sh('stafctl ls'), { timeout: PATIENCE_MS })
      .toMatch(/next poll in 1[0-4] min/);
    await commandsOf(here, { controller: '8009' });
    await here.systemctl('reload stafd');
    await here.dc({
      op: 'wait-commands',
      controller: '8009',
      command: 'close',
      timeoutMs: PATIENCE_MS,
    });
    await here.listUntil('stafctl', rests);
    expect(dcPorts(await here.kernel())).toEqual(['8010']);
  });

  it('are polled by a new stafd, which remembers them, and left unconnected by a stop', async () => {
    await here.systemctl('restart stafd');
    await here.listUntil('stafctl', (all) => all.some((each) => each['poll timer'] !== undefined));
    await here.systemctl('stop stafd');
    const after = await here.kernel();
    expect(dcPorts(after)).toEqual(['8010']);
    expect(io(after)).toEqual(io(before));
  });

  it('are held if connections are to persist or to end with stafd', async () => {
    await here.configure('stafd', conf('true'));
    await here.systemctl('start stafd');
    const both = (all: readonly KernelView[]): boolean => dcPorts(all).join() === '8009,8010';
    await here.kernelUntil('both held', both);
    await here.listUntil('stafctl', (all) =>
      all.every((each) => each['poll timer'] === undefined && each['connected'] === 'True'),
    );
    await here.configure('stafd', conf('false'));
    await commandsOf(here, { controller: '8009' });
    await here.systemctl('reload stafd');
    await here.dc({
      op: 'wait-commands',
      controller: '8009',
      command: 'get-log-page',
      lid: 0x70,
      timeoutMs: PATIENCE_MS,
    });
    expect(both(await here.kernel())).toBe(true);
    await here.systemctl('stop stafd');
    const after = await here.kernel();
    expect(dcPorts(after)).toEqual([]);
    expect(io(after)).toEqual(io(before));
  });
});
