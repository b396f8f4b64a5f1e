/** avahi-daemon's interface on the system bus (its own *.xml files under /usr/share/dbus-1). */
export const AVAHI_NAME = 'org.freedesktop.Avahi';
export const SERVER_PATH = '/';
export const SERVER_INTERFACE = 'org.freedesktop.Avahi.Server';
export const BROWSER_INTERFACE = 'org.freedesktop.Avahi.ServiceBrowser';
export const RESOLVER_INTERFACE = 'org.freedesktop.Avahi.ServiceResolver';

/** AVAHI_IF_UNSPEC: all interfaces. */
export const ANY_INTERFACE = -1;
/** AVAHI_PROTO_UNSPEC: both. */
export const ANY_PROTOCOL = -1;
/** AVAHI_PROTO_INET, AVAHI_PROTO_INET6. */
export const PROTOCOL_NUMBER = { ipv4: 0, ipv6: 1 } as const;
/** AVAHI_LOOKUP_USE_MULTICAST. */
export const USE_MULTICAST = 2;
export const DOMAIN = 'local';

/** avahi-daemon answers from memory. libdbus's own limit is 25 s. */
export const CALL_TIMEOUT_MS = 20_000;
