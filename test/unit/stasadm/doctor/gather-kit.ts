/** A host in a temporary directory, and a bus, for what the doctor finds out. */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Facts } from '../../../../src/stasadm/doctor/facts.ts';
import { gather } from '../../../../src/stasadm/doctor/gather/gather.ts';
import type { CallableBus, RunResult, World } from '../../../../src/stasadm/doctor/gather/world.ts';

export const RELEASE = '6.12.43-amd64';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'doctor-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

export function put(path: string, text: string | Buffer, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), mode);
}

export function folder(path: string): void {
  mkdirSync(join(root, path), { recursive: true });
}

/** Where a path of the host really is. */
export function at(path: string): string {
  return join(root, path);
}

/** An ELF file for the machine that runs this, with names of functions in it. */
export function library(...symbols: readonly string[]): Buffer {
  const header = Buffer.alloc(20);
  const descriptor = openSync(process.execPath, 'r');
  readSync(descriptor, header);
  closeSync(descriptor);
  return Buffer.concat([header, Buffer.from(`\0${symbols.join('\0')}\0`)]);
}

type Call = Parameters<CallableBus['call']>[0];
type Answers = (call: Call) => readonly unknown[] | Promise<readonly unknown[]>;

/** A bus on which everything is as it should be, unless `answers` says otherwise. */
export function busOf(answers: (call: Call) => ReturnType<Answers> | undefined = () => undefined) {
  const state = { closed: 0, calls: [] as Call[] };
  const usual: Answers = ({ args, member }) => {
    switch (member) {
      case 'GetNameOwner':
        return [`:1.${String(args[0]).length}`];
      case 'GetConnectionUnixProcessID':
        return [77];
      case 'ListUnitsByNames':
        return [
          [[(args[0] as string[])[0], '', 'loaded', 'active', 'running', '', '/', 0, '', '/']],
        ];
      case 'GetUnitFileState':
        return ['enabled'];
      case 'GetState':
        return [2];
      default:
        return [];
    }
  };
  const bus: CallableBus = {
    call: async (call) => {
      state.calls.push(call);
      await Promise.resolve();
      return answers(call) ?? usual(call);
    },
    close: () => {
      state.closed += 1;
    },
  };
  return { bus, state };
}

interface Options {
  readonly bus?: CallableBus | Error | 'never';
  readonly run?: (program: string) => RunResult;
  readonly isRoot?: boolean;
  readonly interfaces?: readonly string[];
}

export const NEVER = new Promise<never>(() => undefined);

export async function look(options: Options = {}): Promise<Facts> {
  const { bus = busOf().bus, interfaces = [], isRoot = true, run } = options;
  const world: World = {
    root,
    isRoot,
    release: RELEASE,
    sysConf: '/etc/stas/sys.conf',
    interfaces: {
      list: () => interfaces.map((name) => ({ name, address: '', family: 'ipv4', mac: '' })),
      vlanOf: () => 0,
    },
    openBus: () => {
      if (bus === 'never') return NEVER;
      return bus instanceof Error ? Promise.reject(bus) : Promise.resolve(bus);
    },
    run: (program) => Promise.resolve(run?.(program) ?? { kind: 'absent' }),
    timeoutMs: 1,
  };
  return gather(world, process.execPath);
}

export function unknownWith(why: string) {
  return { kind: 'unknown', why: expect.stringContaining(why) as string };
}
