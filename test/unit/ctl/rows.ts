/** Rows of the interfaces of version 1, in plain values. */

/** A controller with what a test says of it; connected, and nothing more, unless it says otherwise. */
export function row(
  traddr: string,
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    ...{ transport: 'tcp', traddr, trsvcid: '4420', subsysnqn: `nqn.of-${traddr}` },
    ...{ 'host-traddr': '', 'host-iface': '', 'host-nqn': '' },
    ...{ device: '', 'kernel-state': '', state: 'connected' },
    ...{ why: '', next: '', attempts: 0, sources: [] },
    ...{ 'last-error': '', 'last-error-code': '', 'kept-because': '' },
    ...fields,
  };
}
