/** Runs a command: from its arguments to its output and exit status, with everything passed in. */
import { sameTraddr } from '../nvme/transport-address.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from '../nvme/transport-id.ts';
import type { Bus } from '../ports/bus.ts';
import { parseCommandLine } from './command-line.ts';
import type { ControllerFilter, Request } from './command-line.ts';
import { controllerKey, Daemon } from './daemon.ts';
import type { Dictionary, DiscoveryLogOf, Explanation, Row } from './daemon.ts';
import { explainFailure } from './explain.ts';
import type { KernelView } from './kernel-view.ts';
import { renderJson, renderText } from './render.ts';
import type { Answer } from './render.ts';
import { subsystemsOf } from './subsystem-tree.ts';
import { shown } from './text.ts';
import type { Screen } from './text.ts';
import type { Tool } from './tools.ts';
import type { Stage } from './watch/stage.ts';

export interface CtlContext {
  /** What follows the program's name. */
  readonly args: readonly string[];
  readonly version: string;
  readonly screen: Screen;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Called only when there is something to ask. Rejects with BusError. */
  readonly openBus: () => Promise<Bus>;
  /** Called only for `watch`. */
  readonly stage: () => Promise<Stage>;
  /** Rejects with PortError. */
  readonly kernelView: () => Promise<KernelView>;
}

/** Nothing is wrong with the daemon: what was asked for is not there. */
class NotFound extends Error {
  override readonly name = 'NotFound';
}

function matches(controller: Dictionary, filter: ControllerFilter): boolean {
  const given: readonly (readonly [string, string | undefined])[] = [
    ['transport', filter.transport],
    ['trsvcid', filter.trsvcid],
    ['subsysnqn', filter.subsysnqn],
    ['host-traddr', filter.hostTraddr],
    ['host-iface', filter.hostIface],
    ['host-nqn', filter.hostNqn],
  ];
  return (
    sameTraddr(controller['traddr'] ?? '', filter.traddr) &&
    given.every(([field, value]) => value === undefined || (controller[field] ?? '') === value)
  );
}

/**
 * The one controller that is meant. Fields that were not given are the controller's own, so that
 * nobody has to type a host NQN or an interface that only one connection has.
 */
function choose(tool: Tool, list: readonly Dictionary[], filter: ControllerFilter): Dictionary {
  const matching = list.filter((controller) => matches(controller, filter));
  const wellKnown = matching.filter(
    (controller) => controller['subsysnqn'] === WELL_KNOWN_DISCOVERY_NQN,
  );
  const candidates = wellKnown.length > 0 ? wellKnown : matching;
  const [only, ...others] = candidates;
  const name = shown(`${filter.transport} ${filter.traddr} ${filter.trsvcid}`);
  if (only === undefined) {
    throw new NotFound(`${tool.daemon} has no such controller: ${name}; see: ${tool.name} ls`);
  }
  if (others.length > 0) {
    throw new NotFound(
      `${candidates.length} controllers match ${name}: ` +
        'add --nqn, --host-iface, --host-traddr or --host-nqn',
    );
  }
  return only;
}

/** Tells the logs that are empty from those that are not known: the methods that list them do not. */
async function toldApart(
  daemon: Daemon,
  logs: readonly DiscoveryLogOf[],
): Promise<readonly DiscoveryLogOf[]> {
  if (logs.every(({ entries }) => entries.length > 0)) return logs;
  let unknown: ReadonlyMap<string, string> | undefined;
  try {
    unknown = await daemon.unknownLogs();
  } catch {
    // Another stafd has no such method; what was asked for is there.
  }
  return logs.map((log) => {
    if (log.entries.length > 0) return log;
    const why = unknown === undefined ? '' : unknown.get(controllerKey(log.controller));
    return { ...log, unknown: why };
  });
}

/** Both methods that tell of all controllers tell everything of each. */
async function status(tool: Tool, daemon: Daemon): Promise<Answer> {
  const [process, controllers] = await Promise.all([
    daemon.processInfo(),
    tool.hasLogPages
      ? daemon.allLogPages(true).then((logs) => toldApart(daemon, logs))
      : daemon.listControllers(true).then((list) => list.map((controller) => ({ controller }))),
  ]);
  return { kind: 'status', process, controllers };
}

