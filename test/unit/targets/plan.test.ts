import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeState, plan } from '../../targets/plan.ts';
import { type TargetDocument, type TargetSpec, targetSpec } from '../../targets/spec.ts';
import { ConfigfsModel } from './configfs-model.ts';

const port = { id: 1, transport: 'tcp', address: '127.0.0.1', service: '4420' } as const;

function modelOf(...documents: readonly TargetDocument[]): ConfigfsModel {
  const model = new ConfigfsModel();
  for (const document of documents) model.apply(plan(model, targetSpec(document)));
  return model;
}

describe('the plan for a target', () => {
  it('makes ports, subsystems, namespaces, hosts and referrals', () => {
    const document = {
      ports: [{ ...port, referrals: [{ address: 'fd00::1', service: '8009', portId: 7 }] }],
      subsystems: [
        {
          nqn: 'nqn.a',
          ports: [1],
          hosts: ['nqn.h'],
          namespaces: [{ id: 3, sizeMiB: 128 }],
          serial: 'S1',
          model: 'M 1',
        },
      ],
    };
    expect(describeState(modelOf(document))).toEqual(document);
  });

  it('gives a loop port the word that hosts name it by, or none', () => {
    const ports = [
      { id: 1, transport: 'loop', address: 'inside' },
      { id: 2, transport: 'loop' },
    ] as const;
    const model = modelOf({ ports });
    expect(model.attributes.get('nvmet/ports/1/addr_traddr')).toBe('inside');
    expect(describeState(model)).toMatchObject({ ports });
    expect(plan(model, targetSpec({ ports }))).toEqual([]);
  });

  it('makes ports of RDMA and Fibre Channel', () => {
    const wwns = 'nn-0x1000000000000001:pn-0x2000000000000001';
    const ports = [
      { id: 1, transport: 'rdma', address: '10.0.0.1', service: '4420', referrals: [] },
      { id: 2, transport: 'fc', address: wwns, referrals: [] },
    ] as const;
    const model = modelOf({ ports });
    expect(model.attributes.get('nvmet/ports/2/addr_adrfam')).toBe('fc');
    expect(describeState(model)).toMatchObject({ ports });
    expect(plan(model, targetSpec({ ports }))).toEqual([]);
  });

  it('is empty when everything is as asked', () => {
    const document = { ports: [port], subsystems: [{ nqn: 'nqn.a', ports: [1] }] };
    expect(plan(modelOf(document), targetSpec(document))).toEqual([]);
  });

  it('leaves subsystems alone that stay as they are', () => {
    const [a, b] = [
      { nqn: 'nqn.a', ports: [1] },
      { nqn: 'nqn.b', ports: [1] },
    ];
    const steps = plan(
      modelOf({ ports: [port], subsystems: [a] }),
      targetSpec({ ports: [port], subsystems: [a, b] }),
    );
    expect(steps.filter((step) => JSON.stringify(step).includes('nqn.a'))).toEqual([]);
    expect(steps.length).toBeGreaterThan(0);
  });

  it('makes a subsystem anew when its serial number changes', () => {
    const subsystem = { nqn: 'nqn.a', ports: [1], serial: 'S1' };
    const changed = { ports: [port], subsystems: [{ ...subsystem, serial: 'S2' }] };
    const before = modelOf({ ports: [port], subsystems: [subsystem] });
    const steps = plan(before, targetSpec(changed));
    expect(steps).toContainEqual({ kind: 'rmdir', path: 'nvmet/subsystems/nqn.a' });
    before.apply(steps);
    expect(describeState(before)).toMatchObject(changed);
  });

  it('changes who may connect without making the subsystem anew', () => {
    const before = modelOf({ ports: [port], subsystems: [{ nqn: 'nqn.a', ports: [1] }] });
    const subsystems = [{ nqn: 'nqn.a', ports: [1], hosts: ['nqn.h'] }];
    const steps = plan(before, targetSpec({ ports: [port], subsystems }));
    expect(steps.filter(({ kind }) => kind === 'rmdir')).toEqual([]);
    before.apply(steps);
    expect(describeState(before)).toMatchObject({ subsystems: [{ hosts: ['nqn.h'] }] });
  });

  it('moves a port to another address, with all that it offers', () => {
    const subsystems = [{ nqn: 'nqn.a', ports: [1] }];
    const moved = { ports: [{ ...port, address: '::1' }], subsystems };
    const model = modelOf({ ports: [port], subsystems }, moved);
    expect(describeState(model)).toMatchObject({ ports: [{ address: '::1' }], subsystems });
    expect(model.attributes.get('nvmet/ports/1/addr_adrfam')).toBe('ipv6');
  });

  it('removes everything for an empty document', () => {
    const model = modelOf({ ports: [port], subsystems: [{ nqn: 'nqn.a', ports: [1] }] }, {});
    expect([...model.directories].sort()).toEqual([
      'nvmet/hosts',
      'nvmet/ports',
      'nvmet/subsystems',
    ]);
    expect(model.links.size).toBe(0);
  });

  it('leads from any target to any other in steps that the kernel accepts', () => {
    fc.assert(
      fc.property(specs(), specs(), (from, to) => {
        const model = new ConfigfsModel();
        model.apply(plan(model, from));
        model.apply(plan(model, to));
        expect(plan(model, to)).toEqual([]);
        const clean = new ConfigfsModel();
        clean.apply(plan(clean, to));
        expect(describeState(model)).toEqual(describeState(clean));
      }),
    );
  });
});

/** Any spec over a few names, so that two of them have much in common. */
function specs(): fc.Arbitrary<TargetSpec> {
  const some = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
  const ports = fc.uniqueArray(
    fc.record({
      id: some(1, 2),
      transport: fc.constant('tcp' as const),
      address: some('127.0.0.1', '::1'),
      referrals: some([], [{ address: '10.0.0.1' }], [{ address: '10.0.0.1', portId: 2 }]),
    }),
    { selector: ({ id }) => id },
  );
  const subsystems = fc.uniqueArray(
    fc.record(
      {
        nqn: some('nqn.a', 'nqn.b', 'nqn.c'),
        ports: fc.subarray([1, 2]),
        hosts: some<'any' | string[]>('any', ['nqn.h'], ['nqn.h', 'nqn.i']),
        namespaces: some(
          [],
          [{ id: 1, sizeMiB: 64 }],
          [
            { id: 1, sizeMiB: 8 },
            { id: 2, sizeMiB: 64 },
          ],
        ),
        serial: some('S1', 'S2'),
      },
      { requiredKeys: ['nqn', 'ports'] },
    ),
    { selector: ({ nqn }) => nqn },
  );
  return fc.record({ ports, subsystems }).map((document) => {
    const offered = (id: number): boolean => document.ports.some((entry) => entry.id === id);
    const kept = document.subsystems.map((entry) => ({
      ...entry,
      ports: entry.ports.filter(offered),
      // The default of the kernel is random: both sides name one.
      serial: entry.serial ?? 'S0',
    }));
    return targetSpec({ ports: document.ports, subsystems: kept });
  });
}
