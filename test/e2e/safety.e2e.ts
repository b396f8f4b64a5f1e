import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConnectionWatch, type Happenings } from './connection-watch.ts';
import { knownDcs, knownDcsUntil } from './discovery-kit.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  PATIENCE_MS,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { installManyProbes, manyProbes, remains } from './many-probes.ts';
import { lab } from './vitest-lab.ts';

const COUNT = 64;
/** Those that have I/O all the time, and stay for the disturbances after the restarts. */
const FEW = 4;
const REMEMBERED = '/run/stafd/last-known-config.json';
const LOG = { command: 'get-log-page', lid: 0x70 };

/** In no log. */
const CONFIGURED = subsystemNqn(COUNT);

/** Entries that name a subsystem that is there, and that nobody may follow. */
const HOSTILE = [
  { subnqn: `${subsystemNqn(FEW)}\nforged line` },
  { trsvcid: '4420,reconnect_delay=33' },
  { subnqn: { hex: `${Buffer.from(subsystemNqn(FEW)).toString('hex')}ff` } },
  // This one is dropped without a word.
  { traddr: '0.0.0.0' },
].map((fields, index) => ({
  ...entries(1, '127.0.0.1', FEW)[0],
  id: `hostile${String(index)}`,
  ...fields,
}));

