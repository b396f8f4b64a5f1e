/** What stafd makes of what it is told: each DC, and what it does without and why. Pure. */
import { isBootSource } from '../core/boot-controllers.ts';
import { placeText } from '../config/problem.ts';
import type { SourceId } from '../core/plan-controllers.ts';
import { refusal } from '../core/refusal.ts';
import { escapeText } from '../nvme/escape.ts';
import { printTid, tidKey, type TidKey } from '../nvme/transport-id.ts';
import {
  absenceRow,
  absencesOf,
  controllerRow,
  retryOf,
  type Absence,
  type Explanation,
  type InWords,
} from '../runtime/explain.ts';
import type { ConfiguredAnswer } from '../runtime/configured-controllers.ts';
import { MDNS_SOURCE, referrerOf, wantedControllers, type StafdSnapshot } from './plan.ts';
import type { DcRecord, Unanswered } from './service-types.ts';

export interface ExplainInput {
  readonly picture: StafdSnapshot;
  /** Of the configuration and the boot firmware. */
  readonly configured: readonly ConfiguredAnswer[];
  readonly unanswered: readonly Unanswered[];
  /** Of what mDNS announces. */
  readonly complaints: readonly string[];
  readonly live: readonly DcRecord[];
  /** Those that are being disconnected. */
  readonly disposing: ReadonlySet<TidKey>;
}

export function explainDiscoveryControllers(input: ExplainInput): Explanation {
  const { live, picture } = input;
  const inWords = wordsOf(input);
  return {
    controllers: live.map((record) => controllerRow(record, inWords(record.sources), picture.now)),
    absent: absentDiscoveryControllers(input).map(absenceRow),
    notes: notes(input),
  };
}

function sourceWords({ configured, live }: ExplainInput): (source: SourceId) => string {
  const lines = new Map(configured.map(({ place, source }) => [source, place]));
  const byKey = new Map(live.map(({ driver: { key, tid } }) => [key, tid]));
  return (source) => {
    if (source === MDNS_SOURCE) return 'announced by mDNS';
    if (isBootSource(source)) return `boot firmware table ${escapeText(source, 256)}`;
    const referrer = referrerOf(source);
    if (referrer !== undefined) {
      const tid = byKey.get(referrer);
      return tid === undefined ? 'referred to before' : `referred to by ${printTid(tid)}`;
    }
    const place = lines.get(source);
    return place === undefined
      ? 'configured before, and no longer'
      : `configured by ${placeText(place)}`;
  };
}

function wordsOf(input: ExplainInput): InWords {
  const words = sourceWords(input);
  return (sources) => [...sources].map(words);
}

/** What is asked for and not managed. */
export function absentDiscoveryControllers(input: ExplainInput): readonly Absence[] {
  const { live, picture, unanswered } = input;
  const inWords = wordsOf(input);
  const { config, configured, controllers, now } = picture;
  const byKey = new Map(controllers.map((dc) => [dc.key, dc]));
  const bySource = new Map(configured.map((entry) => [entry.source, entry]));
  const { wanted } = wantedControllers(picture, byKey, bySource);
  const there = new Set(live.map(({ driver }) => driver.key));
  const sources = inWords(new Set([MDNS_SOURCE]));
  const silent = unanswered.filter(({ tid }) => !there.has(tidKey(tid)));
  return [
    ...silent.map(({ failing, tid, why }): Absence => {
      const refused = refusal(config, tid);
      return refused === undefined
        ? {
            tid,
            rule: 'unreachable',
            why,
            sources,
            retry: retryOf(failing, 'it is tried again', now),
          }
        : { tid, rule: 'refused', why: refused, sources };
    }),
    ...absencesOf({ ...input, config, now, wanted }, inWords),
  ];
}

/** Of what one stranger may announce thousands of. */
const MAX_COMPLAINTS = 20;

function notes({ complaints, live, picture }: ExplainInput): readonly string[] {
  const { bootDoubt, mdns } = picture;
  const doubts = [
    ...(mdns.incomplete === undefined ? [] : [`mDNS may announce more: ${mdns.incomplete}`]),
    ...(bootDoubt === undefined ? [] : [`The boot firmware may list more: ${bootDoubt}`]),
  ];
  const unread = live.flatMap(({ driver, extra: { log } }) =>
    log.kind === 'known'
      ? []
      : [`The discovery log of ${printTid(driver.tid)} is not known: ${log.why}`],
  );
  const refused = live.flatMap(({ driver, extra: { refusal: why } }) =>
    why === undefined
      ? []
      : [`An entry of the discovery log of ${printTid(driver.tid)} is not used: ${why}`],
  );
  const more = complaints.length - MAX_COMPLAINTS;
  const rest = more > 0 ? [`${String(more)} more mDNS services are not used`] : [];
  return [...doubts, ...unread, ...refused, ...complaints.slice(0, MAX_COMPLAINTS), ...rest];
}
