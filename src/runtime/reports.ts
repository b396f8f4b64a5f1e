/** Log lines for what happens to a controller: one when a spell begins, one when it ends. */
import type { Report } from '../core/controller-model.ts';
import { opWords, standing } from '../core/standing.ts';
import { printTid, type TransportId } from '../nvme/transport-id.ts';
import type { Log, LogFields } from '../ports/log.ts';
import type { ControllerDriver } from './controller-driver.ts';

/** What `journalctl NVME_SUBSYSNQN=…` and the like find a line by. */
export function controllerFields(
  tid: Pick<TransportId, 'subsysnqn' | 'traddr' | 'trsvcid'>,
  device?: string,
): LogFields {
  return {
    NVME_TRADDR: tid.traddr,
    NVME_TRSVCID: tid.trsvcid,
    NVME_SUBSYSNQN: tid.subsysnqn,
    ...(device === undefined ? {} : { NVME_DEVICE: device }),
  };
}

/** For tracing: where a controller stands now. */
export function logState(log: Log, { kernel, model, tid }: ControllerDriver): void {
  if (!log.tracing) return;
  const { state, why } = standing(model, 0);
  const because = why === '' ? '' : `: ${why}`;
  log.debug(`${printTid(tid)} - Now ${state}${because}`, controllerFields(tid, kernel?.device));
}

export function logReport(
  log: Log,
  tid: TransportId,
  device: string | undefined,
  report: Report,
): void {
  const name = 'device' in report ? report.device : device;
  const fields = controllerFields(tid, name);
  const prefix = name === undefined ? printTid(tid) : `${printTid(tid)} | ${name}`;
  switch (report.kind) {
    case 'connected': {
      const how = report.adopted ? 'Connection found and taken over' : 'Connection established';
      const tries = report.attempts > 1 ? ` after ${String(report.attempts)} attempts` : '';
      log.info(`${prefix} - ${how}${tries}`, fields);
      return;
    }
    case 'connect-failed': {
      const hung =
        report.hungMs === undefined
          ? ''
          : `, when nothing else waits: it held up every other connect for ${seconds(report.hungMs)} s`;
      const text = `${prefix} - Failed to connect: ${report.error.message}. Retry in ${seconds(report.delayMs)} s${hung}`;
      if (report.first) log.error(text, fields);
      else log.debug(text, fields);
      return;
    }
    case 'held':
      log.info(
        `${prefix} - Not connected to the CDC (NCC): stopped after ${String(report.attempts)} attempts`,
        fields,
      );
      return;
    case 'lost':
      log.warning(`${prefix} - The kernel removed the controller; connecting again`, fields);
      return;
    case 'interrupted':
      log.warning(
        `${prefix} - The connection is lost; the kernel tries to make it again (${report.state})`,
        fields,
      );
      return;
    case 'restored': {
      const how = report.noticed
        ? 'The connection is back'
        : 'The connection was lost, and the kernel has made it again';
      log.notice(`${prefix} - ${how}`, fields);
      return;
    }
    case 'op-failed': {
      const text = `${prefix} - Failed to ${opWords(report.op)}: ${report.error.message}. Retry in ${seconds(report.delayMs)} s`;
      if (report.first) log.error(text, fields);
      else log.debug(text, fields);
      return;
    }
    case 'op-refused': {
      const text = `${prefix} - The controller refused to ${opWords(report.op)}: ${report.error.message}`;
      // Many have no such log page; nothing is lost without it.
      if (report.op === 'read-support') log.debug(text, fields);
      else log.warning(text, fields);
      return;
    }
    case 'parting':
      log.info(
        `${prefix} - Keeps no persistent connections: disconnecting, to look again in ${seconds(report.everyMs)} s`,
        fields,
      );
      return;
    case 'disconnecting':
      log.info(`${prefix} - Disconnect initiated`, fields);
      return;
    case 'disconnected':
      log.info(`${prefix} - Disconnected`, fields);
      return;
    case 'spared':
      log.notice(`${prefix} - The connection stays: it is ${report.why}`, fields);
      return;
    case 'disconnect-failed':
      log.error(`${prefix} - Failed to disconnect: ${report.error.message}`, fields);
      return;
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
