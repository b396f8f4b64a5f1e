/** What `stasadm doctor` prints. Pure: findings in, text out. */
import { json, paint, shown, type Screen, type Tone } from '../../ctl/text.ts';
import { SEVERITIES, type Finding, type Severity } from './finding.ts';

const TONES: Readonly<Record<Severity, Tone>> = {
  ok: 'good',
  warning: 'waiting',
  failure: 'bad',
  unknown: 'faint',
};

const WIDTH = Math.max(...SEVERITIES.map((severity) => severity.length));

export function countOf(findings: readonly Finding[], severity: Severity): number {
  return findings.filter((finding) => finding.severity === severity).length;
}

export function isHealthy(findings: readonly Finding[]): boolean {
  return countOf(findings, 'failure') === 0;
}

function line(finding: Finding, screen: Screen): string {
  const { seen, severity, title } = finding;
  const word = paint(severity, TONES[severity], screen) + ' '.repeat(WIDTH - severity.length);
  const remedy = finding.severity === 'ok' ? '' : ` → ${shown(finding.remedy)}`;
  return `${word}  ${title}: ${shown(seen)}${remedy}`;
}

function summary(findings: readonly Finding[]): string {
  const counts = SEVERITIES.map((severity) => `${String(countOf(findings, severity))} ${severity}`);
  return `${String(findings.length)} checks: ${counts.join(', ')}`;
}

/** For people: a line a check, and one that counts them. Ends with a newline. */
export function renderDoctor(findings: readonly Finding[], screen: Screen): string {
  const lines = findings.map((finding) => line(finding, screen));
  return `${[...lines, summary(findings)].join('\n')}\n`;
}

/**
 * For programs: `{version, healthy, counts: {ok, warning, failure, unknown}, findings: [{id, title,
 * severity, seen, remedy?}]}`. Keys and checks may be added within a version. Ends with a newline.
 */
export function renderDoctorJson(findings: readonly Finding[]): string {
  const counts = Object.fromEntries(
    SEVERITIES.map((severity) => [severity, countOf(findings, severity)]),
  );
  return `${json({ version: 1, healthy: isHealthy(findings), counts, findings })}\n`;
}
