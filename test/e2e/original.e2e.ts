/**
 * The Python original beside our daemons: its commands and its stacd with ours, its stafd with our
 * stacd. In order, on the same targets.
 */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ConnectionWatch } from './connection-watch.ts';
import { WELL_KNOWN_NQN } from './discovery-kit.ts';
import {
  entries,
  identity,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type Dict,
  type KernelView,
  type Lab,
} from './lab.ts';
import { originalCommands, originalLogs, startOriginal, stopOriginal } from './original-kit.ts';
import { lab } from './vitest-lab.ts';

const COUNT = 3;
const CONFIGURATION = stafdConf('transport=tcp;traddr=127.0.0.1');

describe('the Python original', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(COUNT + 1) });
    await here.addDc({ entries: entries(COUNT) });
    await here.configure('stafd', CONFIGURATION);
    await here.systemctl('start stafd stacd');
    await allKnown();
  });

  /** Whoever's stacd it is. */
  function allKnown(): Promise<readonly Dict[]> {
    return here.listUntil(
      'stacctl',
      (all) => all.length === COUNT && all.every(({ connected }) => connected === 'True'),
    );
  }

  function connected(count: number): Promise<readonly KernelView[]> {
    return here.kernelUntil(`${String(count)} of them`, (all) => liveIo(all).length === count);
  }

  async function lists(count: number): Promise<void> {
    await here.dc({ op: 'set-entries', entries: entries(count) });
  }

  it('has commands that show what our daemons have, and set it', async () => {
    const [dcs, iocs] = [await here.listUntil('stafctl', () => true), await allKnown()];
    const commands = await originalCommands(here, [
      ...['stafctl ls', 'stafctl ls -d', 'stafctl adlp', 'stafctl adlp -d', 'stafctl status'],
      ...['stafctl dlp -a 127.0.0.1 -s 8009', 'stafctl dlp -a 127.0.0.1 -s 8010'],
      ...['stacctl ls', 'stacctl ls -d', 'stacctl tron', 'stacctl status', 'stacctl troff'],
      ...['stafctl tron', 'stafctl troff', 'stafctl nonsense'],
    ]);
    const printed = (command: string): unknown => commands.get(command)?.printed;
    const failed = [...commands].filter(([, { status }]) => status !== 0);
    expect(failed.map(([command, { status }]) => [command, status])).toEqual([
      ['stafctl nonsense', 2],
    ]);

    const dc = {
      transport: 'tcp',
      traddr: '127.0.0.1',
      trsvcid: '8009',
      subsysnqn: WELL_KNOWN_NQN,
    };
    expect(dcs).toMatchObject([{ ...dc, connected: 'True', origin: 'configured' }]);
    expect(printed('stafctl ls -d')).toEqual(dcs);
    expect(printed('stafctl ls')).toMatchObject([dc]);
    const pages = entries(COUNT).map(({ subnqn, traddr, trsvcid }) => ({
      ...{ subnqn, traddr, trsvcid },
      subtype: 'nvme',
    }));
    expect(printed('stafctl dlp -a 127.0.0.1 -s 8009')).toMatchObject(pages);
    expect(printed('stafctl dlp -a 127.0.0.1 -s 8010')).toEqual([]);
    expect(printed('stafctl adlp')).toMatchObject([
      { 'discovery-controller': dc, 'log-pages': pages },
    ]);
    expect(printed('stafctl adlp -d')).toMatchObject([
      { 'discovery-controller': dcs[0], 'log-pages': pages },
    ]);
    expect(printed('stafctl status')).toMatchObject({
      tron: false,
      controllers: [{ ...dcs[0], log_pages: pages }],
    });
    expect(printed('stafctl tron')).toBe('tron = True\n');
    expect(printed('stafctl troff')).toBe('tron = False\n');

    expect(iocs.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(
      entries(COUNT).map(({ subnqn }) => subnqn),
    );
    expect(printed('stacctl ls -d')).toEqual(iocs);
    const names = iocs.map(({ device, subsysnqn }) => ({ device, subsysnqn }));
    expect(printed('stacctl ls')).toMatchObject(names);
    expect(printed('stacctl status')).toMatchObject({ tron: true, controllers: iocs });
  });

  it('has a stacd that connects what our stafd finds, and drops what is gone', async () => {
    const before = liveIo(await connected(COUNT)).map(identity);
    await here.systemctl('stop stacd');
    const alone = await originalCommands(here, ['stacctl ls']);
    expect(alone.get('stacctl ls')?.status).toBe(1);
    const unit = await startOriginal(here, 'stacd', '');
    onTestFinished(() => stopOriginal(here, unit));
    await allKnown();
    await lists(COUNT + 1);
    const more = liveIo(await connected(COUNT + 1)).map(identity);
    expect(more).toEqual(expect.arrayContaining(before));
    await lists(COUNT - 1);
    await connected(COUNT - 1);
    await here.configure('stafd', stafdConf());
    await here.systemctl('reload stafd');
    await connected(0);
  });

  it('has a stafd that cannot say that it does not know: our stacd believes it after 30 s', async () => {
    await here.systemctl('stop stafd');
    await lists(COUNT);
    await here.systemctl('start stacd');
    const unit = await startOriginal(here, 'stafd', CONFIGURATION, 'Restart=on-failure');
    onTestFinished(() => stopOriginal(here, unit));
    await originalLogs(here, [COUNT]);
    await allKnown();
    const before = liveIo(await here.kernel());
    const staying = before.filter(({ subsysnqn }) => subsysnqn !== subsystemNqn(COUNT - 1));
    const watch = await ConnectionWatch.start(here, staying);
    onTestFinished(() => watch.stop());
    const { io, sockets } = await watch.take();

    // Killed and started again, it remembers nothing, and cannot read the log for now.
    await here.dc({
      op: 'add-fault',
      fault: { command: 'get-log-page', lid: 0x70, delayMs: 600_000 },
    });
    await here.machine.sh(`systemctl kill -s KILL ${unit}`);
    await originalLogs(here, [0]);
    // Time for a wrong decision to be made and carried out.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const seen = await watch.take();
    expect(liveIo(await here.kernel()).map(identity)).toEqual(before.map(identity));
    expect(seen.sockets).toEqual(sockets);
    expect(seen.uevents.filter((line) => line.startsWith('remove '))).toEqual([]);
    for (const [index, { done, failed }] of seen.io.entries()) {
      expect(failed).toBe(0);
      expect(done).toBeGreaterThan(io[index]?.done ?? Infinity);
    }

    await here.dc({ op: 'clear-faults' });
    await here.dc({ op: 'end-delays' });
    await originalLogs(here, [COUNT]);
    const told = Date.now();
    await lists(COUNT - 1);
    const after = liveIo(await connected(COUNT - 1));
    expect(Date.now() - told).toBeGreaterThanOrEqual(30_000);
    expect(after.map(identity)).toEqual(staying.map(identity));
    expect((await watch.take()).io.map(({ failed }) => failed)).toEqual([0, 0]);
  });
});
