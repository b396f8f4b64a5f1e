import { readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ConnectPlan } from '../../../src/libnvme-ffi/connect-plan.ts';
import { connectController, fabricsConfigBytes } from '../../../src/libnvme-ffi/connect.ts';
import { fabricsConfigLayout, readInt, writeMembers } from '../../../src/libnvme-ffi/layouts.ts';
import type { Abi } from '../../../src/libnvme-ffi/layouts.ts';
import { loadLibc } from '../../../src/libnvme-ffi/libc.ts';
import { loadLibnvme } from '../../../src/libnvme-ffi/libnvme.ts';
import type { Libnvme } from '../../../src/libnvme-ffi/libnvme.ts';
import { bind, loadLibrary } from '../../../src/libnvme-ffi/native.ts';
import type { NativeFunction, Pointer } from '../../../src/libnvme-ffi/native.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { PortError, StartupError } from '../../../src/ports/errors.ts';
import { MemoryLog } from '../../fakes/log.ts';

const ABI: Abi = { wordSize: 8, littleEndian: true };
const libc = loadLibc();
const fputs = bind<[string, Pointer], number>(
  loadLibrary(null),
  'fputs',
  'int %(const char *text, void *stream)',
);

/** Dresses a function of JavaScript as one of C; `async` answers after a turn, with `errno`. */
function native<A extends readonly never[], R>(
  call: (...args: A) => R,
  errno = 0,
): NativeFunction<A, R> {
  const async = (...all: readonly unknown[]): void => {
    const done = all.at(-1) as (error: unknown, result: R) => void;
    const result = call(...(all.slice(0, -1) as unknown as A));
    setImmediate(() => {
      koffi.errno(errno);
      done(null, result);
    });
  };
  return Object.assign(call, { async });
}

interface AddOutcome {
  readonly result: number;
  readonly errno?: number;
  readonly messages?: string;
}

const ROOT = 1n as Pointer;
const HOST = 2n as Pointer;
const CTRL = 3n as Pointer;

/** A libnvme that notes what is done with it. Layout: that of 1.13. */
class FakeLibnvme {
  readonly calls: string[] = [];
  readonly config = new Map<string, number>();
  ctrl: Pointer | null = CTRL;
  root: Pointer | null = ROOT;
  outcome: AddOutcome = { result: 0 };
  #stream: Pointer | undefined;

  readonly layout = fabricsConfigLayout(13, ABI);

  readonly api = {
    abi: ABI,
    fabricsConfig: this.layout,
    defaultConfig: native((bytes: Uint8Array) => {
      writeMembers(bytes, this.layout, { tos: -1, ctrl_loss_tmo: 600 }, ABI);
    }),
    createRoot: native((stream: Pointer) => {
      this.#stream = stream;
      this.calls.push('create root');
      return this.root;
    }),
    freeTree: native((root: Pointer) => void this.calls.push(`free tree ${root}`)),
    lookupHost: native((_root: Pointer, nqn: string, id: string) => {
      this.calls.push(`host ${nqn} ${id}`);
      return HOST;
    }),
    createCtrl: native((...args: (string | null)[]) => {
      this.calls.push(`ctrl ${args.slice(1).join(' ')}`);
      return this.ctrl;
    }),
    freeCtrl: native((ctrl: Pointer) => void this.calls.push(`free ctrl ${ctrl}`)),
    setDiscoveryCtrl: native(
      (_ctrl: Pointer, discovery: boolean) => void this.calls.push(`discovery ${discovery}`),
    ),
    ctrlName: native(() => 'nvme7'),
    addCtrl: undefined,
    optional: {
      setHostKey: native((_host: Pointer, key: string) => void this.calls.push(`host key ${key}`)),
      setCtrlKey: native((_ctrl: Pointer, key: string) => void this.calls.push(`ctrl key ${key}`)),
    },
  };

  get libnvme(): Libnvme {
    const addCtrl = native((_host: Pointer, _ctrl: Pointer, config: Uint8Array) => {
      this.calls.push('add');
      for (const { name, type } of this.layout.members.values()) {
        if (type === 'int') this.config.set(name, readInt(config, this.layout, name, ABI));
      }
      if (this.outcome.messages !== undefined && this.#stream !== undefined) {
        fputs(this.outcome.messages, this.#stream);
      }
      return this.outcome.result;
    }, this.outcome.errno);
    return { ...this.api, addCtrl } as unknown as Libnvme;
  }
}

const PLAN: ConnectPlan = {
  subsysnqn: 'nqn.x:disk',
  transport: 'tcp',
  traddr: '192.0.2.1',
  trsvcid: '4420',
  hostTraddr: null,
  hostIface: 'eth0',
  hostnqn: 'nqn.x:host',
  hostid: '2b9c0ce3-2b5c-4f3c-8f1a-5f0f9a2f6a01',
  discovery: false,
  config: {},
  hostKey: undefined,
  controllerKey: undefined,
  dropped: [],
};

/** Memory files that are open: each connect has one. */
function memoryFiles(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('libnvme-messages');
    } catch {
      return false;
    }
  }).length;
}

let fake: FakeLibnvme;
beforeEach(() => {
  fake = new FakeLibnvme();
});

function connect(plan: Partial<ConnectPlan> = {}): Promise<string> {
  return connectController({ libnvme: fake.libnvme, libc }, { ...PLAN, ...plan });
}

async function failure(
  outcome: AddOutcome,
  changes: Partial<ConnectPlan> = {},
): Promise<PortError> {
  fake.outcome = outcome;
  const error: unknown = await connect(changes).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof PortError) return error;
  throw new Error('did not fail as it should');
}

