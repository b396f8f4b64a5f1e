import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { expectIntrospection, expectPolicy } from './bus-contract.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { expectMetrics, expectTextfiles, historyOf } from './operators.ts';
import { lab } from './vitest-lab.ts';

describe('the main job', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
  });

  it('finds a configured discovery controller over IPv4, connects what it lists, and is on the bus as its contract says', async () => {
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(1) });
    await here.addDc({ entries: entries(1) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil(
      'one discovery and one I/O controller',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    expect(liveIo(kernel)[0]?.subsysnqn).toBe(subsystemNqn(0));
    const [dc] = await here.list('stafctl');
    expect(dc).toMatchObject({
      transport: 'tcp',
      traddr: '127.0.0.1',
      trsvcid: '8009',
      device: liveDc(kernel)[0]?.device,
      connected: 'True',
      origin: 'configured',
    });
    const [ioc] = await here.listUntil('stacctl', (all) => all[0]?.['connected'] === 'True');
    expect(ioc).toMatchObject({
      traddr: '127.0.0.1',
      trsvcid: '4420',
      subsysnqn: subsystemNqn(0),
      device: liveIo(kernel)[0]?.device,
    });
    await expectIntrospection(here);
    await expectPolicy(here);
  });

  it('does the same over IPv6', async () => {
    await here.targets({
      ports: [{ id: 1, transport: 'tcp', address: '::1', service: '4420' }],
      subsystems: subsystems(1),
    });
    await here.addDc({ listen: [{ address: '::1', port: 8009 }], entries: entries(1, '::1') });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=::1'));
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil(
      'one discovery and one I/O controller',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    expect(liveIo(kernel)[0]?.address).toContain('traddr=::1');
  });

  it("follows the kernel target's own discovery controller, by its name, beside one without address", async () => {
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.configure(
      'stafd',
      stafdConf(
        'transport=tcp;traddr=nowhere.invalid',
        'transport=tcp;traddr=localhost;trsvcid=4420',
      ),
    );
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil('both', (all) => liveIo(all).length === 2);
    expect(new Set(liveIo(kernel).map(({ subsysnqn }) => subsysnqn))).toEqual(
      new Set([subsystemNqn(0), subsystemNqn(1)]),
    );
  });

  it('connects a subsystem that an event announces, and drops one that the log no longer lists', async () => {
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(3) });
    await here.addDc({ entries: entries(2) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd stacd');
    const before = await here.kernelUntil('two', (all) => liveIo(all).length === 2);

    await here.dc({ op: 'add-entries', entries: entries(1, '127.0.0.1', 2) });
    const added = await here.kernelUntil('three', (all) => liveIo(all).length === 3);
    expect(liveIo(added).map(({ subsysnqn }) => subsysnqn)).toContain(subsystemNqn(2));

    await here.dc({ op: 'remove-entries', ids: ['s0'] });
    const removed = await here.kernelUntil('two again', (all) => liveIo(all).length === 2);
    expect(liveIo(removed).map(({ subsysnqn }) => subsysnqn)).not.toContain(subsystemNqn(0));
    // The one that stayed in the log was not touched.
    const kept = (all: typeof before) =>
      liveIo(all).find(({ subsysnqn }) => subsysnqn === subsystemNqn(1))?.inode;
    expect(kept(removed)).toBe(kept(before));

    // What is counted is what the kernel has had.
    await expectMetrics(here, 'stacd', {
      'controllers{state="connected"}': 2,
      'connects_total{how="made"}': 3,
      'connects_total{how="taken-over"}': 0,
      disconnects_total: 1,
      // Of the third, which an event announced.
      event_to_connected_seconds_count: 1,
      stafd_answers: 1,
    });
    await expectMetrics(here, 'stafd', {
      'controllers{state="connected"}': 1,
      'connects_total{how="made"}': 1,
      log_page_events_total: 2,
      log_page_fetches_total: 3,
      event_to_log_read_seconds_count: 2,
    });
    const found = ['Added', 'Connection established'];
    const gone = ['Removed', 'Disconnect initiated', 'Disconnected'];
    expect(await historyOf(here, subsystemNqn(0))).toEqual([...found, ...gone]);
    expect(await historyOf(here, subsystemNqn(2))).toEqual(found);
    await expectTextfiles(here);
  });

  it("connects each of a subsystem's paths once, by whatever interfaces, logs and lines it is found", async () => {
    const target = '198.51.100.9';
    const links = { 'e2e-a': '198.51.100.1', 'e2e-b': '203.0.113.1' } as const;
    onTestFinished(async () => {
      // A connection whose interface is gone takes long to end.
      await here.machine.exec('systemctl stop stafd stacd; nvme disconnect-all', {
        timeoutMs: 180_000,
      });
      for (const link of Object.keys(links)) await here.machine.exec(`ip link delete ${link}`);
    });
    // The address of the target is on both links: which one a packet takes is the host's choice.
    await here.machine.sh(
      Object.entries(links)
        .map(
          ([link, own]) =>
            `ip link add ${link} type dummy; ip link set ${link} up; ip address add ${own}/24 dev ${link}; ip address add ${target}/32 dev ${link}`,
        )
        .join('\n'),
    );
    const ports = ['4420', '4421'];
    await here.targets({
      ports: ports.map((service, index) => ({
        ...{ id: index + 1, transport: 'tcp', address: '0.0.0.0', service },
      })),
      subsystems: subsystems(1, [1, 2]),
    });
    /** All of them, and the first one twice. */
    const log = [...ports, '4420'].map((trsvcid, index) => ({
      ...entries(1, target)[0],
      ...{ id: `path${String(index)}`, portid: index, trsvcid },
    }));
    for (const port of [8009, 8010]) {
      const listen = [{ address: '0.0.0.0', port }];
      await here.addDc({ name: String(port), listen, entries: log });
    }
    const via = (link: keyof typeof links): string =>
      `host-iface=${link};host-traddr=${links[link]}`;
    const dc = (port: number, link: keyof typeof links): string =>
      `transport=tcp;traddr=${target};trsvcid=${String(port)};${via(link)}`;
    await here.configure(
      'stafd',
      stafdConf(dc(8009, 'e2e-a'), dc(8009, 'e2e-b'), dc(8010, 'e2e-a')),
    );
    await here.configure(
      'stacd',
      `[Controllers]\ncontroller = transport=tcp;traddr=${target};trsvcid=4420;nqn=${subsystemNqn(0)};${via('e2e-a')}\n`,
    );
    await here.systemctl('start stafd stacd');

    const paths = (all: readonly KernelView[]): readonly string[] =>
      liveIo(all)
        .map(({ address }) => /trsvcid=(\d+).*host_iface=([^,]+)/.exec(address ?? '')?.slice(1))
        .map((path) => path?.join(' ') ?? '?')
        .sort();
    const pathsUntil = (...wanted: readonly string[]): Promise<readonly KernelView[]> =>
      here.kernelUntil(wanted.join(), (all) => paths(all).join() === wanted.join());
    await here.kernelUntil('three DCs', (all) => liveDc(all).length === 3);
    const four = await pathsUntil('4420 e2e-a', '4420 e2e-b', '4421 e2e-a', '4421 e2e-b');
    await here.listUntil(
      'stacctl',
      (all) => all.length === 4 && all.every(({ connected }) => connected === 'True'),
    );
    // One log more or less makes no difference while another lists the same.
    await here.dc({ op: 'set-entries', controller: '8010', entries: [] });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(liveIo(await here.kernel()).map(identity)).toEqual(liveIo(four).map(identity));
    await here.dc({ op: 'remove-entries', controller: '8009', ids: ['path1', 'path2'] });
    await pathsUntil('4420 e2e-a', '4420 e2e-b');
    // What is configured needs no log.
    await here.dc({ op: 'set-entries', controller: '8009', entries: [] });
    const [last] = liveIo(await pathsUntil('4420 e2e-a'));
    expect(liveIo(four).map(identity)).toContain(last && identity(last));
  });

  it('registers with a DDC once, asks for the supported log pages, and then for the log', async () => {
    await here.addDc({ dctype: 'ddc', pleo: true, entries: [] });
    await here.machine.sh('stasadm set-symname lab-host');
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd');
    await here.dc({ op: 'wait-commands', command: 'get-log-page', lid: 0x70, count: 2 });
    // What follows a connect comes within moments: nothing more may come of the same one.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const { commands } = (await here.dc({ op: 'get-commands' })) as {
      commands: readonly Record<string, unknown>[];
    };
    const names = commands.map(({ command }) => command);
    expect(names.filter((name) => name === 'dim')).toHaveLength(1);
    expect(JSON.stringify(commands.find(({ command }) => command === 'dim'))).toContain('lab-host');
    const pages = commands.filter(({ command }) => command === 'get-log-page');
    expect(pages[0]).toMatchObject({ lid: 0 });
    expect(pages.slice(1).every(({ lid }) => lid === 0x70)).toBe(true);
  });
});
