/**
 * Status of a completion: the 15-bit Status field without the phase tag, as the kernel and libnvme
 * print it: SC in bits 7:0, SCT in bits 10:8, DNR (Do Not Retry) in bit 14
 * (NVMe Base 2.1, Completion Queue Entry: Status Field).
 */
import { InputError } from './json.ts';

export const DNR = 0x4000;

export const Status = {
  success: 0x000,
  'invalid-opcode': 0x001,
  'invalid-field': 0x002,
  'data-transfer-error': 0x004,
  'internal-error': 0x006,
  'abort-requested': 0x007,
  'command-sequence-error': 0x00c,
  'invalid-sgl-type': 0x011,
  'operation-denied': 0x015,
  'keep-alive-expired': 0x019,
  'transient-transport-error': 0x022,
  'not-ready': 0x082,
  'abort-limit': 0x103,
  'async-event-limit': 0x105,
  'invalid-log-page': 0x109,
  'invalid-discovery-information': 0x12f,
  'insufficient-discovery-resources': 0x132,
  'requested-function-disabled': 0x133,
  'connect-incompatible-format': 0x180,
  'connect-controller-busy': 0x181,
  'connect-invalid-parameters': 0x182,
  'connect-restart-discovery': 0x183,
  'connect-invalid-host': 0x184,
  'discover-restart': 0x190,
  'authentication-required': 0x191,
} as const satisfies Readonly<Record<string, number>>;

/**
 * A status from JSON: the number itself, or a name of the table, with `+dnr` appended if the host
 * shall not retry.
 */
export function readStatus(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff) {
    return value;
  }
  if (typeof value === 'string') {
    const [name = '', suffix, ...rest] = value.split('+');
    const table: Readonly<Record<string, number>> = Status;
    const code = Object.hasOwn(table, name) ? table[name] : undefined;
    if (code !== undefined && rest.length === 0) {
      if (suffix === undefined) return code;
      if (suffix === 'dnr') return code | DNR;
    }
  }
  throw new InputError(path, 'is neither a status number nor a known status name (+dnr)');
}

/** The name of a status, for people who read the record; unknown ones in hexadecimal. */
export function statusName(status: number): string {
  for (const [name, code] of Object.entries(Status)) {
    if (code === (status & 0x7ff)) return status & DNR ? `${name}+dnr` : name;
  }
  return `0x${status.toString(16)}`;
}
