/** What stacd makes of what it is told: each I/O controller, and what it does without and why. Pure. */
import { placeText } from '../config/problem.ts';
import type { SourceId } from '../core/plan-controllers.ts';
import { printTid, type TidKey } from '../nvme/transport-id.ts';
import {
  absenceRow,
  absencesOf,
  controllerRow,
  type Absence,
  type Explanation,
  type InWords,
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
  const { live, now, picture } = input;
  const inWords = wordsOf(input);
  return {
    controllers: live.map((record) => controllerRow(record, inWords(record.sources), now)),
    absent: absentIoControllers(input).map(absenceRow),
    notes: notes(picture),
  };
}

/** What is asked for and not managed. */
export function absentIoControllers(input: ExplainInput): readonly Absence[] {
  const { picture } = input;
  const wanted = wantedControllers(picture);
  return absencesOf({ ...input, config: picture.config, wanted }, wordsOf(input));
}

function wordsOf(input: ExplainInput): InWords {
  const words = sourceWords(input);
  return (sources) => [...sources].map(words);
}

/** Who asks for something, in words. */
export function sourceWords({
  configured,
  picture,
}: Pick<ExplainInput, 'configured' | 'picture'>): (source: SourceId) => string {
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
