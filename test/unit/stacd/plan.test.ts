import { describe, expect, test } from 'vitest';
import type { Exclude } from '../../../src/config/controller-entry.ts';
import { defaultServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { known, unknown } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import {
  keepsConnection,
  logSource,
  planIoControllers,
  unwantedConnections,
  type DiscoveryState,
  type ReportedDc,
  type StacdSnapshot,
} from '../../../src/stacd/plan.ts';
import { FakeDevices } from '../../fakes/devices.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';

export function dcTid(traddr: string, fields: Partial<TransportId> = {}): TransportId {
  const subsysnqn = 'nqn.2014-08.org.nvmexpress.discovery';
  return makeTid({ transport: 'tcp', traddr, subsysnqn, hostNqn: HOST, ...fields });
}

function entry(traddr: string, fields: Partial<DiscoveryEntry> = {}): DiscoveryEntry {
  return {
    trtype: 'tcp',
    adrfam: 'ipv4',
    subtype: 'nvme',
    treq: 0,
    portid: 1,
    trsvcid: '4420',
    subnqn: 'nqn.sub',
    traddr,
    cntlid: 65535,
    asqsz: 32,
    eflags: 0,
    ...fields,
  };
}

function iocTid(traddr: string, fields: Partial<TransportId> = {}): TransportId {
  return makeTid({
    transport: 'tcp',
    traddr,
    trsvcid: '4420',
    subsysnqn: 'nqn.sub',
    hostNqn: HOST,
    ...fields,
  });
}

function config(fields: Partial<ServiceConfig> = {}): ServiceConfig {
  return { ...defaultServiceConfig('stacd'), ...fields };
}

function dc(traddr: string, ...entries: readonly DiscoveryEntry[]): ReportedDc {
  return { tid: dcTid(traddr), hostId: '', log: known(entries), fresh: true, readAt: 0 };
}

function state(fields: Partial<DiscoveryState> = {}): DiscoveryState {
  return { settled: true, controllers: [], askedAt: 0, removed: new Map(), ...fields };
}

function existing(tid: TransportId, ...sources: readonly string[]) {
  return { key: tidKey(tid), tid, sources: new Set(sources) };
}

function snapshot(fields: Partial<StacdSnapshot> = {}): StacdSnapshot {
  return {
    now: 0,
    config: config(),
    hostNqn: HOST,
    configured: [],
    discovery: known(state()),
    controllers: [],
    connected: new Set(),
    ...fields,
  };
}

function kinds(fields: Partial<StacdSnapshot>): readonly string[] {
  return planIoControllers(snapshot(fields)).map(({ kind }) => kind);
}

describe('what is wanted', () => {
  test('is what the logs list, reached from where their DC is reached', () => {
    const from = dcTid('10.0.0.1', { hostTraddr: '10.0.0.9', hostIface: 'eth1' });
    const controllers = [
      { tid: from, hostId: '', log: known([entry('10.1.0.1')]), fresh: true, readAt: 0 },
    ];
    const [action] = planIoControllers(snapshot({ discovery: known(state({ controllers })) }));
    const expected = iocTid('10.1.0.1', { hostTraddr: '10.0.0.9', hostIface: 'eth1' });
    expect(action).toMatchObject({ kind: 'add', wanted: { tid: expected } });
  });

  test('has no interface where it is ignored', () => {
    const from = dcTid('10.0.0.1', { hostIface: 'eth1' });
    const controllers = [
      { tid: from, hostId: '', log: known([entry('10.1.0.1')]), fresh: true, readAt: 0 },
    ];
    const [action] = planIoControllers(
      snapshot({ config: config({ ignoreIface: true }), discovery: known(state({ controllers })) }),
    );
    expect(action).toMatchObject({ kind: 'add', wanted: { tid: { hostIface: '' } } });
  });

  test('follows its DC and the settings while the log is the same', () => {
    const log = known([entry('10.1.0.1')]);
    const wantedOf = (tid: TransportId, fields: Partial<StacdSnapshot> = {}) => {
      const controllers = [{ tid, hostId: '', log, fresh: true, readAt: 0 }];
      const discovery = known(state({ controllers }));
      const [action] = planIoControllers(snapshot({ discovery, ...fields }));
      return action?.kind === 'add' ? action.wanted.tid : undefined;
    };
    const from = dcTid('10.0.0.1', { hostTraddr: '10.0.0.9', hostIface: 'eth1' });
    const host = { hostTraddr: '10.0.0.9', hostIface: 'eth1' };
    const first = wantedOf(from);
    expect(first).toEqual(iocTid('10.1.0.1', host));
    expect(wantedOf(from)).toBe(first);
    expect(wantedOf({ ...from, hostIface: 'eth2' })).toMatchObject({ hostIface: 'eth2' });
    expect(wantedOf(from, { config: config({ ignoreIface: true }) })?.hostIface).toBe('');
    expect(wantedOf({ ...from, hostTraddr: '' })?.hostTraddr).toBe('');
    const nameless = { ...from, hostNqn: '' };
    expect(wantedOf(nameless)?.hostNqn).toBe(HOST);
    expect(wantedOf(nameless, { hostNqn: 'nqn.other' })?.hostNqn).toBe('nqn.other');
  });

  test('leaves referrals and discovery subsystems to stafd', () => {
    const log = [
      entry('10.1.0.1', { subtype: 'referral' }),
      entry('10.1.0.2', { subtype: 'discovery' }),
    ];
    expect(kinds({ discovery: known(state({ controllers: [dc('10.0.0.1', ...log)] })) })).toEqual(
      [],
    );
  });

  test('takes the options of a configured entry before what a log says of the same', () => {
    const tid = iocTid('10.1.0.1');
    const options = { kato: 7 };
    const [action] = planIoControllers(
      snapshot({
        configured: [{ source: 'configured:a', options, hostId: '', answer: known(tid) }],
        discovery: known(state({ controllers: [dc('10.0.0.1', entry('10.1.0.1'))] })),
      }),
    );
    expect(action).toMatchObject({ kind: 'add', wanted: { extra: { options, ncc: false } } });
    const sources = action?.kind === 'add' ? [...action.wanted.sources] : [];
    expect(sources).toEqual(['configured:a', logSource(dcTid('10.0.0.1'))]);
  });

  test('is "not connected to CDC" only if every DC that lists it says so', () => {
    const closed = entry('10.1.0.1', { eflags: 4 });
    const plan = (...controllers: readonly ReportedDc[]) =>
      planIoControllers(snapshot({ discovery: known(state({ controllers })) }));
    expect(plan(dc('10.0.0.1', closed))).toMatchObject([{ wanted: { extra: { ncc: true } } }]);
    const both = plan(dc('10.0.0.1', closed), dc('10.0.0.2', entry('10.1.0.1')));
    expect(both).toMatchObject([{ wanted: { extra: { ncc: false } } }]);
  });

  test.each([
    ['excluded', { excludes: [{ traddr: '10.1.0.1', file: 'F', line: 3 }] satisfies Exclude[] }],
    ['of a family that is disabled', { ipFamilies: new Set(['ipv6'] as const) }],
  ])('does not contain what is %s, and drops it at once', (_, fields) => {
    const discovery = known(state({ controllers: [dc('10.0.0.1', entry('10.1.0.1'))] }));
    expect(kinds({ config: config(fields), discovery })).toEqual([]);
    const controllers = [existing(iocTid('10.1.0.1'), logSource(dcTid('10.0.0.1')))];
    expect(kinds({ config: config(fields), discovery, controllers })).toEqual(['remove']);
    expect(kinds({ config: config(fields), discovery: unknown('away'), controllers })).toEqual([
      'remove',
    ]);
  });
});

describe('a controller of a log', () => {
  const controllers = [existing(iocTid('10.1.0.1'), logSource(dcTid('10.0.0.1')))];
  const elsewhere = dc('10.0.0.2', entry('10.1.0.2'));

  test.each<[string, StacdSnapshot['discovery']]>([
    ['stafd cannot be asked', unknown('stafd is not running')],
    ['stafd has not found all DCs', known(state({ settled: false }))],
    [
      'the log was not read yet',
      known(state({ controllers: [{ ...dc('10.0.0.1'), log: unknown('not read') }] })),
    ],
    [
      'the log is only remembered',
      known(state({ controllers: [{ ...dc('10.0.0.1'), fresh: false }] })),
    ],
    [
      'another DC was removed',
      known(state({ settled: false, removed: new Map([[tidKey(dcTid('10.0.0.2')), 0]]) })),
    ],
  ])('stays while %s', (_, discovery) => {
    expect(kinds({ controllers, discovery })).toEqual(['keep']);
  });

  test.each<[string, DiscoveryState]>([
    ['its DC was read without it', state({ controllers: [dc('10.0.0.1', entry('10.1.0.9'))] })],
    ['its DC was read empty', state({ controllers: [dc('10.0.0.1')] })],
    [
      'its DC was read empty, others not found yet',
      state({ settled: false, controllers: [dc('10.0.0.1')] }),
    ],
    ['its DC is not among all DCs', state({ controllers: [elsewhere] })],
    [
      'its DC was removed, others not found yet',
      state({ settled: false, removed: new Map([[tidKey(dcTid('10.0.0.1')), 0]]) }),
    ],
  ])('goes when %s', (_, value) => {
    const actions = planIoControllers(snapshot({ controllers, discovery: known(value) }));
    expect(actions.filter(({ kind }) => kind !== 'add')).toMatchObject([{ kind: 'remove' }]);
  });

  test('is still wanted by a log that is only remembered', () => {
    const remembered = { ...dc('10.0.0.1', entry('10.1.0.1')), fresh: false };
    const discovery = known(state({ controllers: [remembered] }));
    expect(kinds({ discovery })).toEqual(['add']);
  });
});

describe('a configured controller', () => {
  const tid = iocTid('10.1.0.1');
  const controllers = [existing(tid, 'configured:name')];
  const entryOf = (answer: StacdSnapshot['configured'][number]['answer']) => [
    { source: 'configured:name', options: {}, hostId: '', answer },
  ];

  test('stays while its name cannot be resolved', () => {
    const configured = entryOf(unknown('no such name'));
    expect(kinds({ controllers, configured })).toEqual(['keep']);
  });

  test('goes when its line is gone, even while stafd cannot be asked', () => {
    expect(kinds({ controllers, discovery: unknown('away') })).toEqual(['remove']);
  });

  test('moves with its name to another address, and stays until it is connected there', () => {
    const there = iocTid('10.1.0.2');
    const configured = entryOf(known(there));
    expect(kinds({ controllers, configured })).toEqual(['keep', 'add']);
    const both = { configured, controllers: [...controllers, existing(there, 'configured:name')] };
    expect(kinds(both)).toEqual(['keep', 'keep']);
    expect(kinds({ ...both, connected: new Set([tidKey(there)]) })).toEqual(['remove', 'keep']);
  });
});

describe('disconnect-scope', () => {
  const everything = 'all-connections-matching-disconnect-trtypes';

  test.each([
    ['only-stas-connections', 'tcp', false],
    ['only-stas-connections', 'rdma', false],
    [everything, 'tcp', false],
    [everything, 'rdma', true],
    ['no-disconnect', 'tcp', true],
  ] as const)('%s on %s: the connection stays: %s', (disconnectScope, transport, stays) => {
    const tid = iocTid('10.1.0.1', { transport });
    expect(keepsConnection(config({ disconnectScope }), tid)).toBe(stays);
  });

  const devices = new FakeDevices();
  const io = { traddr: '10.1.0.1', trsvcid: '4420', hostnqn: HOST, subsysnqn: 'nqn.sub' };
  const unwanted = devices.add({ ...io, traddr: '10.1.0.7' });
  devices.add({ ...io, traddr: '::ffff:10.1.0.1' });
  const held = devices.add({ ...io, traddr: '10.1.0.8' });
  devices.add({ ...io, traddr: '10.1.0.9', transport: 'rdma' });
  devices.add({ ...io, traddr: '10.1.0.10', transport: 'pcie' });
  devices.add({ ...io, traddr: '10.1.0.11', cntrltype: 'discovery' });

  function audit(fields: Partial<StacdSnapshot>, disconnectScope = everything) {
    const scoped = config({ disconnectScope: disconnectScope as ServiceConfig['disconnectScope'] });
    const picture = snapshot({ config: scoped, ...fields });
    return unwantedConnections(picture, devices.controllers, new Set([held.instance]), []);
  }

  const listed = known(state({ controllers: [dc('10.0.0.1', entry('10.1.0.1'))] }));

  test('finds the connections that nobody wants, of the transports that are listed', () => {
    expect(audit({ discovery: listed })).toEqual([unwanted]);
  });

  test("touches nobody else's connections in the other scopes", () => {
    expect(audit({ discovery: listed }, 'only-stas-connections')).toEqual([]);
    expect(audit({ discovery: listed }, 'no-disconnect')).toEqual([]);
  });

  test.each<[string, Partial<StacdSnapshot>]>([
    ['stafd is unknown', { discovery: unknown('away') }],
    ['stafd has not settled', { discovery: known(state({ settled: false })) }],
    [
      'a log is unknown',
      { discovery: known(state({ controllers: [{ ...dc('10.0.0.1'), log: unknown('no') }] })) },
    ],
    [
      'a log is only remembered',
      { discovery: known(state({ controllers: [{ ...dc('10.0.0.1'), fresh: false }] })) },
    ],
    [
      'a name is not resolved',
      { configured: [{ source: 'configured:x', options: {}, hostId: '', answer: unknown('no') }] },
    ],
  ])('does not judge while %s', (_, fields) => {
    expect(audit({ discovery: listed, ...fields })).toBeUndefined();
  });
});
