import { describe, expect, it } from 'vitest';
import { socketsOf, systemBusAddress } from '../../../../src/platform/dbus/address.ts';

describe('bus addresses', () => {
  it.each([
    ['unix:path=/run/dbus/system_bus_socket', ['/run/dbus/system_bus_socket']],
    ['unix:path=/run/a%20b%2cc,guid=00', ['/run/a b,c']],
    ['unix:abstract=/tmp/x', ['\0/tmp/x']],
    ['tcp:host=localhost,port=1;unix:guid=0,path=/a;unix:path=/b', ['/a', '/b']],
  ])('%s names its sockets', (address, sockets) => {
    expect(socketsOf(address)).toEqual(sockets);
  });

  it.each(['', 'unix:', 'unix:tmpdir=/tmp', 'tcp:host=localhost', 'unix:path=%zz', '/run/dbus'])(
    '"%s" is refused',
    (address) => {
      expect(() => socketsOf(address)).toThrow(
        expect.objectContaining({ errorName: 'org.freedesktop.DBus.Error.BadAddress' }),
      );
    },
  );

  it('come from the environment or from convention', () => {
    expect(systemBusAddress({ DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/x' })).toBe('unix:path=/x');
    for (const environment of [{}, { DBUS_SYSTEM_BUS_ADDRESS: '' }]) {
      expect(systemBusAddress(environment)).toBe('unix:path=/run/dbus/system_bus_socket');
    }
  });
});
