/** Runs `stasadm doctor`: has the host looked at, judges, prints. Changes nothing. */
import type { Screen } from '../../ctl/text.ts';
import { examine } from './checks.ts';
import type { DoctorRequest } from './command.ts';
import type { Facts } from './facts.ts';
import { isHealthy, renderDoctor, renderDoctorJson } from './render.ts';

export interface DoctorContext {
  /** Looks at the host. */
  readonly gather: () => Promise<Facts>;
  readonly screen: Screen;
  readonly stdout: (text: string) => void;
}

export const EXIT_UNHEALTHY = 1;

/** Resolves with the exit status: 0, or 1 if a check is a failure. */
export async function runDoctor(
  { output }: Pick<DoctorRequest, 'output'>,
  { gather, screen, stdout }: DoctorContext,
): Promise<number> {
  const findings = examine(await gather());
  stdout(output === 'json' ? renderDoctorJson(findings) : renderDoctor(findings, screen));
  return isHealthy(findings) ? 0 : EXIT_UNHEALTHY;
}
