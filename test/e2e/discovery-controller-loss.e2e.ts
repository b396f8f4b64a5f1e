import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { dcAt, dcLine, knownDcs } from './discovery-kit.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

// In order: the kernel restores the connection to 8009 for minutes, that to 8010 for three seconds.
describe('a discovery controller that is lost', () => {
  let here: Lab;
  let before: readonly KernelView[];

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(5) });
    for (const [index, port] of [8009, 8010].entries()) {
      await here.addDc({
        name: String(port),
        listen: [{ address: '127.0.0.1', port }],
        entries: entries(1, '127.0.0.1', index),
      });
    }
    const lines = [dcLine(8009), dcLine(8010, 'ctrl-loss-tmo=3')];
    await here.configure('stafd', `[Global]\nreconnect-delay = 1\n${stafdConf(...lines)}`);
    await here.systemctl('start stafd stacd');
    before = await here.kernelUntil(
      'everything',
      (all) => liveDc(all).length === 2 && liveIo(all).length === 2,
    );
    await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
  });

  /** It goes away, and its log changes meanwhile. */
  async function lose(port: number, log: readonly Readonly<Record<string, unknown>>[]) {
    const controller = String(port);
    await here.dc({ op: 'unlisten', controller });
    await here.dc({ op: 'drop-connections', controller });
    await here.dc({ op: 'set-entries', controller, entries: log, aen: false });
  }

  /** stafd says what it last read, and stacd's connections are the same. */
  async function expectUndisturbed(port: number): Promise<void> {
    // Time for a wrong decision to be made and carried out.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const dc = (await knownDcs(here)).get(String(port));
    expect(dc?.log).toMatchObject({ state: 'known', fresh: true });
    expect(dc?.['log-pages']).toHaveLength(1);
    expect(io(await here.kernel())).toEqual(io(before));
  }

  const io = (all: readonly KernelView[]): readonly string[] => liveIo(all).map(identity).sort();

  it('keeps its entries, and is read again when the kernel has reconnected it', async () => {
    await lose(8009, [...entries(1), ...entries(1, '127.0.0.1', 2)]);
    await here.kernelUntil('its loss', (all) => dcAt(all, 8009) === undefined);
    await expectUndisturbed(8009);
    await here.dc({ op: 'listen', controller: '8009' });
    const after = await here.kernelUntil('what was added', (all) => liveIo(all).length === 3);
    // The device is the same: it was the kernel that reconnected.
    expect(dcAt(after, 8009)?.inode).toBe(dcAt(before, 8009)?.inode);
    expect(io(after)).toEqual(expect.arrayContaining([...io(before)]));
    before = after;
  });

  it('keeps its entries, and is connected and read again when the kernel has given it up', async () => {
    await lose(8010, entries(2, '127.0.0.1', 3));
    await here.kernelUntil('its removal', (all) =>
      all.every(({ address }) => !/trsvcid=8010\b/.test(address ?? '')),
    );
    await expectUndisturbed(8010);
    await here.dc({ op: 'listen', controller: '8010' });
    // Of the three before, the one that only its log listed goes; two come.
    const kept = (all: readonly KernelView[]): readonly string[] =>
      io(all).filter((each) => io(before).includes(each));
    const after = await here.kernelUntil(
      'what its log lists now',
      (all) => dcAt(all, 8010) !== undefined && liveIo(all).length === 4 && kept(all).length === 2,
    );
    expect(dcAt(after, 8010)?.inode).not.toBe(dcAt(before, 8010)?.inode);
    expect(dcAt(after, 8009)?.inode).toBe(dcAt(before, 8009)?.inode);
  });

  it('is connected at once when the address comes up that leads to it, whatever its next try is', async () => {
    await here.addDc({ name: '8011', listen: [{ address: '0.0.0.0', port: 8011 }] });
    await here.configure(
      'stafd',
      stafdConf(dcLine(8009), 'transport=tcp;traddr=198.51.100.1;trsvcid=8011'),
    );
    await here.systemctl('reload stafd');
    const nextTry = await nextTryAfter(15_000);
    const begun = Date.now();
    await here.machine.sh(
      'ip link add late0 type dummy && ip link set late0 up && ip address add 198.51.100.1/32 dev late0',
    );
    onTestFinished(async () => {
      await here.machine.sh('ip link del late0');
    });
    await here.kernelUntil('it', (all) => dcAt(all, 8011) !== undefined);
    expect(Date.now() - begun).toBeLessThan(nextTry);
  });

  /** In how many milliseconds the DC is tried again: more than these, for which it waits. */
  async function nextTryAfter(ms: number): Promise<number> {
    for (;;) {
      const text = await here.machine.sh('stafctl explain -o json 198.51.100.1');
      const [dc] = (JSON.parse(text) as { controllers: Record<string, unknown>[] }).controllers;
      const next = Number(dc?.['next-in-ms']);
      if (next > ms) return next;
    }
  }
});
