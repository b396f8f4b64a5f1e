import { errorNames } from '../platform/dbus/names.ts';
import { BusError } from '../ports/bus.ts';
import { UnexpectedAnswer } from './daemon.ts';
import { shown } from './text.ts';
import type { Tool } from './tools.ts';

/** What went wrong when a daemon was asked, and what to do about it, in one line. */
export function explainFailure(daemon: Tool['daemon'], thrown: unknown): string {
  if (thrown instanceof UnexpectedAnswer) {
    return `${daemon} gave an answer that cannot be understood (${thrown.message})`;
  }
  if (!(thrown instanceof BusError)) {
    return thrown instanceof Error ? shown(thrown.message) : shown(String(thrown));
  }
  const text = shown(thrown.message);
  switch (thrown.errorName) {
    case errorNames.serviceUnknown:
    case errorNames.nameHasNoOwner:
      return `${daemon} is not running; start it with: systemctl start ${daemon}`;
    case errorNames.noServer:
    case errorNames.badAddress:
    case errorNames.authFailed:
      return `cannot reach ${daemon}: ${text}; start it with: systemctl start dbus ${daemon}`;
    case errorNames.noReply:
    case errorNames.disconnected:
      return `${daemon} does not answer (${text}); see: systemctl status ${daemon}`;
    case errorNames.accessDenied:
      return `access to ${daemon} is denied; try it as root`;
    case errorNames.unknownInterface:
    case errorNames.unknownMethod:
    case errorNames.unknownObject:
      return `${daemon} is of a version that cannot answer this (${text})`;
    default:
      return `${daemon} refused: ${text} (${shown(thrown.errorName)})`;
  }
}
