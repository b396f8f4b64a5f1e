/** Runs `stasadm doctor`: looks at the host, judges, prints. Changes nothing. */
import type { Screen } from '../../ctl/text.ts';
import { examine } from './checks.ts';
import type { DoctorRequest } from './command.ts';
import { gather } from './gather/gather.ts';
import type { World } from './gather/world.ts';
import { isHealthy, renderDoctor, renderDoctorJson } from './render.ts';

export interface DoctorContext {
  readonly world: World;
  /** A program of the kind that loads libnvme: Node's. */
  readonly program: string;
  readonly screen: Screen;
  readonly stdout: (text: string) => void;
}

export const EXIT_UNHEALTHY = 1;

/** Resolves with the exit status: 0, or 1 if a check is a failure. */
export async function runDoctor(
  { output }: Pick<DoctorRequest, 'output'>,
  { program, screen, stdout, world }: DoctorContext,
): Promise<number> {
  const findings = examine(await gather(world, program));
  stdout(output === 'json' ? renderDoctorJson(findings) : renderDoctor(findings, screen));
  return isHealthy(findings) ? 0 : EXIT_UNHEALTHY;
}
