/**
 * Controllers as the dictionaries of strings that D-Bus clients read: a public interface, whose
 * keys and spelling (`True`, `60.0s [off]`) are those of nvme-stas 2.4.1. Keys may be added.
 */
import { optionsToDict } from '../config/connect-option.ts';
import type { ControllerModel, DiscoveryOp } from '../core/controller-model.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { tidToDict } from '../nvme/transport-id.ts';
import type { ControllerDriver } from './controller-driver.ts';

/** The device name while there is none. */
export const NO_DEVICE = 'nvme?';

/** Booleans as Python prints them. */
export function word(value: boolean): string {
  return value ? 'True' : 'False';
}

/** A timer: `60.0s [off]`, `3.0s [1.8s]`. Milliseconds in. */
export function timerText(periodMs: number, remainingMs: number | undefined): string {
  const remaining =
    remainingMs === undefined ? 'off' : `${(Math.max(0, remainingMs) / 1000).toFixed(1)}s`;
  return `${(periodMs / 1000).toFixed(1)}s [${remaining}]`;
}

/** Local time as C's asctime writes it: `Sun Jun  1 09:05:03 2025`. */
export function asctime(date: Date): string {
  const [weekday = '', month = '', , year = '', time = ''] = date.toString().split(' ');
  return `${weekday} ${month} ${String(date.getDate()).padStart(2)} ${time} ${year}`;
}

export function deviceOf(driver: ControllerDriver): string {
  return driver.kernel?.device ?? NO_DEVICE;
}

/** TID, device and the connection options that its configuration names; never a secret. */
export function controllerId(
  driver: ControllerDriver,
  options: ConnectOptions,
): Record<string, string> {
  return { ...tidToDict(driver.tid), ...optionsToDict(options), device: deviceOf(driver) };
}

/** `controllerId` and the state, without what sysfs says. */
export function controllerInfo(
  driver: ControllerDriver,
  options: ConnectOptions,
  now: number,
): Record<string, string> {
  const { model } = driver;
  const { phase } = model;
  const remaining = phase.kind === 'waiting-retry' ? phase.until - now : undefined;
  const info = {
    ...controllerId(driver, options),
    'connect attempts': String(model.attempts),
    'retry connect timer': timerText(remaining ?? 60_000, remaining),
    state: stateText(model),
  };
  const poll =
    phase.kind === 'resting'
      ? { 'poll timer': timerText(phase.everyMs, phase.until - now) }
      : undefined;
  const error = model.lastError === undefined ? {} : { 'last error': model.lastError.message };
  return { ...info, ...poll, ...error, ...operations(model, now) };
}

/** `controllerInfo` and what sysfs says of the device. */
export function controllerDetails(
  driver: ControllerDriver,
  options: ConnectOptions,
  now: number,
): Record<string, string> {
  const { kernel } = driver;
  return {
    ...controllerInfo(driver, options, now),
    hostid: kernel?.hostid ?? '',
    hostnqn: kernel?.hostnqn ?? '',
    model: kernel?.model ?? '',
    serial: kernel?.serial ?? '',
    dctype: kernel?.dctype ?? '',
    cntrltype: kernel?.cntrltype ?? '',
    'kernel state': kernel?.state ?? '',
    connected: word(driver.model.phase.kind === 'connected'),
  };
}

/** One or two words for people: what the controller is doing. */
export function stateText(model: ControllerModel): string {
  const { phase } = model;
  switch (phase.kind) {
    case 'idle':
    case 'probing':
    case 'queued':
    case 'connecting':
    case 'gone':
      return phase.kind;
    case 'waiting-retry':
      return 'waiting to retry';
    case 'held':
      return 'held (not connected to CDC)';
    case 'parting':
      return 'disconnecting until the next poll';
    case 'resting':
      return 'disconnected until the next poll';
    case 'disposing':
      return 'disconnecting';
    case 'connected':
      switch (phase.work.kind) {
        case 'none':
        case 'steady':
          return 'connected';
        case 'running':
          return `connected, ${opText(phase.work.op)}`;
        case 'waiting':
          return `connected, retrying: ${opText(phase.work.op)}`;
      }
  }
}

function opText(op: DiscoveryOp): string {
  switch (op) {
    case 'register':
      return 'registering';
    case 'read-support':
      return 'reading supported log pages';
    case 'read-log':
      return 'reading discovery log page';
  }
}

const OPERATION_KEYS: Readonly<Record<DiscoveryOp, string>> = {
  register: 'register operation',
  'read-support': 'get supported log page operation',
  'read-log': 'get log page operation',
};

/** Operations in progress, in the form of the original's dictionaries. */
function operations(model: ControllerModel, now: number): Record<string, string> {
  const { phase } = model;
  if (phase.kind === 'connecting') {
    return { 'connect operation': operation(model.attempts, false) };
  }
  if (phase.kind !== 'connected') return {};
  switch (phase.work.kind) {
    case 'running':
      return { [OPERATION_KEYS[phase.work.op]]: operation(model.opFailures, false) };
    case 'waiting': {
      const retry = timerText(20_000, phase.work.until - now);
      const text = `{'fail count': ${String(model.opFailures)}, 'completed': True, 'alive': True, 'retry timer': '${retry}'}`;
      return { [OPERATION_KEYS[phase.work.op]]: text };
    }
    case 'none':
    case 'steady':
      return {};
  }
}

function operation(failures: number, completed: boolean): string {
  return `{'fail count': ${String(failures)}, 'completed': ${word(completed)}, 'alive': True}`;
}
