/**
 * What stacd does when a discovery controller says by mistake that what is connected is gone. In
 * order, on the same connections.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { addKeptNamespace, keptBlock, mountKept } from './kept-namespace.ts';
import {
  entries,
  identity,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

const COUNT = 6;
const ALL = entries(COUNT);
const MANAGEMENT = '[I/O controller connection management]\n';

describe('a log that no longer lists what is connected', () => {
  let here: Lab;
  let before: readonly KernelView[];
  let block: string;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(COUNT) });
    await addKeptNamespace(here.machine);
    await here.addDc({ entries: ALL });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd stacd');
    before = await allConnected();
    const first = before.find(({ subsysnqn }) => subsysnqn === subsystemNqn(0));
    block = await keptBlock(here.machine, first?.device ?? '');
  });

  function allConnected(): Promise<readonly KernelView[]> {
    return here.kernelUntil('all', (all) => liveIo(all).length === COUNT);
  }

  async function sameAsBefore(): Promise<void> {
    const now = await here.kernel();
    const names = (all: readonly KernelView[]): readonly string[] =>
      liveIo(all).map(identity).sort();
    expect(names(now)).toEqual(names(before));
  }

  async function lists(...listed: readonly (typeof ALL)[number][]): Promise<void> {
    await here.dc({ op: 'set-entries', entries: listed });
  }

  /** When it was said for the nth time, seconds of the day. */
  async function said(what: RegExp, times = 1): Promise<number> {
    const lines = async (): Promise<readonly string[]> =>
      (await here.journal('stacd')).split('\n').filter((line) => what.test(line));
    await expect
      .poll(async () => (await lines()).length, { timeout: 120_000, interval: 500 })
      .toBe(times);
    const at = (await lines()).at(-1) ?? '';
    const [, hours, minutes, seconds] = / ([0-9]+):([0-9]+):([0-9.]+) /.exec(at) ?? [];
    return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  }

  it('takes away nothing that is mounted, though its own sandbox hides the place', async () => {
    await mountKept(here.machine, block, '/home/somebody/data');
    // Its sandbox unmounts what there is in /home when it is made.
    await here.systemctl('restart stacd');
    await lists(...ALL.slice(1));
    await said(/Held back: 1 of 6 connections/);
    await said(
      /Held back: its discovery controller .*; but \S+: mounted at \/home\/somebody\/data/,
    );
    await sameAsBefore();
  });

  it('takes no swap space away, and nothing at all when it empties the log', async () => {
    await lists(...ALL);
    await said(/No longer to be dropped: 1/);
    await here.machine.sh(`umount /dev/${block}; mkswap /dev/${block}; swapon /dev/${block}`);
    await lists(...ALL.slice(1));
    await said(/Held back: its discovery controller .*; but \S+: swap/);
    await lists();
    await said(/Held back: 5 of 6 connections/);
    await sameAsBefore();
    await lists(...ALL);
    await said(/No longer to be dropped: 6/);
    await here.machine.sh(`swapoff /dev/${block}`);
    await sameAsBefore();
  });

  it('drops it all when the log was read so again, 30 s later', async () => {
    await lists();
    const held = await said(/Held back: 6 of 6 connections/);
    await sameAsBefore();
    await here.kernelUntil('none', (all) => liveIo(all).length === 0);
    const confirmed = await said(/Confirmed: 6/);
    // Unless it was midnight.
    expect((confirmed - held + 86_400) % 86_400).toBeGreaterThanOrEqual(30);
  });

  it('drops at once what an exclude names, and everything where there is no limit', async () => {
    await lists(...ALL);
    await allConnected();
    await here.configure('stacd', '[Controllers]\nexclude = transport=tcp\n');
    await here.systemctl('reload stacd');
    await here.kernelUntil('none', (all) => liveIo(all).length === 0);
    await here.configure('stacd', `${MANAGEMENT}disconnect-limit = 100%\n`);
    await here.systemctl('reload stacd');
    await allConnected();
    await lists();
    await here.kernelUntil('none', (all) => liveIo(all).length === 0);
    // Nothing new.
    await said(/Held back: [0-9]+ of/, 4);
    await said(/Confirmed/);
  });
});
