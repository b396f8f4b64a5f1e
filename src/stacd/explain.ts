/** What stacd makes of what it is told: each I/O controller, and what it does without and why. Pure. */
import { placeText } from '../config/problem.ts';
import type { SourceId } from '../core/plan-controllers.ts';
import { refusal } from '../core/refusal.ts';
import { printTid, type TidKey } from '../nvme/transport-id.ts';
import {
  absenceRow,
  controllerRow,
  type Absence,
  type AbsenceRule,
  type Explanation,
} from '../runtime/explain.ts';
import type { ConfiguredAnswer } from '../runtime/configured-controllers.ts';
import type { ControllerRecord } from '../runtime/controller-set.ts';
import { logSource, wantedControllers, type IocExtra, type StacdSnapshot } from './plan.ts';

export interface ExplainInput {
  readonly picture: StacdSnapshot;
  readonly configured: readonly ConfiguredAnswer[];
  readonly live: readonly ControllerRecord<IocExtra>[];
  /** Those that are being disconnected. */
  readonly disposing: ReadonlySet<TidKey>;
  /** Milliseconds, monotonic. */
  readonly now: number;
}

export function explainIoControllers(input: ExplainInput): Explanation {
  const { live, now } = input;
  const words = sourceWords(input);
  const inWords = (sources: ReadonlySet<SourceId>): readonly string[] => [...sources].map(words);
  return {
    controllers: live.map((record) => controllerRow(record, inWords(record.sources), now)),
    absent: absences(input, inWords).map(absenceRow),
    notes: notes(input.picture),
  };
}

function sourceWords({ configured, picture }: ExplainInput): (source: SourceId) => string {
  const words = new Map<SourceId, string>();
  for (const { place, source } of configured) {
    if (place !== undefined) words.set(source, `configured by ${placeText(place)}`);
  }
  const { discovery } = picture;
  for (const { tid } of discovery.kind === 'known' ? discovery.value.controllers : []) {
    words.set(logSource(tid), `listed by the discovery log of ${printTid(tid)}`);
  }
  const gone = (source: SourceId): string =>
    source.startsWith('log:')
      ? 'listed before by a discovery log that stafd does not have now'
      : 'configured before, and no longer';
  return (source) => words.get(source) ?? gone(source);
}

function absences(
  { configured, disposing, live, picture }: ExplainInput,
  inWords: (sources: ReadonlySet<SourceId>) => readonly string[],
): readonly Absence[] {
  const found: Absence[] = [];
  for (const { answer, source, tid } of configured) {
    if (answer.kind === 'known') continue;
    const sources = inWords(new Set([source]));
    found.push({ tid, rule: 'unresolved', why: answer.why, sources });
  }
  const there = new Set(live.map(({ driver }) => driver.key));
  for (const wanted of wantedControllers(picture).values()) {
    if (there.has(wanted.key)) continue;
    const refused = refusal(picture.config, wanted.tid);
    const rule: AbsenceRule = refused === undefined ? 'disconnecting' : 'refused';
    // What is neither was heard of a moment ago, and is added by the next pass.
    if (refused === undefined && !disposing.has(wanted.key)) continue;
    const why = refused ?? 'it is disconnected first, and connected again when that is done';
    found.push({ tid: wanted.tid, rule, why, sources: inWords(wanted.sources) });
  }
  return found;
}

function notes({ discovery }: StacdSnapshot): readonly string[] {
  if (discovery.kind === 'unknown')
    return [`What discovery logs list is not known: ${discovery.why}`];
  const unsettled = discovery.value.settled
    ? []
    : ['stafd has not found all discovery controllers yet'];
  const unread = discovery.value.controllers.flatMap(({ log, tid }) =>
    log.kind === 'known' ? [] : [`The discovery log of ${printTid(tid)} is not known: ${log.why}`],
  );
  return [...unsettled, ...unread];
}