/** What has this device name, address or NQN; the notes are about everything. */
function named({ absent, controllers, notes }: Explanation, what: string): Explanation {
  const has = ({ device, subsysnqn, traddr }: Row): boolean =>
    [device, subsysnqn].includes(what) || (typeof traddr === 'string' && sameTraddr(traddr, what));
  return { controllers: controllers.filter(has), absent: absent.filter(has), notes };
}

async function explanation(tool: Tool, daemon: Daemon, what: string | undefined): Promise<Answer> {
  const all = await daemon.explain();
  if (what === undefined) return { kind: 'explanation', explanation: all };
  const found = named(all, what);
  if (found.controllers.length === 0 && found.absent.length === 0) {
    throw new NotFound(
      `${tool.daemon} knows nothing of ${shown(what)}, as a device, an address or an NQN; see: ${tool.name} explain`,
    );
  }
  return { kind: 'explanation', explanation: found };
}

/** stacd need not run: the kernel's connections outlive it. */
async function kernelTree(
  tool: Tool,
  open: () => Promise<Daemon>,
  context: CtlContext,
): Promise<Answer> {
  const { bytes, controllers, uses } = await context.kernelView();
  const subsystems = subsystemsOf(controllers, uses, bytes);
  try {
    const list = await (await open()).listControllers(false);
    const own = new Set(list.map(({ device = '' }) => device));
    return { kind: 'tree', tree: { subsystems, own, ownUnknown: undefined } };
  } catch (thrown) {
    const ownUnknown = explainFailure(tool.daemon, thrown);
    return { kind: 'tree', tree: { subsystems, own: undefined, ownUnknown } };
  }
}

type DaemonRequest = Exclude<Request, { readonly kind: 'tree' | 'watch' }>;

async function ask(tool: Tool, daemon: Daemon, request: DaemonRequest): Promise<Answer> {
  switch (request.kind) {
    case 'trace':
      return { kind: 'trace', on: await daemon.setTracing(request.on) };
    case 'status':
      return status(tool, daemon);
    case 'metrics': {
      const families = await daemon.metrics();
      const { metricsText } = await import('./metrics.ts');
      return { kind: 'metrics', families, text: await metricsText(families, request.format) };
    }
    case 'explain':
      return explanation(tool, daemon, request.what);
    case 'ls': {
      // A table shows the state, which only the detailed dictionaries have.
      const list = await daemon.listControllers(request.detailed || request.output === 'table');
      return { kind: 'controllers', detailed: request.detailed, list };
    }
    case 'dlp': {
      const controller = choose(tool, await daemon.listControllers(false), request.filter);
      const entries = await daemon.logPages(controller);
      const [log = { entries }] = await toldApart(daemon, [{ controller, entries }]);
      return { kind: 'log', ...log };
    }
    case 'adlp':
      return {
        kind: 'logs',
        detailed: request.detailed,
        logs: await toldApart(daemon, await daemon.allLogPages(request.detailed)),
      };
  }
}

function explain(tool: Tool, thrown: unknown): string {
  return thrown instanceof NotFound ? thrown.message : explainFailure(tool.daemon, thrown);
}

/**
 * Runs a command and returns its exit status: 0; 1 with one line on stderr if the daemon cannot be
 * asked or has not what was asked for; 2 for a wrong command line.
 */
export async function runCtl(tool: Tool, context: CtlContext): Promise<number> {
  const { args, version, screen, stdout, stderr } = context;
  const parsed = parseCommandLine(tool, version, args, screen.width);
  switch (parsed.kind) {
    case 'text':
      stdout(parsed.text);
      return 0;
    case 'wrong':
      stderr(parsed.text);
      return 2;
    case 'request':
      break;
  }
  const { request } = parsed;
  let bus: Bus | undefined;
  try {
    const open = async (): Promise<Daemon> => {
      bus = await context.openBus();
      return new Daemon(bus, tool);
    };
    if (request.kind === 'watch') {
      // Loaded only when needed: the other commands are to be quick.
      const { runWatch } = await import('./watch/run.ts');
      bus = await context.openBus();
      await runWatch(tool, request.output, { ...context, bus, stage: await context.stage() });
      return 0;
    }
    const answer =
      request.kind === 'tree'
        ? await kernelTree(tool, open, context)
        : await ask(tool, await open(), request);
    stdout(request.output === 'json' ? renderJson(answer) : renderText(tool, answer, screen));
    return 0;
  } catch (error) {
    stderr(`${tool.name}: ${explain(tool, error)}\n`);
    return 1;
  } finally {
    bus?.close();
  }
}
