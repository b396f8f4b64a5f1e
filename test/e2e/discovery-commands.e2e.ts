import { beforeAll, describe, expect, it } from 'vitest';
import {
  commandsOf,
  dcLine,
  knownDcsUntil,
  type DcCommand,
  type KnownDc,
} from './discovery-kit.ts';
import { entries, PATIENCE_MS, stafdConf, type Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

const REGISTER = { command: 'dim' } as const;
const SUPPORT = { command: 'get-log-page', lid: 0 } as const;
const LOG = { command: 'get-log-page', lid: 0x70 } as const;

/** One simulated DC a port, each with what it does. */
const DCS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  8009: { dctype: 'cdc', pleo: true },
  8010: { dctype: 'ddc', pleo: true },
  8011: { dctype: 'ddc' },
  8012: { dctype: 'none', supportedLogPages: false },
  8013: { dctype: 'cdc' },
  8014: { dctype: 'ddc' },
  8015: { dctype: 'none' },
};
const PORTS = Object.keys(DCS);

/** Seconds that the kernel waits for the answer to a command of controllers made from now on. */
const ADMIN_TIMEOUT = '/sys/module/nvme_core/parameters/admin_timeout';

// In order, on the same controllers.
describe("a discovery controller's commands", () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    for (const [port, config] of Object.entries(DCS)) {
      await addDc(port, config);
    }
    const refused = 'insufficient-discovery-resources+dnr';
    await fault('8013', { ...REGISTER, status: refused });
    await fault('8014', { ...REGISTER, status: 'transient-transport-error', count: 1 });
    await fault('8015', { ...SUPPORT, status: 'transient-transport-error', count: 1 });
    await here.machine.sh('stasadm set-symname first-name');
    await configure(PORTS);
    await here.systemctl('start stafd');
    await knownDcsUntil(here, 'every log', (dcs) =>
      PORTS.every((port) => dcs.get(port)?.log.state === 'known'),
    );
    return async () => {
      await here.machine.sh(`echo 60 > ${ADMIN_TIMEOUT}`);
    };
  });

  async function addDc(port: string, config: Readonly<Record<string, unknown>>): Promise<void> {
    const listen = [{ address: '127.0.0.1', port: Number(port) }];
    await here.addDc({ name: port, listen, entries: entries(1), ...config });
  }

  async function configure(ports: readonly string[]): Promise<void> {
    const conf = stafdConf(...ports.map((port) => dcLine(Number(port))));
    await here.configure('stafd', `[Global]\ntron = true\nreconnect-delay = 1\n${conf}`);
  }

  async function fault(controller: string, what: DcCommand): Promise<void> {
    await here.dc({ op: 'add-fault', controller, fault: what });
  }

  async function wait(controller: string, filter: DcCommand, count: number): Promise<void> {
    await here.dc({ op: 'wait-commands', controller, ...filter, count, timeoutMs: PATIENCE_MS });
  }

  async function registeredNames(controller: string): Promise<string> {
    const { registrations } = await here.dc({ op: 'get-registrations', controller });
    return JSON.stringify(registrations);
  }

  /** The steps that these commands are, repeats of a step in a row taken as one. */
  function steps(commands: readonly DcCommand[]): readonly string[] {
    const names = commands.flatMap(({ command, lid, lsp }) => {
      if (command === 'dim') return ['register'];
      if (command !== 'get-log-page') return [];
      if (lid === 0) return ['support'];
      return [lsp === 2 ? 'log, port local' : 'log'];
    });
    return names.filter((name, index) => name !== names[index - 1]);
  }

  /** Milliseconds between the first two commands that match. */
  function gap(commands: readonly DcCommand[], filter: DcCommand): number {
    const times = commands
      .filter((command) => Object.entries(filter).every(([key, value]) => command[key] === value))
      .map(({ time }) => Number(time));
    return (times[1] ?? NaN) - (times[0] ?? NaN);
  }

  it('are register, supported log pages and log, as each type of controller takes them', async () => {
    const commands = new Map<string, readonly DcCommand[]>();
    for (const port of PORTS) commands.set(port, await commandsOf(here, { controller: port }));
    const seen = [...commands].map(([port, list]) => [port, steps(list)] as const);
    expect(Object.fromEntries(seen)).toEqual({
      8009: ['register', 'log'],
      8010: ['register', 'support', 'log, port local'],
      8011: ['register', 'support', 'log'],
      8012: ['support', 'log'],
      // Refused: it is not asked again, and the log is read all the same.
      8013: ['register', 'log'],
      8014: ['register', 'support', 'log'],
      8015: ['support', 'log'],
    });
    for (const [port, step] of [
      ['8014', REGISTER],
      ['8015', SUPPORT],
    ] as const) {
      const ms = gap(commands.get(port) ?? [], step);
      expect(ms).toBeGreaterThan(4_500);
      expect(ms).toBeLessThan(30_000);
    }
    expect(await registeredNames('8009')).toContain('first-name');
    const journal = await here.journal('stafd');
    expect(journal.match(/refused to register/g), journal).toHaveLength(1);
  });

  it('are made again when the kernel reconnected, and a reload registers the new name', async () => {
    await here.dc({ op: 'drop-connections', controller: '8010' });
    await wait('8010', LOG, 2);
    expect(steps(await commandsOf(here, { controller: '8010' }))).toEqual([
      'register',
      'support',
      'log, port local',
    ]);
    await here.machine.sh('stasadm set-symname second-name; systemctl reload stafd');
    await wait('8010', LOG, 2);
    expect(await registeredNames('8010')).toContain('second-name');
    expect(await registeredNames('8009')).toContain('second-name');
  });

  it('are made again by a connection that was given up because no answer came', async () => {
    await addDc('8016', { dctype: 'ddc' });
    await fault('8016', { ...REGISTER, never: true, count: 1 });
    await here.machine.sh(`echo 8 > ${ADMIN_TIMEOUT}`);
    await configure([...PORTS, '8016']);
    await here.systemctl('reload stafd');
    await wait('8016', LOG, 2);
    await here.machine.sh(`echo 60 > ${ADMIN_TIMEOUT}`);
    const commands = await commandsOf(here, { controller: '8016' });
    expect(steps(commands)).toEqual(['register', 'support', 'log']);
    expect(commands.filter(({ command }) => command === 'connect')).toHaveLength(2);
    expect(commands.filter(({ command }) => command === 'dim')).toHaveLength(2);
  });

  it.each([2_000, 0, 1])('read a log of %d entries whole', async (count) => {
    await commandsOf(here, { controller: '8012' });
    await here.dc({ op: 'set-entries', controller: '8012', entries: entries(count) });
    const whole = (dcs: ReadonlyMap<string, KnownDc>): boolean =>
      dcs.get('8012')?.['log-pages'].length === count;
    const dcs = await knownDcsUntil(here, `${String(count)} entries`, whole, 180_000);
    // In their order: none was read twice, or cut in two where a command ends.
    expect(dcs.get('8012')?.['log-pages'].map(({ subnqn }) => subnqn)).toEqual(
      entries(count).map(({ subnqn }) => subnqn),
    );
  });

  it('read a log again that changed under them, and keep the last one of a log that never rests', async () => {
    const set = (bumpReads: number): Promise<unknown> =>
      here.dc({ op: 'set', controller: '8015', settings: { bumpReads } });
    const generation = async (): Promise<string> => {
      const { controllers } = await here.dc({ op: 'status', controller: '8015' });
      return String((controllers as readonly DcCommand[])[0]?.['generation']);
    };
    await set(3);
    await here.dc({ op: 'set-entries', controller: '8015', entries: entries(2) });
    await knownDcsUntil(here, 'two entries', (dcs) => dcs.get('8015')?.['log-pages'].length === 2);
    const settled = await generation();
    expect((await knownDcsUntil(here, 'it', () => true)).get('8015')?.log).toMatchObject({
      generation: settled,
    });
    await set(-1);
    await here.dc({ op: 'set-entries', controller: '8015', entries: entries(3) });
    await here.machine.waitFor('journalctl -t stafd | grep -q "the log changed during"');
    expect((await knownDcsUntil(here, 'it', () => true)).get('8015')).toMatchObject({
      log: { state: 'known', generation: settled },
    });
    await set(0);
    await here.dc({ op: 'send-aen', controller: '8015' });
    await knownDcsUntil(here, 'three', (dcs) => dcs.get('8015')?.['log-pages'].length === 3);
  });

  it('read a log once more when an event comes while it is read', async () => {
    await commandsOf(here, { controller: '8015' });
    const events = async (): Promise<number> =>
      (await here.journal('stafd')).match(/8015.*Event: log-changed/g)?.length ?? 0;
    const before = await events();
    await fault('8015', { ...LOG, delayMs: 60_000, count: 1 });
    await here.dc({ op: 'send-aen', controller: '8015' });
    await wait('8015', { ...LOG, answered: false }, 1);
    await here.dc({ op: 'send-aen', controller: '8015', count: 3 });
    await expect.poll(events, { timeout: PATIENCE_MS }).toBe(before + 4);
    await here.dc({ op: 'end-delays', controller: '8015' });
    await wait('8015', LOG, 6);
    // What comes after this is the reload's.
    await here.systemctl('reload stafd');
    await wait('8015', LOG, 9);
    const lids = (await commandsOf(here, { controller: '8015', command: 'get-log-page' })).map(
      ({ lid }) => lid,
    );
    // Header, entries, header again: twice.
    expect(lids.indexOf(0)).toBe(6);
  });

  it('are few when events come in a storm, and the last state is read', async () => {
    await commandsOf(here, { controller: '8015' });
    await here.dc({ op: 'send-aen', controller: '8015', count: 200, intervalMs: 20 });
    await wait('8015', { command: 'async-event-request' }, 100);
    await here.dc({ op: 'set-entries', controller: '8015', entries: entries(5) });
    await wait('8015', { command: 'async-event-request' }, 200);
    await knownDcsUntil(here, 'five', (dcs) => dcs.get('8015')?.['log-pages'].length === 5);
    const reads = await commandsOf(here, { controller: '8015', ...LOG });
    expect(reads.length).toBeLessThan(300);
  });
});
