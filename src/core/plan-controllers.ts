/**
 * Which controllers to add and to remove. Pure, and the one place that decides a removal, so that
 * both daemons keep the same promise: a controller is removed only on positive evidence.
 *
 * Every controller carries the sources that asked for it. It is removed when it is refused (by
 * exclusion or another explicit setting), or when no source asks for it any more and each of its
 * sources is *known* not to. A source that cannot be asked keeps what it once asked for.
 */
import type { TidKey, TransportId } from '../nvme/transport-id.ts';
import { BY_SETTING } from './removal-brake.ts';

/** Names one source of controllers, e.g. `configured:…` or `log:…`; made by the daemons. */
export type SourceId = string;

/**
 * `absent`: the source was asked and does not list it. `unknown`: it could not be asked. `statedAt`:
 * when the source said so, milliseconds; BY_SETTING where it is a setting of this host.
 */
export type SourceEvidence =
  | { readonly kind: 'absent'; readonly why: string; readonly statedAt: number }
  | { readonly kind: 'unknown'; readonly why: string };

export interface WantedController<Extra> {
  readonly key: TidKey;
  readonly tid: TransportId;
  readonly sources: ReadonlySet<SourceId>;
  readonly extra: Extra;
}

/** One that is being put together. */
export interface GatheredController<Extra> extends WantedController<Extra> {
  /** May be another's, too: a source more comes by {@link addSource} alone. */
  sources: ReadonlySet<SourceId>;
  /** `sources`, once they are its own. */
  own: Set<SourceId> | undefined;
  extra: Extra;
}

/** One more source asks for it. Sets are the largest part of what a plan is made of. */
export function addSource(controller: GatheredController<unknown>, source: SourceId): void {
  if (controller.sources.has(source)) return;
  controller.own ??= new Set(controller.sources);
  controller.own.add(source);
  controller.sources = controller.own;
}

export function sameSources(one: ReadonlySet<SourceId>, other: ReadonlySet<SourceId>): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  for (const source of one) if (!other.has(source)) return false;
  return true;
}

export interface ExistingController {
  readonly key: TidKey;
  readonly tid: TransportId;
  readonly sources: ReadonlySet<SourceId>;
}

export type ControllerAction<Extra> =
  | { readonly kind: 'add'; readonly wanted: WantedController<Extra> }
  /** It stays; `sources` are those that ask for it or that could not be asked. */
  | {
      readonly kind: 'keep';
      readonly key: TidKey;
      readonly sources: ReadonlySet<SourceId>;
      readonly wanted: WantedController<Extra> | undefined;
      /** Why it stays although nobody asks for it now. */
      readonly why: string | undefined;
    }
  | {
      readonly kind: 'remove';
      readonly key: TidKey;
      readonly why: string;
      /** When the oldest of the statements was made that it rests on; see SourceEvidence. */
      readonly statedAt: number;
    };

export interface ControllerPlanInput<Extra> {
  readonly existing: readonly ExistingController[];
  readonly wanted: ReadonlyMap<TidKey, WantedController<Extra>>;
  /** Of an existing controller that this source does not list now. */
  evidence(source: SourceId, controller: ExistingController): SourceEvidence;
  /** An explicit setting that forbids this controller, in words, or undefined. */
  refusal(tid: TransportId): string | undefined;
}

export function planControllers<Extra>(
  input: ControllerPlanInput<Extra>,
): readonly ControllerAction<Extra>[] {
  const actions: ControllerAction<Extra>[] = [];
  const existingKeys = new Set<TidKey>();
  for (const controller of input.existing) {
    existingKeys.add(controller.key);
    actions.push(decide(input, controller));
  }
  for (const wanted of input.wanted.values()) {
    if (!existingKeys.has(wanted.key) && input.refusal(wanted.tid) === undefined) {
      actions.push({ kind: 'add', wanted });
    }
  }
  return actions;
}

const NONE: ReadonlySet<SourceId> = new Set();

function decide<Extra>(
  input: ControllerPlanInput<Extra>,
  controller: ExistingController,
): ControllerAction<Extra> {
  const refusal = input.refusal(controller.tid);
  if (refusal !== undefined) {
    return { kind: 'remove', key: controller.key, why: refusal, statedAt: BY_SETTING };
  }
  const wanted = input.wanted.get(controller.key);
  let sources: ReadonlySet<SourceId> = wanted?.sources ?? NONE;
  if (wanted !== undefined && sources === controller.sources) {
    return { kind: 'keep', key: controller.key, sources, wanted, why: undefined };
  }
  let unknownWhy: string | undefined;
  let absentWhy = 'nothing asks for it';
  let statedAt = BY_SETTING;
  for (const source of controller.sources) {
    if (sources.has(source)) continue;
    const evidence = input.evidence(source, controller);
    if (evidence.kind === 'unknown') {
      sources = new Set(sources).add(source);
      unknownWhy = evidence.why;
    } else {
      absentWhy = evidence.why;
      statedAt = Math.min(statedAt, evidence.statedAt);
    }
  }
  if (wanted !== undefined) {
    return { kind: 'keep', key: controller.key, sources, wanted, why: undefined };
  }
  if (sources.size > 0) {
    return { kind: 'keep', key: controller.key, sources, wanted: undefined, why: unknownWhy };
  }
  return { kind: 'remove', key: controller.key, why: absentWhy, statedAt };
}
