/** All checks, in the order in which they are told. Pure. */
import type { Check } from './check.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { IDENTITY_CHECKS } from './identity-checks.ts';
import { KERNEL_CHECKS } from './kernel-checks.ts';
import { NETWORK_CHECKS } from './network-checks.ts';
import { SERVICE_CHECKS } from './service-checks.ts';

export const CHECKS: readonly Check[] = [
  ...KERNEL_CHECKS,
  ...IDENTITY_CHECKS,
  ...SERVICE_CHECKS,
  ...NETWORK_CHECKS,
];

export function examine(facts: Facts): readonly Finding[] {
  return CHECKS.flatMap(({ id, judge, title }) => {
    const verdict = judge(facts);
    return verdict === undefined ? [] : [{ id, title, ...verdict }];
  });
}