describe('a connection', () => {
  test('is made with a root of its own, which is freed after its controller', async () => {
    await expect(connect()).resolves.toBe('nvme7');
    expect(fake.calls).toEqual([
      'create root',
      `host ${PLAN.hostnqn} ${PLAN.hostid}`,
      'ctrl nqn.x:disk tcp 192.0.2.1  eth0 4420',
      'discovery false',
      'add',
      'free ctrl 3',
      'free tree 1',
    ]);
    expect(memoryFiles()).toBe(0);
  });

  test("gives libnvme its secrets before it is made, the host's as the root's host", async () => {
    await connect({ hostKey: new Secret('secret-1'), controllerKey: new Secret('secret-2') });
    const position = (call: string): number => fake.calls.indexOf(call);
    expect(position('host key secret-1')).toBeGreaterThan(0);
    expect(position('ctrl key secret-2')).toBeGreaterThan(0);
    expect(position('add')).toBeGreaterThan(position('ctrl key secret-2'));
  });

  test('says that it is one to a discovery controller', async () => {
    await connect({ discovery: true });
    expect(fake.calls).toContain('discovery true');
  });

  test("keeps libnvme's defaults for what is not configured", async () => {
    await connect({ config: { queue_size: 64, reconnect_delay: 3 } });
    expect(Object.fromEntries(fake.config)).toMatchObject({
      queue_size: 64,
      reconnect_delay: 3,
      ctrl_loss_tmo: 600,
      tos: -1,
      keep_alive_tmo: 0,
    });
  });
});

describe('a failed connection', () => {
  const { ENOENT, EACCES, EHOSTUNREACH, EALREADY, EIO } = constants.errno;
  const written = (errno: number): string =>
    `Failed to write to /dev/nvme-fabrics: ${libc.strerror(errno)}\n`;

  test.each([
    [
      'the errno in the message',
      { result: -1, errno: 1006, messages: written(EHOSTUNREACH) },
      'EHOSTUNREACH',
    ],
    ['the number of libnvme', { result: -1, errno: 1012, messages: written(EALREADY) }, 'EALREADY'],
    ['an errno of libnvme itself', { result: -1, errno: EIO }, 'EIO'],
    ['the negated number of libnvme 1.0', { result: -1004 }, 'EINVAL'],
    ['a folded number without a message', { result: -1, errno: 1006 }, 'CONNECT_FAILED'],
    ['a controller that vanished', { result: -1, errno: 1010 }, 'CONNECT_FAILED'],
  ])('is told by %s', async (_, outcome, code) => {
    expect((await failure(outcome)).code).toBe(code);
  });

  test.each([[{ result: -1, errno: 1017 }], [{ result: -1, errno: EIO }]])(
    'may be about the key, where there is one: %o',
    async (outcome) => {
      expect((await failure(outcome)).message).not.toMatch(/key/);
      const hostKey = new Secret('DHHC-1:00:c2VjcmV0:');
      expect((await failure(outcome, { hostKey })).message).toMatch(/key/);
    },
  );

  test.each([
    [ENOENT, 'NO_FABRICS'],
    [EACCES, 'EACCES'],
  ])('is told apart when the fabrics device cannot be opened (errno %i)', async (errno, code) => {
    const messages = `Failed to open /dev/nvme-fabrics: ${libc.strerror(errno)}\n`;
    expect((await failure({ result: -1, errno: 1005, messages })).code).toBe(code);
  });

  test('never has the messages of libnvme in its own, which may hold secrets', async () => {
    const messages = `Failed to parse ctrl info for "nqn=x,dhchap_secret=DHHC-1:00:abc:"\n`;
    const error = await failure({ result: -1, errno: 1008, messages });
    expect(`${error.message} ${error.stack ?? ''}`).not.toContain('DHHC');
  });

  test('frees what it took', async () => {
    await failure({ result: -1, errno: 1006 });
    expect(fake.calls.slice(-3)).toEqual(['add', 'free ctrl 3', 'free tree 1']);
    expect(memoryFiles()).toBe(0);
  });

  test('frees what it took when there is no memory for a controller, or for a root', async () => {
    fake.ctrl = null;
    await expect(connect()).rejects.toBeInstanceOf(PortError);
    expect(fake.calls.at(-1)).toBe('free tree 1');
    fake.root = null;
    await expect(connect()).rejects.toBeInstanceOf(PortError);
    expect(fake.calls.at(-1)).toBe('create root');
    expect(memoryFiles()).toBe(0);
  });
});

test.each([3, 4, 8, 9, 11, 16])('the options are where libnvme 1.%i looks for them', (minor) => {
  const layout = fabricsConfigLayout(minor, ABI);
  const library = { ...new FakeLibnvme().libnvme, fabricsConfig: layout };
  const bytes = fabricsConfigBytes(library, {
    queue_size: 64,
    keep_alive_tmo: 17,
    ctrl_loss_tmo: -1,
    hdr_digest: true,
    data_digest: true,
  });
  expect(bytes.length).toBe(layout.size);
  const flags = { 3: 52, 4: 60, 8: 60, 9: 72, 11: 80, 16: 80 }[minor] ?? 0;
  expect([...bytes.subarray(flags, flags + 5)]).toEqual([0, 0, 1, 1, 0]);
  const view = new DataView(bytes.buffer);
  expect([16, 20, 28, 36, 48].map((offset) => view.getInt32(offset, true))).toEqual([
    64, 0, -1, 17, -1,
  ]);
});

describe('a libnvme that cannot be used ends the start with one line', () => {
  test.each(['libnvme-no-such.so.1', 'libm.so.6'])('%s', (soname) => {
    const load = (): unknown => loadLibnvme(new MemoryLog(), soname);
    expect(load).toThrow(StartupError);
    expect(load).toThrow(/^[^\n]+$/);
    expect(load).toThrow(soname);
  });
});
