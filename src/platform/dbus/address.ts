/** D-Bus server addresses (D-Bus specification, "Server Addresses"): the sockets named in a list. */
import { BusError } from '../../ports/bus.ts';
import { errorNames } from './names.ts';

/** Where the system bus is unless DBUS_SYSTEM_BUS_ADDRESS says otherwise. */
const DEFAULT_SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

function unescape(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new BusError(errorNames.badAddress, `bad escape in the bus address "${value}"`);
  }
}

/** The socket of one address; `\0name` for an abstract one; undefined for other transports. */
function socketOf(address: string): string | undefined {
  const colon = address.indexOf(':');
  if (address.slice(0, colon) !== 'unix') return undefined;
  for (const pair of address.slice(colon + 1).split(',')) {
    const equals = pair.indexOf('=');
    const value = unescape(pair.slice(equals + 1));
    switch (pair.slice(0, equals)) {
      case 'path':
        return value;
      case 'abstract':
        return `\0${value}`;
      default:
        break;
    }
  }
  return undefined;
}

/** The Unix sockets of a `;` separated list, in order. Throws BusError (BadAddress) for none. */
export function socketsOf(addresses: string): readonly string[] {
  const sockets = addresses
    .split(';')
    .map((address) => socketOf(address))
    .filter((socket) => socket !== undefined);
  if (sockets.length > 0) return sockets;
  throw new BusError(errorNames.badAddress, `no Unix socket in the bus address "${addresses}"`);
}

/** The address of the system bus of this process. */
export function systemBusAddress(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const { DBUS_SYSTEM_BUS_ADDRESS: address } = environment;
  return address === undefined || address === '' ? DEFAULT_SYSTEM_BUS : address;
}
