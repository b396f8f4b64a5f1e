/** What a reload would do, told of a plan that was made and is not carried out. Changes nothing. */
import { changedOptions, mergeOptions } from '../config/connect-option.ts';
import { formatProblem, isSecretKey, type Problem } from '../config/problem.ts';
import { changedIdentity, changedSettings } from '../config/settings-diff.ts';
import type { ControllerAction, SourceId } from '../core/plan-controllers.ts';
import { refusal } from '../core/refusal.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import {
  PREVIEW_VERSION,
  type OptionChange,
  type PreviewedActions,
  type PreviewedAdd,
  type PreviewedChange,
  type PreviewedKeep,
  type PreviewedRemove,
  type PreviewNote,
  type ReloadPreview,
  type SettingChange,
  type SourceKinds,
} from '../core/reload-preview.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import {
  printTid,
  tidKey,
  tidToDict,
  type TidKey,
  type TransportId,
} from '../nvme/transport-id.ts';
import { toPortError } from '../ports/errors.ts';
import type { ConfiguredAnswer } from './configured-controllers.ts';
import type { ControllerRecord, ControllerSet } from './controller-set.ts';
import { deviceOf, NO_DEVICE } from './describe.ts';
import type { Ending } from './plan-rules.ts';
import type { ServiceExtra, ServiceSettings } from './service-core.ts';

/** The files as they are now. */
export interface PresentFiles {
  readonly settings: ServiceSettings;
  readonly problems: readonly Problem[];
  /** Whether the daemon would trace after a reload. */
  readonly tracing: boolean;
}

/** A daemon, as far as its reload can be told beforehand; what it has now, whenever it is asked. */
export interface Previewed {
  readonly service: { readonly settings: ServiceSettings; readonly stopping: boolean };
  readonly log: { readonly tracing: boolean };
  /** Throws where a reload would be refused. */
  readonly present: () => PresentFiles;
}

/** The answer of `preview_reload`; `plan` tells what would happen to controllers. */
export async function previewReload(
  { log, present, service }: Previewed,
  plan: (next: ServiceSettings) => PreviewedActions | Promise<PreviewedActions>,
): Promise<ReloadPreview> {
  const version = PREVIEW_VERSION;
  const refuse = (why: string): ReloadPreview => {
    return { version, refused: why, problems: [], settings: [], ...NOTHING };
  };
  let files: PresentFiles;
  try {
    files = present();
  } catch (thrown) {
    return refuse(toPortError(thrown).message);
  }
  const { problems, settings: next } = files;
  const actions = await plan(next);
  if (service.stopping) return refuse('the daemon is stopping');
  // Only now, in one go with the plan: a reload may have been carried out meanwhile.
  const settings: SettingChange[] = [
    ...changedSettings(service.settings.config, next.config),
    ...changedIdentity(service.settings.host, next.host),
  ];
  if (log.tracing !== files.tracing) {
    const values = { from: String(log.tracing), to: String(files.tracing) };
    settings.unshift({ section: 'Global', key: 'tron', ...values });
  }
  return { version, refused: null, problems: problems.map(formatProblem), settings, ...actions };
}

const NOTHING: PreviewedActions = { add: [], remove: [], change: [], keep: [], notes: [] };

export interface PlannedReload<Extra extends ServiceExtra, Planned extends ServiceExtra> {
  readonly now: ServiceSettings;
  readonly next: ServiceSettings;
  /** The configured controllers, as they would be right after the reload. */
  readonly configured: readonly ConfiguredAnswer[];
  /** The plan of the pass after it. */
  readonly actions: readonly ControllerAction<Planned>[];
  /** Those that are on their way out, too. */
  readonly records: readonly ControllerRecord<Extra>[];
  /** See {@link ControllerSet.heirs}. */
  heirs: ControllerSet<Extra>['heirs'];
  /** The host ID that a host NQN is connected with; `hostId` is what a controller names. */
  readonly hostId: (settings: ServiceSettings, hostNqn: string, hostId: string) => string;
  keepsConnection(tid: TransportId): boolean;
  /** Whether a removal follows from that of a discovery controller. */
  follows(key: TidKey): boolean;
  /** See ActionRules; of those that would end a connection. */
  hold?(endings: readonly Ending<Extra>[]): ReadonlyMap<string, string>;
}

