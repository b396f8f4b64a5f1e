/** Runs `stasadm diff`: asks the daemons what a reload would do, and the system what it would cost. */
import { Daemon } from '../../ctl/daemon.ts';
import { explainFailure } from '../../ctl/explain.ts';
import { shown, type Screen } from '../../ctl/text.ts';
import { stacctl, stafctl, type Tool } from '../../ctl/tools.ts';
import { errorNames } from '../../platform/dbus/names.ts';
import type { BlockUses } from '../../ports/block-use.ts';
import { BusError, type Bus } from '../../ports/bus.ts';
import { toPortError } from '../../ports/errors.ts';
import type { OptionChange } from '../../core/reload-preview.ts';
import type { DiffRequest } from './command.ts';
import { differingOptions, type LiveOptions } from './live-options.ts';
import { parsePreview } from './parse.ts';
import { renderDiff, renderDiffJson } from './render.ts';
import {
  goingDevices,
  hasChanges,
  previewsOf,
  type DaemonAnswer,
  type DaemonReport,
  type Report,
} from './report.ts';

export interface DiffContext {
  readonly screen: Screen;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Rejects with BusError. */
  readonly openBus: () => Promise<Bus>;
  readonly blockUses: BlockUses;
  /** Of a controller; empty if nothing is known of it. */
  readonly liveOptions: (device: string) => Promise<LiveOptions>;
}

export const EXIT_NO_ANSWER = 1;
export const EXIT_CHANGES = 3;

type Dictionaries = Parameters<Daemon['previewReload']>[0];

async function ask(bus: Bus, tool: Tool, removedDcs: Dictionaries): Promise<DaemonAnswer> {
  try {
    const preview = parsePreview(await new Daemon(bus, tool).previewReload(removedDcs));
    return { kind: 'preview', preview };
  } catch (thrown) {
    return { kind: 'failed', why: explain(tool, thrown) };
  }
}

/** An earlier version, or nvme-stas's own daemon, which takes the same name. */
const NOT_THERE: ReadonlySet<string> = new Set([
  errorNames.unknownInterface,
  errorNames.unknownMethod,
]);

function explain({ daemon }: Tool, thrown: unknown): string {
  return thrown instanceof BusError && NOT_THERE.has(thrown.errorName)
    ? `${daemon} is of a version that cannot tell what a reload would do`
    : explainFailure(daemon, thrown);
}

/** The discovery controllers that stafd would list no longer, as it names them. */
function removedBy(stafd: DaemonAnswer): Dictionaries {
  if (stafd.kind !== 'preview') return [];
  const { change, remove } = stafd.preview;
  return [...remove, ...change.filter(({ becomes }) => becomes !== undefined)].map(
    ({ controller }) => controller,
  );
}

/** The daemons take no larger arguments; a D-Bus dictionary needs less than is reckoned with here. */
const MAX_ARGUMENT_BYTES = 60 * 1024;

function fits(dictionaries: Dictionaries): boolean {
  let bytes = 0;
  for (const dictionary of dictionaries) {
    bytes += 8;
    for (const texts of Object.entries(dictionary)) bytes += Buffer.byteLength(texts.join()) + 24;
  }
  return bytes <= MAX_ARGUMENT_BYTES;
}

async function pendingOptions(
  context: DiffContext,
  daemons: readonly DaemonReport[],
): Promise<ReadonlyMap<string, readonly OptionChange[]>> {
  const pending = new Map<string, readonly OptionChange[]>();
  for (const { change, keep } of previewsOf(daemons)) {
    for (const { changes, controller, options } of [
      ...keep.map((kept) => ({ ...kept, changes: [] })),
      ...change,
    ]) {
      const device = controller['device'] ?? '';
      const told = new Set(changes.map(({ option }) => option));
      const differing = differingOptions(await context.liveOptions(device), options);
      const untold = differing.filter(({ option }) => !told.has(option));
      if (untold.length > 0) pending.set(device, untold);
    }
  }
  return pending;
}

/**
 * Resolves with the exit status: 0; 1 with a line on stderr for each thing that could not be found
 * out, and for each reload that would be refused; with `exitCode` 3 if a reload changes something.
 */
export async function runDiff(request: DiffRequest, context: DiffContext): Promise<number> {
  const complaints: string[] = [];
  const complain = (text: string): void => {
    context.stderr(`stasadm: ${text}\n`);
    complaints.push(text);
  };
  let bus: Bus;
  try {
    bus = await context.openBus();
  } catch (thrown) {
    complain(explainFailure('stafd', thrown));
    return EXIT_NO_ANSWER;
  }
  let daemons: readonly DaemonReport[];
  try {
    const stafd = await ask(bus, stafctl, []);
    const removed = removedBy(stafd);
    const fitting = fits(removed) ? removed : [];
    if (fitting.length < removed.length) {
      complain(
        'stafd would remove too many discovery controllers to tell what stacd loses by it: that is not shown',
      );
    }
    const stacd = await ask(bus, stacctl, fitting);
    daemons = [
      { daemon: 'stafd', answer: stafd },
      { daemon: 'stacd', answer: stacd },
    ];
  } finally {
    bus.close();
  }
  for (const { answer, daemon } of daemons) {
    if (answer.kind === 'failed') complain(answer.why);
    else if (answer.preview.refused !== null) {
      complain(`${daemon} would refuse to reload: ${shown(answer.preview.refused)}`);
    }
  }
  const going = [...goingDevices(daemons)];
  let uses: Report['uses'];
  try {
    uses = going.length === 0 ? new Map() : await context.blockUses.read(going);
  } catch (thrown) {
    complain(toPortError(thrown).message);
  }
  const report: Report = { daemons, uses, pending: await pendingOptions(context, daemons) };
  context.stdout(
    request.output === 'json' ? renderDiffJson(report) : renderDiff(report, context.screen),
  );
  if (complaints.length > 0) return EXIT_NO_ANSWER;
  return request.exitCode && hasChanges(report) === true ? EXIT_CHANGES : 0;
}
