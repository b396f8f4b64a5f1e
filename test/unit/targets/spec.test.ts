import { describe, expect, it } from 'vitest';
import { numberedSubsystems, targetSpec, TargetSpecError } from '../../targets/spec.ts';

const port = { id: 1, transport: 'tcp', address: '127.0.0.1', service: '4420' };

/** Where in `document` the first mistake is. */
function placeOfError(document: unknown): string {
  try {
    targetSpec(document);
  } catch (error) {
    if (error instanceof TargetSpecError) return error.place;
    throw error;
  }
  return 'no error';
}

describe('a target document', () => {
  it('gets its defaults filled in', () => {
    const document = {
      ports: [{ id: 1, transport: 'tcp', address: '::1', referrals: [{ address: '10.0.0.1' }] }],
      subsystems: [{ nqn: 'nqn.a', ports: [1] }],
    };
    expect(targetSpec(document)).toEqual({
      ports: [
        {
          id: 1,
          transport: 'tcp',
          address: '::1',
          service: '4420',
          referrals: [{ address: '10.0.0.1', service: '8009', portId: 0 }],
        },
      ],
      subsystems: [
        { nqn: 'nqn.a', ports: [1], hosts: 'any', namespaces: [{ id: 1, sizeMiB: 64 }] },
      ],
    });
  });

  it('may be empty', () => {
    expect(targetSpec({})).toEqual({ ports: [], subsystems: [] });
  });

  it('takes a service as a number, a host as its NQN or with its keys', () => {
    const key = 'DHHC-1:00:bF0fAm0dP0EYjGkbUAmlb3g+vxEtQgx7QSmCm/3AkN06sdmm:';
    const hosts = ['nqn.h1', { nqn: 'nqn.h2', dhchapKey: key }];
    const spec = targetSpec({
      ports: [{ ...port, service: 8009 }],
      subsystems: [{ nqn: 'nqn.a', hosts }],
    });
    expect(spec.ports[0]).toMatchObject({ service: '8009' });
    expect(spec.subsystems[0]?.hosts).toEqual([
      { nqn: 'nqn.h1' },
      { nqn: 'nqn.h2', dhchapKey: key },
    ]);
  });

  it.each([
    ['not an object', [], ''],
    ['an unknown field', { port: [] }, ''],
    ['ports that are no list', { ports: {} }, 'ports'],
    ['a port number out of range', { ports: [{ ...port, id: 0 }] }, 'ports[0].id'],
    ['two ports of one number', { ports: [port, port] }, 'ports[1].id'],
    ['an unknown transport', { ports: [{ ...port, transport: 'pci' }] }, 'ports[0].transport'],
    ['a host name for an address', { ports: [{ ...port, address: 'a.b' }] }, 'ports[0].address'],
    ['a TCP port out of range', { ports: [{ ...port, service: '65536' }] }, 'ports[0].service'],
    [
      'a loop port with a service',
      { ports: [{ id: 1, transport: 'loop', service: '4420' }] },
      'ports[0].service',
    ],
    [
      'a Fibre Channel port with an IP address',
      { ports: [{ id: 1, transport: 'fc', address: '127.0.0.1' }] },
      'ports[0].address',
    ],
    ['an NQN with a slash', { subsystems: [{ nqn: 'nqn.a/b' }] }, 'subsystems[0].nqn'],
    [
      'an NQN of 224 bytes',
      { subsystems: [{ nqn: `nqn.${'a'.repeat(220)}` }] },
      'subsystems[0].nqn',
    ],
    [
      'a port that there is not',
      { subsystems: [{ nqn: 'nqn.a', ports: [1] }] },
      'subsystems[0].ports[0]',
    ],
    [
      'hosts that are no list',
      { subsystems: [{ nqn: 'nqn.a', hosts: 'all' }] },
      'subsystems[0].hosts',
    ],
    [
      'a namespace of no size',
      { subsystems: [{ nqn: 'nqn.a', namespaces: [{ id: 1, sizeMiB: 0 }] }] },
      'subsystems[0].namespaces[0].sizeMiB',
    ],
    [
      'a serial number of 21 bytes',
      { subsystems: [{ nqn: 'nqn.a', serial: 'S'.repeat(21) }] },
      'subsystems[0].serial',
    ],
    [
      'a key that is none',
      { subsystems: [{ nqn: 'nqn.a', hosts: [{ nqn: 'nqn.h', dhchapKey: 'secret' }] }] },
      'subsystems[0].hosts[0].dhchapKey',
    ],
    [
      'one host with two keys',
      {
        subsystems: [
          { nqn: 'nqn.a', hosts: ['nqn.h'] },
          { nqn: 'nqn.b', hosts: [{ nqn: 'nqn.h', dhchapKey: 'DHHC-1:00:YQ==:' }] },
        ],
      },
      'subsystems[1].hosts',
    ],
  ])('is refused for %s, and the place is named', (_what, document, place) => {
    expect(placeOfError(document)).toBe(place);
  });

  it('never shows a key in the error', () => {
    const hosts = [{ nqn: 'nqn.h', dhchapKey: 'DHHC-1:99:secret:' }];
    expect(() => targetSpec({ subsystems: [{ nqn: 'nqn.a', hosts }] })).toThrow(
      /^(?!.*secret).*DHHC-1:00/,
    );
  });
});

describe('numbered subsystems', () => {
  it('are a valid part of a document, as many as asked for', () => {
    const spec = targetSpec({ ports: [port], subsystems: numberedSubsystems(3, [1], 'nqn.s') });
    expect(spec.subsystems.map(({ nqn }) => nqn)).toEqual(['nqn.s1', 'nqn.s2', 'nqn.s3']);
  });
});