/** A removal, with what its record becomes if nothing holds it. */
interface Removing<Extra extends ServiceExtra> extends Ending<Extra> {
  readonly removed: PreviewedRemove;
}

export function previewActions<Extra extends ServiceExtra, Planned extends ServiceExtra>(
  reload: PlannedReload<Extra, Planned>,
): PreviewedActions {
  const { actions, records } = reload;
  const byKey = new Map(records.map((record) => [record.driver.key, record]));
  const removed = new Set(actions.flatMap((it) => (it.kind === 'remove' ? [it.key] : [])));
  // Of several that hold one connection and all go, the last one decides whether it is dropped: one
  // that a setting gives up goes before one whose use is looked up first.
  const leaving = actions
    .flatMap((it) => (it.kind === 'remove' ? [it] : []))
    .sort((a, b) => Number(a.statedAt !== BY_SETTING) - Number(b.statedAt !== BY_SETTING));
  const lastHolder = new Map(
    leaving.flatMap(({ key }) => {
      const driver = byKey.get(key)?.driver;
      return driver?.kernel === undefined ? [] : [[driver.kernel.instance, driver] as const];
    }),
  );
  /** What those hold that stay: one connection may answer to two TIDs. */
  const held = new Set(
    records
      .filter(({ driver }) => !driver.disposing && !removed.has(driver.key))
      .flatMap(({ driver }) => driver.kernel?.instance ?? []),
  );
  const added = new Map(
    actions.flatMap((it) => (it.kind === 'add' ? [[it.wanted.key, it.wanted] as const] : [])),
  );
  // One that is still on its way out is added later: it looks for nothing yet.
  const coming = [...added.values()].filter(({ key }) => !byKey.has(key));
  const heirsOf = reload.heirs(
    removed,
    coming.map(({ tid }) => tid),
  );
  const removing: Removing<Extra>[] = [];
  const change: PreviewedChange[] = [];
  const keep: PreviewedKeep[] = [];
  const notes: PreviewNote[] = [];
  for (const action of actions) {
    const record = action.kind === 'add' ? undefined : byKey.get(action.key);
    if (action.kind === 'add' || record === undefined) continue;
    const { driver } = record;
    const controller = { ...tidToDict(driver.tid), device: deviceOf(driver) };
    if (action.kind === 'keep') {
      const { change: it, differs } = changeOf(
        reload,
        record,
        action.sources,
        action.wanted?.extra,
      );
      if (differs) change.push({ controller, ...it });
      else keep.push({ controller, options: it.options });
      if (action.why !== undefined) {
        notes.push({ kind: 'kept', about: printTid(driver.tid), why: action.why });
      }
      continue;
    }
    const heirs = heirsOf(record);
    const successor = heirs.map((tid) => added.get(tidKey(tid))).find((it) => it !== undefined);
    if (successor !== undefined) {
      added.delete(successor.key);
      const { change: it } = changeOf(reload, record, successor.sources, successor.extra);
      change.push({ controller, becomes: tidToDict(successor.tid), ...it });
      continue;
    }
    const { instance } = driver.kernel ?? {};
    const end = connectionEnd({
      connected: instance !== undefined,
      keeps: reload.keepsConnection(driver.tid),
      shared: heirs.length > 0 || held.has(instance ?? ''),
      untouchable: lastHolder.get(instance ?? '')?.untouchable,
    });
    const { statedAt, why } = action;
    const it = { controller, why, ...end, follows: reload.follows(action.key) };
    removing.push({ record, why, statedAt, removed: it });
  }
  const ending = removing.filter(({ removed: { connection } }) => connection === 'disconnected');
  const waiting = reload.hold?.(ending) ?? new Map<string, string>();
  const remove = removing.map(({ record, removed: it }) =>
    withHold(it, it.connection === 'disconnected' ? waiting.get(record.driver.key) : undefined),
  );
  const add = [...added.values()].map(({ sources, tid }): PreviewedAdd => {
    const controller = { ...tidToDict(tid), device: NO_DEVICE };
    return { controller, sources: sourceKinds(sources) };
  });
  return { add, remove, change, keep, notes: [...configuredNotes(reload), ...notes] };
}

