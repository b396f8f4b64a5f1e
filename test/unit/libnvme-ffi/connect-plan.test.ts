import { describe, expect, test } from 'vitest';
import { planConnect } from '../../../src/libnvme-ffi/connect-plan.ts';
import type { ConnectPlan } from '../../../src/libnvme-ffi/connect-plan.ts';
import { optionsOfKernel } from '../../../src/libnvme-ffi/fabrics-options.ts';
import type { ConnectOptions } from '../../../src/nvme/connect-options.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import type { TransportId } from '../../../src/nvme/transport-id.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { FabricsOptions, HostIdentity } from '../../../src/ports/fabrics.ts';

const KERNEL = optionsOfKernel('6.12.0');
const HOST: HostIdentity = {
  hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
  hostid: '2b9c0ce3-2b5c-4f3c-8f1a-5f0f9a2f6a01',
};
const TID: TransportId = {
  transport: 'tcp',
  traddr: '192.0.2.1',
  trsvcid: '4420',
  subsysnqn: 'nqn.2024-01.com.example:disk1',
  hostTraddr: '',
  hostIface: '',
  hostNqn: HOST.hostnqn,
};
const KEY = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const OTHER_KEY = 'DHHC-1:01:6mU6F4q5K6m1f2o5s8x1nC1k9a5k2r3z9V1k0g7b3lRS8tTS:';

interface Change {
  readonly tid?: Partial<TransportId>;
  readonly options?: ConnectOptions;
  readonly host?: Partial<HostIdentity>;
  readonly discovery?: boolean;
  readonly kernel?: FabricsOptions;
}

function plan({
  tid,
  options = {},
  host,
  discovery = false,
  kernel = KERNEL,
}: Change): ConnectPlan {
  return planConnect(
    { tid: { ...TID, ...tid }, options, host: { ...HOST, ...host }, discovery },
    kernel,
  );
}

