/** Connections that are to be dropped, as the removal brake and the log know them. */
import { isIoController } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { LogFields } from '../ports/log.ts';
import type { KernelSnapshot } from '../runtime/kernel-index.ts';
import { controllerFields } from '../runtime/reports.ts';
import type { Ending } from '../runtime/plan-rules.ts';
import { UNWANTED, type Unwanted } from './audit.ts';
import type { IocExtra, StacdSnapshot } from './plan.ts';
import type { BrakeLimits, Drop } from './removal-brake.ts';

/** A controller of stacd that is to go. */
export function ownDrop({ record: { driver }, statedAt, why }: Ending<IocExtra>): Drop {
  const { key, tid } = driver;
  // What is never disconnected is no loss.
  const kernel = driver.untouchable === undefined ? driver.kernel : undefined;
  const fields = controllerFields(tid, kernel?.device);
  return { key, name: printTid(tid), fields, kernel, why, statedAt };
}

/** A connection of others that is to go. */
export function othersDrop({ kernel, statedAt }: Unwanted): Drop {
  const [name, fields] = [kernelName(kernel), kernelFields(kernel)];
  return { key: kernel.instance, name, fields, kernel, why: UNWANTED, statedAt };
}

/** For a log line. */
export function kernelName({
  device,
  subsysnqn,
  traddr,
  transport,
  trsvcid,
}: KernelController): string {
  return `(${transport}, ${traddr}, ${trsvcid}, ${subsysnqn}) | ${device}`;
}

export function kernelFields(kernel: KernelController): LogFields {
  return controllerFields(kernel, kernel.device);
}

/** Of those that stacd manages. */
export function ownLimits({ config, connected }: StacdSnapshot): BrakeLimits {
  return { connections: connected.size, limit: config.disconnectLimit };
}

/** Of all that the kernel has, whoever made it. */
export function auditLimits({ config }: StacdSnapshot, kernel: KernelSnapshot): BrakeLimits {
  const all = [...kernel.values()].filter((it) => it.transport !== 'pcie' && isIoController(it));
  return { connections: all.length, limit: config.disconnectLimit };
}
