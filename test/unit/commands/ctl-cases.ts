/** Cases of stafctl and stacctl, against stand-ins of their daemons. */
import { stacctl, stafctl, type Tool } from '../../../src/ctl/tools.ts';
import { BusError, type Bus } from '../../../src/ports/bus.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { run, type RunOptions, type WatchWorld } from '../ctl/harness.ts';
import { row } from '../ctl/rows.ts';
import { standIn, type StandInState } from '../ctl/stand-in.ts';
import type { Aspect, Case, Outcome } from './case.ts';
import {
  absentOf,
  dcs,
  emptyOf,
  KERNEL,
  MANY_IN_KERNEL,
  manyOf,
  rowsOf,
  someOf,
  WELL_KNOWN,
  type Rows,
} from './ctl-worlds.ts';

/** A bus on which an ordinary user may ask nothing of the daemon. */
async function closedTo(tool: Tool): Promise<Bus> {
  const daemon = new FakeBusDaemon();
  await standIn(daemon.connect(), tool, emptyOf(tool));
  const bus = daemon.connect();
  const call = bus.call.bind(bus);
  const denied = new BusError('org.freedesktop.DBus.Error.AccessDenied', 'Rejected send message');
  bus.call = (request) =>
    request.destination === tool.busName ? Promise.reject(denied) : call(request);
  return bus;
}

/** What happens while `watch` runs: a path is lost and comes back, the daemon is restarted. */
function eventful(tool: Tool, state: StandInState) {
  return async (world: WatchWorld): Promise<void> => {
    const tell = async (controllers: Rows): Promise<void> => {
      await world.clock.advance(2000);
      state.explanation = { controllers, absent: absentOf(tool), notes: [] };
      await world.changed();
    };
    const rows = rowsOf(tool);
    const device = { state: 'connected', device: 'nvme7', why: '' };
    await tell(rows.map((each) => (each['state'] === 'waiting' ? { ...each, ...device } : each)));
    world.bus.close();
    await world.clock.advance(3000);
    const [first] = rows;
    state.explanation = {
      controllers: first === undefined ? [] : [first, row('192.0.2.60', { state: 'probing' })],
      ...{ absent: [], notes: [] },
    };
    await standIn(world.daemon.connect(), tool, state);
    await world.clock.advance(0);
  };
}

/** The last picture that a terminal showed. */
function lastPicture(outcome: Outcome): Outcome {
  const last = outcome.stdout.split('\u001b[H').at(-1)?.split('\u001b[J')[0] ?? '';
  return { ...outcome, stdout: `${last.replaceAll('\u001b[K', '').replaceAll('\r', '')}\n` };
}

const DLP = ['dlp', '-a', '192.0.2.10', '-s', '8009'];

/** How a command is called where it works. */
function callOf(command: string): readonly string[] {
  return command === 'dlp' ? DLP : [command];
}

function commandCases(tool: Tool, command: string): readonly Case[] {
  const { name: program } = tool;
  const args = callOf(command);
  const of = (aspect: Aspect, options: () => RunOptions, rest: Partial<Case> = {}): Case => ({
    ...{ program, command, aspect, args },
    run: (typed) => run(tool, typed, { kernel: KERNEL, ...options() }),
    ...rest,
  });
  const withState = (make: (tool: Tool) => StandInState) => () => ({ state: make(tool) });
  const withMany = () => ({ state: manyOf(tool), kernel: MANY_IN_KERNEL });
  const nothing = () => ({
    state: emptyOf(tool),
    kernel: { controllers: [], uses: new Map(), bytes: new Map() },
  });
  const noLog = () => {
    const [dc] = dcs;
    const empty = dc === undefined ? [] : [{ ...dc, logPages: [] }];
    return { state: { ...someOf(tool), controllers: empty } };
  };
  const wrong: Readonly<Record<string, readonly string[]>> = {
    dlp: ['dlp', '-a', '192.0.2.10'],
    ls: ['ls', '-o', 'yaml'],
    status: ['status', 'nvme0'],
  };
  const many = command === 'dlp' ? ['dlp', '-a', '10.0.0.0', '-s', '8009'] : args;
  const cases: readonly Case[] = [
    of('ok', withState(someOf)),
    of('json', withState(someOf), { args: [...args, '-o', 'json'] }),
    of('down', () => ({})),
    of('denied', () => ({ openBus: () => closedTo(tool) })),
    of('bad', withState(someOf), { args: wrong[command] ?? [...args, '--nonsense'] }),
    of('help', () => ({}), { args: [command, '--help'] }),
  ];
  if (command === 'tron' || command === 'troff') {
    return cases.map((test) => (test.aspect === 'ok' ? switched(tool, test) : test));
  }
  return [
    ...cases,
    of('empty', command === 'dlp' ? noLog : nothing),
    of('many', withMany, { args: many }),
  ];
}

