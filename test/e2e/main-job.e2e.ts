import { beforeEach, describe, expect, it } from 'vitest';
import {
  entries,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

describe('the main job', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
  });

  it('finds a configured discovery controller over IPv4 and connects what it lists', async () => {
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

  it('connects sixty-four subsystems', { timeout: 300_000 }, async () => {
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(64) });
    await here.addDc({ entries: entries(64) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil('all', (all) => liveIo(all).length === 64, 240_000);
    expect(new Set(liveIo(kernel).map(({ subsysnqn }) => subsysnqn)).size).toBe(64);
    const listed = await here.listUntil('stacctl', (all) =>
      all.every(({ connected }) => connected === 'True'),
    );
    expect(listed).toHaveLength(64);
  });
});
