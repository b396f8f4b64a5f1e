/** Names of the bus itself, and which texts can be names (D-Bus specification, "Valid Names"). */

export const busName = 'org.freedesktop.DBus';
export const busPath = '/org/freedesktop/DBus';

export const standardInterfaces = {
  introspectable: 'org.freedesktop.DBus.Introspectable',
  peer: 'org.freedesktop.DBus.Peer',
  properties: 'org.freedesktop.DBus.Properties',
} as const;

/** Error names that every D-Bus client knows. */
export const errorNames = {
  accessDenied: 'org.freedesktop.DBus.Error.AccessDenied',
  /** Here: the well-known name has an owner already. */
  addressInUse: 'org.freedesktop.DBus.Error.AddressInUse',
  authFailed: 'org.freedesktop.DBus.Error.AuthFailed',
  badAddress: 'org.freedesktop.DBus.Error.BadAddress',
  disconnected: 'org.freedesktop.DBus.Error.Disconnected',
  failed: 'org.freedesktop.DBus.Error.Failed',
  invalidArgs: 'org.freedesktop.DBus.Error.InvalidArgs',
  invalidSignature: 'org.freedesktop.DBus.Error.InvalidSignature',
  limitsExceeded: 'org.freedesktop.DBus.Error.LimitsExceeded',
  nameHasNoOwner: 'org.freedesktop.DBus.Error.NameHasNoOwner',
  noReply: 'org.freedesktop.DBus.Error.NoReply',
  noServer: 'org.freedesktop.DBus.Error.NoServer',
  propertyReadOnly: 'org.freedesktop.DBus.Error.PropertyReadOnly',
  serviceUnknown: 'org.freedesktop.DBus.Error.ServiceUnknown',
  unknownInterface: 'org.freedesktop.DBus.Error.UnknownInterface',
  unknownMethod: 'org.freedesktop.DBus.Error.UnknownMethod',
  unknownObject: 'org.freedesktop.DBus.Error.UnknownObject',
  unknownProperty: 'org.freedesktop.DBus.Error.UnknownProperty',
} as const;

const MAX_NAME_LENGTH = 255;

export function isObjectPath(text: string): boolean {
  return text === '/' || /^(?:\/[A-Za-z0-9_]+)+$/.test(text);
}

/** Also the form of an error name. */
export function isInterfaceName(text: string): boolean {
  return (
    text.length <= MAX_NAME_LENGTH &&
    /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$/.test(text)
  );
}

export function isMemberName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
}

/** A name that a service asks for, not one that the bus gives to a connection. */
export function isWellKnownName(text: string): boolean {
  return (
    text.length <= MAX_NAME_LENGTH &&
    /^[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+$/.test(text)
  );
}

/** The name that the bus gives to a connection: `:1.42`. */
export function isUniqueName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && /^:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/.test(text);
}

/** What can be the destination of a call and the sender of a signal. */
export function isBusName(text: string): boolean {
  return isUniqueName(text) || isWellKnownName(text);
}