/** A case that shows what the daemon has been told, too. */
function switched(tool: Tool, test: Case): Case {
  return {
    ...test,
    run: async (args) => {
      const state = { ...someOf(tool), tron: test.command === 'troff' };
      const outcome = await run(tool, args, { state });
      return { ...outcome, changed: [[`tron of ${tool.daemon}`, `${String(state.tron)}\n`]] };
    },
  };
}

function watchCases(tool: Tool): readonly Case[] {
  const { name: program } = tool;
  const eventfully = (options: RunOptions) => async (args: readonly string[]) => {
    const state = someOf(tool);
    return run(tool, args, { state, meanwhile: eventful(tool, state), ...options });
  };
  const size = { columns: 100, rows: 24 };
  const onTerminal = { size, screen: { colour: false, width: size.columns } };
  const watch = { program, command: 'watch', args: ['watch'] } as const;
  return [
    { ...watch, aspect: 'ok', run: eventfully({}) },
    { ...watch, aspect: 'json', args: ['watch', '-o', 'json'], run: eventfully({}) },
    {
      ...watch,
      ...{ aspect: 'ok', variant: 'terminal' },
      run: async (args) => lastPicture(await eventfully(onTerminal)(args)),
    },
    {
      ...watch,
      ...{ aspect: 'many', variant: 'terminal' },
      run: async (args) =>
        lastPicture(await run(tool, args, { state: manyOf(tool), ...onTerminal })),
    },
  ];
}

/** Cases of one command alone, or of a form of its own. */
function specialCases(tool: Tool): readonly Case[] {
  const { name: program } = tool;
  const of = (
    command: string,
    aspect: Aspect,
    variant: string | undefined,
    args: readonly string[],
    options: Partial<RunOptions> = {},
  ): Case => ({
    ...{ program, command, aspect, args },
    ...(variant !== undefined && { variant }),
    run: (typed) => run(tool, typed, { state: someOf(tool), kernel: KERNEL, ...options }),
  });
  const narrow = { screen: { colour: false, width: 80 } };
  const colour = { screen: { colour: true, width: 200 } };
  const both = [
    of('', 'ok', undefined, ['--version']),
    of('', 'bad', undefined, []),
    of('', 'bad', 'command', ['lss']),
    of('', 'help', undefined, ['--help']),
    of('ls', 'ok', '80-columns', ['ls'], narrow),
    of('ls', 'ok', 'colour', ['ls'], colour),
    of('ls', 'ok', 'detailed', ['ls', '-d']),
    of('ls', 'json', 'detailed', ['ls', '-d', '-o', 'json']),
    of('metrics', 'ok', 'prometheus', ['metrics', '-o', 'prometheus']),
    of('explain', 'absent', undefined, ['explain', 'nvme99']),
    ...watchCases(tool),
  ];
  if (tool === stacctl) {
    return [
      ...both,
      of('explain', 'ok', 'one', ['explain', '192.0.2.30']),
      of('tree', 'ok', '80-columns', ['tree'], narrow),
      of('tree', 'ok', 'colour', ['tree'], colour),
    ];
  }
  const twins = dcs.map((dc) => ({
    ...dc,
    plain: {
      ...dc.plain,
      traddr: '192.0.2.10',
      trsvcid: '8009',
      transport: 'tcp',
      subsysnqn: WELL_KNOWN,
    },
  }));
  return [
    ...both,
    of('dlp', 'ok', '80-columns', DLP, narrow),
    of('dlp', 'absent', undefined, ['dlp', '-a', '192.0.2.99', '-s', '8009']),
    of('dlp', 'absent', 'several', DLP, { state: { ...someOf(tool), controllers: twins } }),
    of('adlp', 'ok', 'detailed', ['adlp', '-d']),
  ];
}

/** Cases of these commands, in the order of the definitions, and special ones. */
export function ctlCases(commandsOfTool: (tool: Tool) => readonly string[]): readonly Case[] {
  return [stafctl, stacctl].flatMap((tool) => {
    const special = specialCases(tool);
    // A special one of the same name takes the place of a general one.
    const taken = new Set(
      special.map(({ aspect, command, variant }) => `${command} ${aspect} ${variant ?? ''}`),
    );
    const general = commandsOfTool(tool).flatMap((command) => commandCases(tool, command));
    return [
      ...general.filter(({ aspect, command }) => !taken.has(`${command} ${aspect} `)),
      ...special,
    ];
  });
}
