/** What a daemon finds in its own file of an earlier run, and what stafd tells stacd. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { known } from '../../../src/core/answer.ts';
import { decodeEntries, entryToDict } from '../../../src/nvme/discovery-log.ts';
import { tidToDict, makeTid, type TransportId } from '../../../src/nvme/transport-id.ts';
import { LastKnownConfig } from '../../../src/runtime/last-known-config.ts';
import {
  parseAllLogPages,
  parseDiscoveryState,
  type SaidState,
} from '../../../src/stacd/stafd-answers.ts';
import * as stacd from '../../../src/stacd/last-known-config.ts';

import * as stafd from '../../../src/stafd/last-known-config.ts';
import { MemoryLog } from '../../fakes/log.ts';
import { entryBytes } from '../../unit/nvme/entry-bytes.ts';
import { nqnText } from '../corpus.ts';
import { mutatedJson } from '../mutate.ts';
import { assertPrintable, assertTid, isDeliberate, onlyThrows } from '../promises.ts';
import { defineTarget, type Family } from '../target.ts';
import { assertEntry, goodEntry } from './discovery.ts';

const TID = makeTid({ transport: 'tcp', traddr: '192.0.2.1', subsysnqn: 'n' });
const ENTRY = decodeEntries(entryBytes(), 1).entries[0] ?? assert.fail('the sample was refused');

const UUID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
const hostId = fc.constantFrom('', UUID);

const tid: fc.Arbitrary<TransportId> = fc
  .record(
    {
      transport: fc.constantFrom('tcp', 'rdma'),
      traddr: fc.oneof(fc.ipV4(), fc.ipV6()),
      trsvcid: fc.integer({ min: 1, max: 65535 }).map(String),
      subsysnqn: nqnText,
      hostTraddr: fc.ipV4(),
      hostIface: fc.constantFrom('', 'eth0'),
      hostNqn: fc.constantFrom('', 'nqn.2014-08.org.example:h'),
    },
    { requiredKeys: ['transport', 'traddr', 'subsysnqn'] },
  )
  .map(makeTid);

const sources = fc.array(fc.constantFrom('configured', 'mdns', 'referral:x', 'log:y'), {
  maxLength: 3,
});

const entries = fc.array(
  goodEntry.map((fields) => decodeEntries(entryBytes(fields), 1).entries.map(entryToDict)),
  { maxLength: 4 },
);

const stafdContent = fc.record({
  settled: fc.boolean(),
  controllers: fc.array(
    fc.record({
      tid: tid.map(tidToDict),
      origin: fc.constantFrom('configured', 'discovered', 'referral'),
      'host-id': hostId,
      sources,
      log: fc.option(
        fc.record({ generation: fc.string(), entries: entries.map((all) => all.flat()) }),
      ),
    }),
    { maxLength: 4 },
  ),
});

const stacdContent = fc.array(fc.record({ tid: tid.map(tidToDict), 'host-id': hostId, sources }), {
  maxLength: 6,
});

function assertHostId(hostId: string): void {
  assert.match(hostId, /^(?:|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i);
}

interface LkcKind<T> {
  readonly daemon: 'stafd' | 'stacd';
  readonly version: number;
  readonly content: fc.Arbitrary<unknown>;
  readonly parse: (content: unknown) => T | undefined;
  readonly dump: (state: T) => unknown;
  readonly check: (state: T) => void;
  /** A state of so many controllers. */
  readonly many: (n: number) => T;
}

function lkc<T>({ check, content, daemon, dump, many, parse, version }: LkcKind<T>) {
  const loadFrom = async (text: string) => {
    const log = new MemoryLog();
    let aside = 0;
    const file = {
      read: () => Promise.resolve(text),
      write: () => Promise.resolve(),
      setAside: () => {
        aside += 1;
        return Promise.resolve('/run/x.damaged');
      },
    };
    const state = await new LastKnownConfig({ file, log, daemon, version }, parse).load();
    return { state, aside, messages: log.messages() };
  };
  return defineTarget<string>({
    name: `${daemon}-lkc`,
    cases: 15_000,
    input: mutatedJson(
      fc.record({ daemon: fc.constant(daemon), version: fc.constant(version), content }),
    ),
    size: (text) => text.length,
    check: async (text) => {
      const { aside, messages, state } = await loadFrom(text);
      // What is not believed is set aside with one line, and never half of it believed.
      assert.equal(aside, state === undefined ? 1 : 0);
      assert.equal(messages.length, aside);
      for (const message of messages) assertPrintable(message, 300);
      if (state === undefined) return;
      check(state);
      const again = JSON.stringify({ daemon, version, content: dump(state) });
      assert.deepEqual((await loadFrom(again)).state, state);
    },
    families: [
      {
        name: 'controllers',
        make: (n) => {
          const value: unknown = JSON.parse(JSON.stringify(dump(many(Math.ceil(n / 8)))));
          return () => parse(value);
        },
      },
    ],
  });
}