/** One that would be disconnected, unless it is held. */
export function withHold(removed: PreviewedRemove, held: string | undefined): PreviewedRemove {
  return held === undefined ? removed : { ...removed, connection: 'stays', spared: held };
}

/** What differs of one that goes on, and whether anything does; `planned` is unchanged if undefined. */
function changeOf<Extra extends ServiceExtra, Planned extends ServiceExtra>(
  { hostId, next, now }: PlannedReload<Extra, Planned>,
  { driver, extra, sources: present }: ControllerRecord<Extra>,
  asking: ReadonlySet<SourceId>,
  planned: ServiceExtra = extra,
): { readonly change: Omit<PreviewedChange, 'controller'>; readonly differs: boolean } {
  const options = mergeOptions(next.config.options, planned.options);
  const before = mergeOptions(now.config.options, extra.options);
  const { hostNqn } = driver.tid;
  const changes = [
    ...changedOptions(before, options),
    ...changedHostId(hostId(now, hostNqn, extra.hostId), hostId(next, hostNqn, planned.hostId)),
  ];
  const sources = { from: sourceKinds(present), to: sourceKinds(asking) };
  const sameSources = sources.from.join() === sources.to.join();
  return {
    change: { options: optionWords(options), changes, ...(sameSources ? {} : { sources }) },
    differs: changes.length > 0 || !sameSources,
  };
}

function changedHostId(from: string, to: string): readonly OptionChange[] {
  // UUIDs have no case.
  return from.toLowerCase() === to.toLowerCase() ? [] : [{ option: 'host-id', from, to }];
}

/** Entries of the configuration that lead to nothing, or not yet. */
function configuredNotes({
  configured,
  next,
}: Pick<PlannedReload<ServiceExtra, ServiceExtra>, 'configured' | 'next'>): readonly PreviewNote[] {
  return configured.flatMap(({ answer, tid }): readonly PreviewNote[] => {
    const about = printTid(tid);
    if (answer.kind === 'unknown') return [{ kind: 'open', about, why: answer.why }];
    const why = refusal(next.config, answer.value);
    return why === undefined ? [] : [{ kind: 'refused', about, why }];
  });
}

function connectionEnd({
  connected,
  keeps,
  shared,
  untouchable,
}: {
  readonly connected: boolean;
  /** disconnect-scope lets it stay. */
  readonly keeps: boolean;
  readonly shared: boolean;
  readonly untouchable: string | undefined;
}): Pick<PreviewedRemove, 'connection' | 'spared'> {
  if (!connected) return { connection: 'none' };
  if (keeps) return { connection: 'stays' };
  const spared = shared ? "another controller's, too" : untouchable;
  return spared === undefined ? { connection: 'disconnected' } : { connection: 'stays', spared };
}

/** The sources' names begin with what they are: see plan.ts of the daemons. */
function sourceKinds(sources: ReadonlySet<SourceId>): SourceKinds {
  return [...new Set([...sources].map((source) => source.split(':', 1)[0] ?? source))].sort();
}

function optionWords(options: ConnectOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(
    changedOptions({}, options).flatMap(({ option, to }) =>
      to === null || isSecretKey(option) ? [] : [[option, to]],
    ),
  );
}