// In order, on the same connections: none of the disturbances may touch them, nor the I/O on them.
describe('sixty-four connections outlive the daemons', () => {
  let here: Lab;
  let watch: ConnectionWatch;
  /** What has to stay: the DC and the I/O controllers, and the host's ends of their TCP connections. */
  let before: readonly KernelView[];
  let sockets: readonly string[];
  let io: Happenings['io'];
  let connectedInMs: number;
  const restartedInMs: number[] = [];

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(COUNT + 1) });
    await here.addDc({ entries: entries(COUNT) });
    const dc = stafdConf('transport=tcp;traddr=127.0.0.1');
    await here.configure('stafd', `[Global]\nreconnect-delay = 1\n${dc}`);
    // What its removal brake holds back, removal-brake.e2e.ts shows.
    await here.configure(
      'stacd',
      '[I/O controller connection management]\ndisconnect-limit = 100\n',
    );
    const started = Date.now();
    await here.systemctl('start stafd stacd');
    before = await here.kernelUntil(
      'everything',
      (all) => liveDc(all).length === 1 && liveIo(all).length === COUNT,
      240_000,
    );
    await allListed();
    connectedInMs = Date.now() - started;
    const busy = entries(FEW).map(({ subnqn }) => subnqn);
    watch = await ConnectionWatch.start(
      here,
      liveIo(before).filter(({ subsysnqn }) => busy.includes(subsysnqn)),
    );
    ({ io, sockets } = await watch.take());
    expect(new Set(before.map(({ subsysnqn }) => subsysnqn)).size).toBe(COUNT + 1);
    // An admin queue and one or more I/O queues each.
    expect(sockets.length).toBeGreaterThanOrEqual(2 * COUNT);
  }, 600_000);

  afterAll(async () => {
    await watch.stop();
  });

  /** Both daemons have everything: stafd has read the log afresh, and stacd knows what it says. */
  async function allListed(): Promise<void> {
    await knownDcsUntil(here, 'a log that it has read itself', (dcs) => {
      const log = dcs.get('8009')?.log;
      return log?.state === 'known' && log.fresh;
    });
    await here.listUntil(
      'stacctl',
      (all) =>
        all.length === liveIo(before).length &&
        all.every(
          ({ connected, dlpe, subsysnqn }) =>
            connected === 'True' && (subsysnqn === CONFIGURED || (dlpe ?? '') !== ''),
        ),
    );
  }

  /**
   * Nothing was removed, connected anew or reconnected, and I/O went on; but for a device `except`,
   * whose uevents are returned.
   */
  async function expectSame(except?: string): Promise<readonly string[]> {
    // Time for a wrong decision to be made and carried out.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const [after, seen] = [await here.kernel(), await watch.take()];
    const same = (all: readonly KernelView[]): readonly string[] =>
      all
        .filter(({ device }) => device !== except)
        .map(identity)
        .sort();
    expect(same(after)).toEqual(same(before));
    expect(after.filter(({ device, state }) => device !== except && state !== 'live')).toEqual([]);
    expect(seen.sockets).toEqual(sockets);
    const ofOthers = (line: string): boolean =>
      except === undefined || !new RegExp(`\\b${except}\\b`).test(line);
    expect(seen.uevents.filter(ofOthers)).toEqual([]);
    expect(seen.kernelLog.filter(ofOthers)).toEqual([]);
    expect(seen.io.map(({ block, failed }) => [block, failed])).toEqual(
      io.map(({ block }) => [block, 0]),
    );
    for (const [index, { done }] of seen.io.entries()) {
      expect(done).toBeGreaterThan(io[index]?.done ?? Infinity);
    }
    ({ io } = seen);
    return seen.uevents;
  }

  async function expectUndisturbed(): Promise<void> {
    await allListed();
    await expectSame();
  }

  function say(what: string, milliseconds: number): void {
    const longest = Math.max(...io.map((each) => each.longest));
    const seconds = [milliseconds, connectedInMs].map((each) => (each / 1000).toFixed(1));
    process.stderr.write(
      `${what}, ${String(COUNT)} connections: all known again in ${seconds.join(' s; they had taken ')} s; longest I/O ${String(longest)} ms\n`,
    );
  }

  it.each([
    ['a restart of stafd', 'systemctl restart stafd'],
    ['a restart of stacd', 'systemctl restart stacd'],
    ['a restart of both', 'systemctl restart stafd stacd'],
  ])('%s', async (what, command) => {
    const started = Date.now();
    await here.machine.sh(command, { timeoutMs: 120_000 });
    await allListed();
    const took = Date.now() - started;
    await expectSame();
    say(what, took);
    restartedInMs.push(took);
  });

  it('a restart takes less than to connect them', () => {
    expect(restartedInMs).toHaveLength(3);
    expect(Math.min(...restartedInMs)).toBeLessThan(connectedInMs);
  });

  it.each(['stafd', 'stacd'])('kill -9 of %s, which is started again', async (daemon) => {
    const pid = `systemctl show -P MainPID ${daemon}`;
    const old = (await here.machine.sh(pid)).trim();
    const started = Date.now();
    await here.machine.sh(`systemctl kill -s KILL ${daemon}`);
    await here.machine.waitFor(
      `systemctl is-active ${daemon} && [ "$(${pid})" != ${old} ] && [ "$(${pid})" != 0 ]`,
      { timeoutMs: PATIENCE_MS },
    );
    await allListed();
    const took = Date.now() - started;
    await expectSame();
    say(`kill -9 of ${daemon}`, took);
  });

  it('the drop of most of them, which the log no longer lists', async () => {
    await here.dc({ op: 'set-entries', entries: entries(FEW) });
    // And their discovery controller; none that is still being deleted.
    const after = await here.kernelUntil('few', (all) => all.length === FEW + 1);
    const { io: busy, sockets: left, uevents } = await watch.take();
    // What looks for disturbances sees them.
    const removed = uevents.filter((line) => line.startsWith('remove '));
    expect(removed).toHaveLength(COUNT - FEW);
    expect(left.length).toBeLessThan(sockets.length);
    expect(sockets).toEqual(expect.arrayContaining([...left]));
    expect(before.map(identity)).toEqual(expect.arrayContaining(after.map(identity)));
    expect(busy.map(({ failed }) => failed)).toEqual(Array.from({ length: FEW }, () => 0));
    [before, sockets] = [after, left];
  });

  it('a thousand probes of their target and of their discovery controller', async () => {
    const [ports, modes, each] = [[4420, 8009], ['nvme-tcp', 'tcp'] as const, 250];
    await installManyProbes(here);
    // What a target takes once, whoever comes, it has taken then.
    for (const port of ports) await manyProbes(here, port, 'nvme-tcp', 100);
    const atFirst = await remains(here, ports);
    for (const port of ports) {
      for (const mode of modes) {
        const { cpuMs, tookMs, ...outcome } = await manyProbes(here, port, mode, each);
        expect(outcome).toEqual({ reachable: each, failures: [] });
        process.stderr.write(
          `a ${mode} probe of port ${String(port)}: ${(tookMs / each).toFixed(1)} ms, ${(cpuMs / each).toFixed(1)} ms of them at work\n`,
        );
      }
    }
    const inTheEnd = await remains(here, ports);
    expect(inTheEnd.sockets).toEqual(atFirst.sockets);
    // Less than 1 KiB for each probe: a socket that were left would be more.
    expect(inTheEnd.slabKiB - atFirst.slabKiB).toBeLessThan(ports.length * modes.length * each);
    const { controllers } = (await here.dc({ op: 'status' })) as {
      controllers: readonly { connections: readonly unknown[] }[];
    };
    expect(controllers.map(({ connections }) => connections.length)).toEqual([1]);
    const { kernelLog, uevents } = await watch.take();
    expect(uevents).toEqual([]);
    expect(kernelLog.filter((line) => /WARN|BUG|Oops|refcount|I\/O error/.test(line))).toEqual([]);

    // The target's controller IDs are the lowest that are free.
    const argument = `-n ${subsystemNqn(FEW)}`;
    await here.machine.sh(`nvme connect -t tcp -a 127.0.0.1 -s 4420 ${argument}`);
    const another = liveIo(await here.kernel()).find(
      ({ subsysnqn }) => subsysnqn === subsystemNqn(FEW),
    );
    expect(Number(another?.cntlid)).toBeLessThanOrEqual(FEW + 1);
    await here.machine.sh(`nvme disconnect ${argument}`);
    // The target tells of each new connection.
    const since = await watch.take();
    const device = another?.device ?? '';
    expect(since.uevents.filter((line) => !line.includes(` ${device}`))).toEqual([]);
    await expectSame(device);
  });

  it('a start of stacd, which remembers nothing, without stafd; and that one later, with a damaged memory', async () => {
    await here.machine.sh(
      `systemctl stop stafd stacd; rm -rf /run/stacd; echo '{"daemon":"stafd"' > ${REMEMBERED}; systemctl mask --runtime stafd`,
      { timeoutMs: 120_000 },
    );
    await here.configure(
      'stacd',
      `[Controllers]\ncontroller = transport=tcp;traddr=127.0.0.1;trsvcid=4420;nqn=${CONFIGURED}\n`,
    );
    await here.systemctl('start stacd');
    await here.listUntil('stacctl', ([only, more]) => {
      return more === undefined && only?.['connected'] === 'True';
    });
    const after = await here.kernel();
    expect(liveIo(after)).toHaveLength(FEW + 1);
    expect(after.map(identity)).toEqual(expect.arrayContaining(before.map(identity)));
    const added = after.find(({ subsysnqn }) => subsysnqn === CONFIGURED)?.device ?? '';
    const seen = await watch.take();
    expect(seen.uevents.filter((line) => !line.includes(` ${added}`))).toEqual([]);
    expect(seen.sockets).toEqual(expect.arrayContaining([...sockets]));
    [before, sockets] = [after, seen.sockets];

    await expectSame();
    await here.machine.sh('systemctl unmask --runtime stafd; systemctl start stafd');
    await expectUndisturbed();
    const files = `${REMEMBERED} ${REMEMBERED.replaceAll('stafd', 'stacd')}`;
    expect(await here.machine.sh(`stat -c '%a %U' ${files}`)).toBe('600 root\n600 root\n');
    await here.machine.sh(`test -e ${REMEMBERED}.damaged`);
    expect((await here.journal('stafd')).match(/is not usable; it was set aside/g)).toHaveLength(1);
  });

  it('a stafd that hangs, and a start of stacd meanwhile', async () => {
    // It hangs for longer than systemd would let it.
    await here.machine.sh('systemctl service-watchdogs no; systemctl kill -s STOP stafd');
    try {
      await here.systemctl('restart stacd');
      await here.listUntil(
        'stacctl',
        (all) => all.length === FEW + 1 && all.every(({ connected }) => connected === 'True'),
      );
      await here.systemctl('reload stacd');
      await here.machine.waitFor(
        'journalctl -t stacd _PID=$(systemctl show -P MainPID stacd) | grep "stafd does not answer"',
        { timeoutMs: 120_000, intervalMs: 1_000 },
      );
      await expectSame();
    } finally {
      await here.machine.sh('systemctl kill -s CONT stafd; systemctl service-watchdogs yes');
    }
    await expectUndisturbed();
  });

  it('a start of stafd, which remembers nothing, while the log cannot be read', async () => {
    await here.dc({ op: 'get-commands' });
    await here.dc({ op: 'add-fault', fault: { ...LOG, delayMs: 600_000 } });
    await here.machine.sh('systemctl stop stafd; rm -rf /run/stafd; systemctl start stafd', {
      timeoutMs: 120_000,
    });
    await here.dc({ op: 'wait-commands', ...LOG, answered: false, timeoutMs: 120_000 });
    await expectSame();
    expect((await knownDcs(here)).get('8009')?.log).toMatchObject({ state: 'unknown' });
    await here.dc({ op: 'clear-faults' });
    await here.dc({ op: 'end-delays' });
    await expectUndisturbed();
  });

  it('a reload of both', async () => {
    await here.systemctl('reload stafd stacd');
    await expectUndisturbed();
  });

  it('a discovery controller that goes away', async () => {
    const dc = liveDc(before)[0]?.device ?? '';
    await here.dc({ op: 'unlisten' });
    await here.dc({ op: 'drop-connections' });
    await here.kernelUntil('its loss', (all) => liveDc(all).length === 0);
    await expectSame(dc);
    await here.dc({ op: 'listen' });
    await here.kernelUntil('it again', (all) => liveDc(all).length === 1);
    await allListed();
    // A reconnect by the kernel is seen.
    expect(await expectSame(dc)).toContain(`change ${dc} NVME_EVENT=connected`);
  });

  it('are dropped when a reachable discovery controller empties its log, but for a configured one', async () => {
    await watch.stopIo();
    await here.dc({ op: 'set-entries', entries: [] });
    const after = await here.kernelUntil('one', (all) => liveIo(all).length === 1);
    expect(liveIo(after).map(({ subsysnqn }) => subsysnqn)).toEqual([CONFIGURED]);
  });

  it('are made again as the log lists them, and nothing that is not allowed in one', async () => {
    await here.dc({ op: 'set-entries', entries: [...HOSTILE, ...entries(FEW)] });
    await here.kernelUntil('all again', (all) => liveIo(all).length === FEW + 1);
    const listed = await here.listUntil('stacctl', (all) =>
      all.every(({ connected }) => connected === 'True'),
    );
    const allowed = [...entries(FEW).map(({ subnqn }) => subnqn), CONFIGURED];
    expect(listed.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(allowed);
    const kernel = liveIo(await here.kernel());
    expect(kernel.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(allowed);
    // The first of them is shown, on one line.
    const line = /Refused a log page entry: .*forged line.* \(and 2 more\)/g;
    expect((await here.journal('stafd')).match(line)).toHaveLength(1);
  });

  it('are dropped by an exclude, and by the removal of their discovery controller', async () => {
    await here.configure('stacd', `[Controllers]\nexclude = nqn=${subsystemNqn(0)}\n`);
    await here.systemctl('reload stacd');
    await here.kernelUntil('those left', (all) => liveIo(all).length === FEW - 1);
    await here.configure('stafd', stafdConf());
    await here.systemctl('reload stafd');
    await here.kernelUntil('none', (all) => liveIo(all).length === 0 && liveDc(all).length === 0);
  });
});

describe('connections that somebody else made', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.addDc({ entries: entries(1) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  });

  it('are taken over, discovery and I/O, without a second connection', async () => {
    await here.machine.sh(
      `nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(0)}; nvme discover -t tcp -a 127.0.0.1 -s 8009 --persistent`,
    );
    const before = await here.kernelUntil(
      "nvme-cli's connections",
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    await here.systemctl('start stafd stacd');
    const [ioc] = await here.listUntil('stacctl', (all) => all[0]?.['connected'] === 'True');
    expect(ioc?.['device']).toBe(liveIo(before)[0]?.device);
    const [dc] = await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    expect(dc?.['device']).toBe(liveDc(before)[0]?.device);
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
  });

  it('stay when nothing lists them', async () => {
    await here.machine.sh(`nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(1)}`);
    await here.systemctl('start stafd stacd');
    await here.kernelUntil('both', (all) => liveIo(all).length === 2);
    await here.dc({ op: 'set-entries', entries: [] });
    const after = await here.kernelUntil('one', (all) => liveIo(all).length === 1);
    expect(liveIo(after)[0]?.subsysnqn).toBe(subsystemNqn(1));
  });
});