const stafdLkc = lkc<stafd.SavedState>({
  daemon: 'stafd',
  version: stafd.STAFD_LKC_VERSION,
  content: stafdContent,
  parse: stafd.parseLkc,
  dump: stafd.dumpLkc,
  many: (n) => {
    const value = { generation: '1', entries: [ENTRY, ENTRY], fresh: false };
    const one = {
      tid: TID,
      origin: 'referral',
      hostId: UUID,
      sources: ['x'],
      log: known(value),
    } as const;
    return { settled: true, controllers: new Array<stafd.SavedDc>(n).fill(one) };
  },
  check: ({ controllers }) => {
    for (const controller of controllers) {
      assertTid(controller.tid);
      assertHostId(controller.hostId);
      assert.ok(controller.sources.length > 0);
      if (controller.log.kind === 'unknown') continue;
      assert.equal(controller.log.value.fresh, false, 'what is remembered is not fresh');
      controller.log.value.entries.forEach(assertEntry);
    }
  },
});

const stacdLkc = lkc<readonly stacd.SavedIoc[]>({
  daemon: 'stacd',
  version: stacd.STACD_LKC_VERSION,
  content: stacdContent,
  parse: stacd.parseLkc,
  dump: stacd.dumpLkc,
  many: (n) => new Array<stacd.SavedIoc>(n).fill({ tid: TID, hostId: UUID, sources: ['x'] }),
  check: (saved) => {
    for (const controller of saved) {
      assertTid(controller.tid);
      assertHostId(controller.hostId);
      assert.ok(controller.sources.length > 0);
    }
  },
});

const v1State = fc.record({
  version: fc.constant(1),
  settled: fc.boolean(),
  controllers: fc.array(
    fc.record({
      'discovery-controller': tid.map(tidToDict),
      'log-pages': entries.map((all) => all.flat()),
      log: fc.oneof(
        fc.record({ state: fc.constant('known'), fresh: fc.boolean() }),
        fc.record({ state: fc.constant('unknown'), why: fc.string() }),
      ),
    }),
    { maxLength: 4 },
  ),
});

const originalState = fc.array(
  fc.record({
    'discovery-controller': tid.map(tidToDict),
    'log-pages': entries.map((all) => all.flat()),
  }),
  { maxLength: 4 },
);

function assertState(state: SaidState, log: MemoryLog): void {
  if (state.kind === 'original') {
    for (const { entries: listed, tid: of } of state.controllers) {
      assertTid(of);
      listed.forEach(assertEntry);
    }
  } else {
    for (const { age, log: answer, tid: of } of state.controllers) {
      assertTid(of);
      // Nothing is said at a time to come.
      assert.ok(age >= 0);
      if (answer.kind === 'known') answer.value.forEach(assertEntry);
      else assert.equal(typeof answer.why, 'string');
    }
    for (const { statedAt } of state.removed)
      assert.ok(statedAt === 'by-setting' || statedAt.age >= 0);
  }
  for (const message of log.messages()) assertPrintable(message, 800);
}

function stateFamilies(parse: (text: string) => unknown): Family[] {
  const page = entryToDict(ENTRY);
  const dc = {
    'discovery-controller': tidToDict(TID),
    'log-pages': [page],
    log: { state: 'known' },
  };
  const of = (name: string, controllers: (n: number) => readonly unknown[]): Family => ({
    name,
    make: (n) => {
      const list = controllers(Math.ceil(n / 8));
      const texts = [list, { version: 1, controllers: list }].map((each) => JSON.stringify(each));
      return () => texts.map((text) => onlyThrows(() => parse(text), isDeliberate));
    },
  });
  return [
    of('controllers', (n) => new Array<unknown>(n).fill(dc)),
    of('entries', (n) => [{ ...dc, 'log-pages': new Array<unknown>(n).fill(page) }]),
    of('refused entries', (n) => [
      { ...dc, 'log-pages': new Array<unknown>(n).fill({ trtype: 'x' }) },
    ]),
  ];
}

const discoveryState = defineTarget<string>({
  name: 'discovery-state',
  cases: 10_000,
  input: mutatedJson(v1State),
  size: (text) => text.length,
  check: (text) => {
    const log = new MemoryLog(true);
    const state = onlyThrows(() => parseDiscoveryState(text, log), isDeliberate);
    if (state !== undefined) assertState(state, log);
  },
  families: stateFamilies((text) => parseDiscoveryState(text, new MemoryLog())),
});

const allLogPages = defineTarget<string>({
  name: 'all-log-pages',
  cases: 10_000,
  input: mutatedJson(originalState),
  size: (text) => text.length,
  check: (text) => {
    const log = new MemoryLog(true);
    const state = onlyThrows(() => parseAllLogPages(text, log), isDeliberate);
    if (state !== undefined) assertState(state, log);
  },
  families: stateFamilies((text) => parseAllLogPages(text, new MemoryLog())),
});

export const stateTargets = [stafdLkc, stacdLkc, discoveryState, allLogPages];