function refusal(change: Change): PortError {
  try {
    plan(change);
  } catch (error) {
    if (error instanceof PortError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

const without = (...names: string[]): FabricsOptions =>
  new Set([...KERNEL].filter((name) => !names.includes(name)));

describe('what is passed', () => {
  test('the address and the host, and no option that was not asked for', () => {
    expect(plan({})).toEqual({
      subsysnqn: TID.subsysnqn,
      transport: 'tcp',
      traddr: '192.0.2.1',
      trsvcid: '4420',
      hostTraddr: null,
      hostIface: null,
      hostnqn: HOST.hostnqn,
      hostid: HOST.hostid,
      discovery: false,
      config: {},
      hostKey: undefined,
      controllerKey: undefined,
      dropped: [],
    });
  });

  test('every option under its name in the kernel', () => {
    const { config, dropped } = plan({
      options: {
        hdrDigest: true,
        dataDigest: true,
        nrIoQueues: 4,
        nrWriteQueues: 2,
        nrPollQueues: 1,
        queueSize: 64,
        kato: 17,
        reconnectDelay: 3,
        ctrlLossTmo: 0,
        disableSqflow: true,
      },
    });
    expect(config).toEqual({
      hdr_digest: true,
      data_digest: true,
      nr_io_queues: 4,
      nr_write_queues: 2,
      nr_poll_queues: 1,
      queue_size: 64,
      keep_alive_tmo: 17,
      reconnect_delay: 3,
      ctrl_loss_tmo: 0,
      disable_sqflow: true,
    });
    expect(dropped).toEqual([]);
  });

  test('a controller-loss timeout of -1, which is for ever', () => {
    expect(plan({ options: { ctrlLossTmo: -1 } }).config).toEqual({ ctrl_loss_tmo: -1 });
  });

  test('the binding of the connection', () => {
    expect(plan({ tid: { hostTraddr: '192.0.2.9', hostIface: 'eth0' } })).toMatchObject({
      hostTraddr: '192.0.2.9',
      hostIface: 'eth0',
    });
  });

  test('no queue options for a discovery controller, but its timeouts', () => {
    const { config, discovery } = plan({
      tid: { subsysnqn: WELL_KNOWN_DISCOVERY_NQN },
      discovery: true,
      options: { queueSize: 64, nrIoQueues: 2, kato: 30, reconnectDelay: 7 },
    });
    expect(discovery).toBe(true);
    expect(config).toEqual({ keep_alive_tmo: 30, reconnect_delay: 7 });
  });

  test("the controller's own secret rather than the host's", () => {
    const dhchapSecret = new Secret(OTHER_KEY);
    const result = plan({ host: { key: new Secret(KEY) }, options: { dhchapSecret } });
    expect(result.hostKey?.reveal()).toBe(OTHER_KEY);
    expect(plan({ host: { key: new Secret(KEY) } }).hostKey?.reveal()).toBe(KEY);
  });

  test('the secret that the controller has to prove', () => {
    const dhchapCtrlSecret = new Secret(KEY);
    expect(plan({ options: { dhchapCtrlSecret } }).controllerKey?.reveal()).toBe(KEY);
  });
});

describe('what the kernel lacks', () => {
  test.each([
    ['host_iface', { tid: { hostIface: 'eth0' } }, 'hostIface', null],
    ['dhchap_secret', { host: { key: new Secret(KEY) } }, 'hostKey', undefined],
    ['queue_size', { options: { queueSize: 64 } }, 'config', {}],
  ] as const)('%s is left out and told', (name, change, member, expected) => {
    const result = plan({ ...change, kernel: without(name) });
    expect(result[member]).toEqual(expected);
    expect(result.dropped).toEqual([name]);
  });

  test('a unique discovery NQN is refused where it would become an I/O controller', () => {
    const change = { discovery: true, kernel: without('discovery') };
    expect(refusal(change)).toMatchObject({ code: 'EOPNOTSUPP', errorClass: 'final' });
    expect(plan({ ...change, tid: { subsysnqn: WELL_KNOWN_DISCOVERY_NQN } }).discovery).toBe(true);
  });

  test('a secret meant for a discovery controller is told, because libnvme drops it', () => {
    const { hostKey, dropped } = plan({
      tid: { subsysnqn: WELL_KNOWN_DISCOVERY_NQN },
      discovery: true,
      options: { dhchapSecret: new Secret(KEY) },
    });
    expect(hostKey).toBeUndefined();
    expect(dropped).toEqual(['dhchap_secret']);
  });
});

describe('what the transport does not take', () => {
  const options: ConnectOptions = {
    hdrDigest: true,
    dataDigest: true,
    nrIoQueues: 4,
    nrWriteQueues: 2,
    nrPollQueues: 1,
    queueSize: 64,
    kato: 17,
    reconnectDelay: 3,
    ctrlLossTmo: 60,
  };
  const FC = 'nn-0x1000000044001123:pn-0x2000000055001123';

  test.each<[Partial<TransportId>, readonly string[], string | null]>([
    [{ transport: 'tcp' }, [], '4420'],
    [{ transport: 'rdma' }, ['hdr_digest', 'data_digest'], '4420'],
    [
      { transport: 'fc', traddr: FC, hostTraddr: FC, trsvcid: 'none' },
      ['nr_write_queues', 'nr_poll_queues', 'hdr_digest', 'data_digest'],
      null,
    ],
    [
      { transport: 'loop', traddr: '', trsvcid: '' },
      [
        ...['nr_write_queues', 'nr_poll_queues', 'reconnect_delay', 'ctrl_loss_tmo'],
        ...['hdr_digest', 'data_digest'],
      ],
      null,
    ],
  ])('%o goes without %j', (tid, dropped, trsvcid) => {
    const result = plan({ tid, options });
    expect(result.dropped).toEqual(dropped);
    expect(Object.keys(result.config)).toHaveLength(Object.keys(options).length - dropped.length);
    for (const name of dropped) expect(result.config).not.toHaveProperty(name);
    expect(result.trsvcid).toBe(trsvcid);
  });

  test('only tcp can be bound to an interface', () => {
    const tid = { transport: 'rdma', hostIface: 'eth0', hostTraddr: '192.0.2.9' } as const;
    const result = plan({ tid });
    expect(result).toMatchObject({ hostIface: null, hostTraddr: '192.0.2.9' });
    expect(result.dropped).toEqual(['host_iface']);
  });
});

describe('what never gets any further', () => {
  const strings: readonly (keyof TransportId)[] = [
    'traddr',
    'trsvcid',
    'subsysnqn',
    'hostTraddr',
    'hostIface',
    'hostNqn',
  ];
  const good: Partial<TransportId> = { hostTraddr: '192.0.2.9', hostIface: 'eth0' };

  for (const suffix of [
    ',reconnect_delay=33',
    '\nnqn=x',
    '\0',
    '\u0085',
    '\u202e',
    '\ud800',
    'x'.repeat(300),
  ]) {
    test.each(strings)(`%s followed by ${JSON.stringify(suffix.slice(0, 24))}`, (field) => {
      const base: TransportId = { ...TID, ...good };
      const error = refusal({ tid: { ...base, [field]: base[field] + suffix } });
      expect(error).toMatchObject({ code: 'EINVAL', errorClass: 'final' });
    });
  }

  test.each<[string, Partial<TransportId>]>([
    ['a host name instead of an address', { traddr: 'example.com' }],
    ['a host name to bind to', { hostTraddr: 'localhost' }],
    ['an empty address', { traddr: '' }],
    ['an empty port', { trsvcid: '' }],
    ['port 0', { trsvcid: '0' }],
    ['a port beyond 65535', { trsvcid: '65536' }],
    ['an unknown transport', { transport: 'pcie' as TransportId['transport'] }],
    ['an interface name of 16 characters', { hostIface: 'a'.repeat(16) }],
    ['an empty host NQN', { hostNqn: '' }],
  ])('%s', (_, tid) => {
    expect(refusal({ tid })).toMatchObject({ code: 'EINVAL', errorClass: 'final' });
  });

  test('the discovery NQN for an I/O controller', () => {
    expect(refusal({ tid: { subsysnqn: WELL_KNOWN_DISCOVERY_NQN } }).code).toBe('EINVAL');
  });

  test('a host ID that is not a UUID', () => {
    expect(refusal({ host: { hostid: `${HOST.hostid},x` } }).code).toBe('EINVAL');
  });

  test.each([1.5, Number.NaN, -1, 2 ** 31])('%d as a number of the configuration', (kato) => {
    expect(refusal({ options: { kato } }).code).toBe('EINVAL');
  });

  test.each([`${KEY},nr_io_queues=1`, 'DHHC-1:00:', 'password', `${KEY}\n`])(
    'a malformed secret, and no message has it',
    (text) => {
      for (const change of [
        { host: { key: new Secret(text) } },
        { options: { dhchapSecret: new Secret(text) } },
        { options: { dhchapCtrlSecret: new Secret(text) } },
      ]) {
        const error = refusal(change);
        expect(error).toMatchObject({ code: 'EINVAL', errorClass: 'final' });
        expect(error.message).not.toContain(text);
      }
    },
  );
});
