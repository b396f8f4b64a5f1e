/** Cases of stafctl and stacctl, against the services of their daemons. */
import { stacctl, stafctl, type Tool } from '../../../src/ctl/tools.ts';
import { BusError, type Bus } from '../../../src/ports/bus.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { run, type RunOptions, type WatchWorld } from '../ctl/harness.ts';
import type { Aspect, Case, Outcome } from './case.ts';
import {
  emptyOf,
  heal,
  heldBack,
  kernelOf,
  manyOf,
  restarted,
  someOf,
  twins,
  withEmptyLog,
  type World,
} from './ctl-worlds.ts';

/** A bus on which this user may ask nothing of the daemon. */
async function closedTo(tool: Tool): Promise<Bus> {
  const daemon = new FakeBusDaemon();
  await (await emptyOf(tool)).publish(daemon.connect());
  const bus = daemon.connect();
  const call = bus.call.bind(bus);
  const denied = new BusError('org.freedesktop.DBus.Error.AccessDenied', 'Rejected send message');
  bus.call = (request) =>
    request.destination === tool.busName ? Promise.reject(denied) : call(request);
  return bus;
}

/** Makes a daemon for a case, or for all cases that change nothing. */
function onceFor(make: (tool: Tool) => Promise<World>): (tool: Tool) => Promise<World> {
  const made = new Map<Tool, Promise<World>>();
  return (tool) => {
    const world = made.get(tool) ?? make(tool);
    made.set(tool, world);
    return world;
  };
}

/** What happens while `watch` runs: a path comes back, the daemon is restarted. */
function eventful(world: World) {
  return async ({ bus, daemon }: WatchWorld): Promise<void> => {
    await heal(world);
    bus.close();
    const next = await restarted(world);
    await next.publish(daemon.connect());
    await next.clock.advance(0);
  };
}

/** The last picture that a terminal showed. */
function lastPicture(outcome: Outcome): Outcome {
  const last = outcome.stdout.split('\u001b[H').at(-1)?.split('\u001b[J')[0] ?? '';
  return { ...outcome, stdout: `${last.replaceAll('\u001b[K', '').replaceAll('\r', '')}\n` };
}

const some = onceFor(someOf);
const none = onceFor(emptyOf);
const crowd = onceFor(manyOf);

const DLP = ['dlp', '-a', '192.0.2.10', '-s', '8009'];

/** How a command is called where it works. */
function callOf(command: string): readonly string[] {
  return command === 'dlp' ? DLP : [command];
}

type Options = () => Promise<RunOptions>;

/** The command against this daemon, and what the kernel has then. */
function against(world: World): RunOptions {
  return { publish: (bus) => world.publish(bus), kernel: kernelOf(world) };
}

function runner(tool: Tool, options: Options, rest: RunOptions = {}): Case['run'] {
  return async (typed) => run(tool, typed, { ...(await options()), ...rest });
}

function commandCases(tool: Tool, command: string): readonly Case[] {
  const { name: program } = tool;
  const args = callOf(command);
  const of = (aspect: Aspect, options: Options, rest: Partial<Case> = {}): Case => ({
    ...{ program, command, aspect, args },
    run: runner(tool, options),
    ...rest,
  });
  const withWorld = (make: (tool: Tool) => Promise<World>) => async () => against(await make(tool));
  const nothing = (): Promise<RunOptions> => Promise.resolve({});
  const wrong: Readonly<Record<string, readonly string[]>> = {
    dlp: ['dlp', '-a', '192.0.2.10'],
    ls: ['ls', '-o', 'yaml'],
    status: ['status', 'nvme0'],
  };
  const many = command === 'dlp' ? ['dlp', '-a', '10.0.0.0', '-s', '8009'] : args;
  const cases: readonly Case[] = [
    of('ok', withWorld(some)),
    of('json', withWorld(some), { args: [...args, '-o', 'json'] }),
    of('down', async () => ({ kernel: kernelOf(await some(tool)) })),
    of('denied', async () => ({
      ...{ kernel: kernelOf(await some(tool)), openBus: () => closedTo(tool) },
    })),
    of('bad', nothing, { args: wrong[command] ?? [...args, '--nonsense'] }),
    of('help', nothing, { args: [command, '--help'] }),
  ];
  if (command === 'tron' || command === 'troff') {
    return cases.map((test) =>
      test.aspect === 'ok' || test.aspect === 'json' ? switched(tool, test) : test,
    );
  }
  return [
    ...cases,
    of('empty', withWorld(command === 'dlp' ? withEmptyLog : none)),
    of('many', withWorld(crowd), { args: many }),
  ];
}

/** A case that shows what the daemon has been told, too. */
function switched(tool: Tool, test: Case): Case {
  return {
    ...test,
    run: async (args) => {
      const world = await emptyOf(tool);
      world.log.setTracing(test.command === 'troff');
      const outcome = await run(tool, args, against(world));
      const is = `${String(world.log.tracing)}\n`;
      return { ...outcome, changed: [[`tron of ${tool.daemon}`, is]] };
    },
  };
}

function watchCases(tool: Tool): readonly Case[] {
  const { name: program } = tool;
  const eventfully = (options: RunOptions) => async (args: readonly string[]) => {
    const world = await someOf(tool);
    const { clock } = world;
    const meanwhile = eventful(world);
    return run(tool, args, { ...against(world), clock, meanwhile, ...options });
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
        lastPicture(await run(tool, args, { ...against(await crowd(tool)), ...onTerminal })),
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
    rest: RunOptions = {},
    world: (tool: Tool) => Promise<World> = some,
  ): Case => ({
    ...{ program, command, aspect, args },
    ...(variant !== undefined && { variant }),
    run: runner(tool, async () => against(await world(tool)), rest),
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
    of('explain', 'ok', 'held-back', ['explain'], {}, heldBack),
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
  return [
    ...both,
    of('dlp', 'ok', '80-columns', DLP, narrow),
    of('dlp', 'absent', undefined, ['dlp', '-a', '192.0.2.99', '-s', '8009']),
    of('dlp', 'absent', 'several', DLP, {}, twins),
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
