/** Host identifiers: the UUID that a controller knows a host by, beside its NQN. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Why `text` is not a host identifier, as words that continue "the host ID …", or undefined. */
export function checkHostId(text: string): string | undefined {
  if (!UUID.test(text)) return 'is not a UUID';
  // NVMe base 2.1: a host identifier of zero is none.
  return /[^0-]/.test(text) ? undefined : 'is a UUID of zeros';
}
