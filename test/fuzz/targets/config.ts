/** The files of /etc/stas. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  readController,
  readExclude,
  type FieldNote,
} from '../../../src/config/controller-entry.ts';
import { withHostIds } from '../../../src/config/host-identities.ts';
import { splitLines, type ConfSource } from '../../../src/config/ini-text.ts';
import type { Daemon } from '../../../src/config/option-table.ts';
import { formatProblem, type Problem } from '../../../src/config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { parseSysConfig } from '../../../src/config/sys-config.ts';
import { parseTimeSpan } from '../../../src/config/time-span.ts';
import type { ConnectOptions } from '../../../src/nvme/connect-options.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { printTid } from '../../../src/nvme/transport-id.ts';
import { fileText, textFamilies, withSecret } from '../conf-input.ts';
import { confWords, entryText, spanText } from '../corpus.ts';
import { mutatedText } from '../mutate.ts';
import {
  assertFrozen,
  assertNoSecret,
  assertNqn,
  assertPrintable,
  assertTid,
  SECRET,
} from '../promises.ts';
import { defineTarget } from '../target.ts';

const FILE = '/etc/stas/f.conf';
const UUID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';

/** `texts`: by file. */
function assertProblems(
  problems: readonly Problem[],
  texts: Readonly<Record<string, string>>,
): void {
  const linesOfFile = new Map(
    Object.entries(texts).map(([file, text]) => [file, splitLines(text)]),
  );
  for (const problem of problems) {
    const formatted = formatProblem(problem);
    assertPrintable(formatted, 1500);
    assertNoSecret(formatted);
    assertNoSecret(JSON.stringify(problem));
    const { column, line } = problem;
    if (line === undefined) continue;
    const lines = linesOfFile.get(problem.file) ?? assert.fail(`no such file: ${problem.file}`);
    assert.ok(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}`);
    // The end of the line, where something is missing, is still a place.
    const { length } = lines[line - 1] ?? '';
    assert.ok((column ?? 1) >= 1 && (column ?? 1) <= length + 1, `column ${column} of ${length}`);
  }
}

function assertOptions(options: ConnectOptions): void {
  for (const value of Object.values(options) as unknown[]) {
    const sound =
      typeof value === 'boolean' || Number.isSafeInteger(value) || value instanceof Secret;
    assert.ok(sound, JSON.stringify(value));
  }
}

function assertConfig(config: ServiceConfig): void {
  assertFrozen(config, 'the configuration');
  assert.ok(config.ipFamilies.size > 0);
  assert.ok(Number.isFinite(config.zeroconfPersistence) && config.zeroconfPersistence >= -1);
  assert.ok(config.connectAttemptsOnNcc === 0 || config.connectAttemptsOnNcc >= 2);
  assertOptions(config.options);
  const seen = new Set<string>();
  for (const { options, tid } of config.controllers) {
    assertTid(tid, { mayBeName: true });
    assertPrintable(printTid(tid), 1500);
    const key = Object.values(tid).join('\n');
    assert.ok(!seen.has(key), 'a controller is there twice');
    seen.add(key);
    assertOptions(options);
  }
  for (const exclude of config.excludes) {
    assert.ok(Object.keys(exclude).length > 1, 'an exclude without a field');
    assert.ok(!/[,\p{C}]/u.test(Object.values(exclude).join('')));
  }
  assertNoSecret(JSON.stringify(config));
}

/** The daemon's file and what may be dropped in beside it. */
function confSources(daemon: Daemon): fc.Arbitrary<readonly ConfSource[]> {
  const text = withSecret(fileText(daemon));
  return fc.array(text, { minLength: 1, maxLength: 3 }).map((texts) =>
    texts.map((each, index) => ({
      file: `${FILE}${index === 0 ? '' : `.d/${index}.conf`}`,
      text: each,
    })),
  );
}

function serviceConfig(daemon: Daemon) {
  const parse = (text: string) => parseServiceConfig(daemon, [{ file: FILE, text }]);
  return defineTarget<readonly ConfSource[]>({
    name: `${daemon}-conf`,
    cases: 15_000,
    input: confSources(daemon),
    size: (sources) => sources.reduce((sum, { text }) => sum + text.length, 0),
    check: (sources) => {
      const { config, problems } = parseServiceConfig(daemon, sources);
      assertConfig(config);
      const texts = Object.fromEntries(sources.map(({ file, text }) => [file, text]));
      assertProblems(problems, texts);
      const files = sources.map(({ file }) => file);
      const order = problems.map(({ file, line }) => files.indexOf(file) * 1e6 + (line ?? 0));
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
      const own = { hostnqn: 'nqn.2014-08.org.example:h', hostid: UUID };
      const identified = withHostIds(config, own);
      assertProblems(identified.problems, texts);
      assertConfig(identified.config);
      const idOf = new Map([[own.hostnqn, own.hostid]]);
      for (const { hostId, tid } of identified.config.controllers) {
        if (tid.hostNqn === '' || tid.hostNqn === own.hostnqn) continue;
        assert.match(hostId, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
        assert.equal(idOf.get(tid.hostNqn) ?? hostId, hostId, 'an NQN has two IDs');
        idOf.set(tid.hostNqn, hostId);
      }
      assert.equal(new Set(idOf.values()).size, idOf.size, 'an ID has two NQNs');
      // What a later file adds to the lists takes nothing away from what was there.
      const before = parseServiceConfig(daemon, sources.slice(0, -1)).config.controllers;
      assert.deepEqual(config.controllers.slice(0, before.length), before);
    },
    families: [
      ...textFamilies(parse, 'Global'),
      ...textFamilies(parse, 'Controllers', 'exclude=').map((family) => ({
        ...family,
        name: `${family.name}, of controllers`,
      })),
      {
        name: 'files',
        make: (n) => {
          const text = '[Global]\nkato=1\nkato=x\nnone=1\n';
          const sources = Array.from({ length: Math.ceil(n / 8) }, (_, i) => ({
            file: `/${i}`,
            text,
          }));
          return () => parseServiceConfig(daemon, sources);
        },
      },
    ],
  });
}

const PLACE = { file: FILE, line: 7 };

/** Fields of an entry whose every field is right. */
const goodFields = fc.record(
  {
    traddr: fc.oneof(fc.ipV4(), fc.ipV6()),
    trsvcid: fc.integer({ min: 1, max: 65535 }).map(String),
    nqn: fc.stringMatching(/^nqn\.[0-9a-z.:-]{1,200}$/),
    'host-traddr': fc.oneof(fc.ipV4(), fc.ipV6()),
    'host-iface': fc.stringMatching(/^[a-z][a-z0-9.-]{0,14}$/),
    'host-nqn': fc.stringMatching(/^nqn\.[0-9a-z.:-]{1,200}$/),
  },
  { requiredKeys: ['traddr', 'nqn'] },
);

interface EntryCase {
  readonly daemon: Daemon;
  readonly text: string;
  readonly good: Readonly<Partial<Record<string, string>>>;
}

const controllerEntry = defineTarget<EntryCase>({
  name: 'controller-entry',
  cases: 20_000,
  input: fc.record({
    daemon: fc.constantFrom<Daemon>('stafd', 'stacd'),
    text: fc.oneof(
      { weight: 9, arbitrary: mutatedText(entryText, confWords('stacd')) },
      fc.string({ unit: 'binary' }),
    ),
    good: goodFields,
  }),
  size: ({ text }) => text.length,
  check: ({ daemon, good, text }) => {
    const notes: FieldNote[] = [];
    const report = (note: FieldNote): void => void notes.push(note);
    const controller = readController(daemon, text, PLACE, report);
    if (controller === undefined) assert.ok(notes.some(({ severity }) => severity === 'error'));
    else assertTid(controller.tid, { mayBeName: true });
    notes.length = 0;
    const exclude = readExclude(text, PLACE, report);
    assert.ok(exclude !== undefined || notes.length > 0);
    assertFrozen(controller, 'the controller');
    assertFrozen(exclude, 'the exclude');

    const fields = Object.entries(good).map(([name, value]) => `${name}=${value ?? ''}`);
    notes.length = 0;
    const written = readController(daemon, ['transport=tcp', ...fields].join(' ; '), PLACE, report);
    assert.deepEqual(notes, []);
    assert.deepEqual(written?.tid, {
      transport: 'tcp',
      traddr: good['traddr'],
      trsvcid: good['trsvcid'] ?? '8009',
      subsysnqn: good['nqn'],
      hostTraddr: good['host-traddr'] ?? '',
      hostIface: good['host-iface'] ?? '',
      hostNqn: good['host-nqn'] ?? '',
    });
  },
  families: ['=', ';', ' ', '=;', 'a=b;', 'traddr=', 'nqn=x;', ';\t'].map((piece) => ({
    name: `${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = `transport=tcp;${piece.repeat(n)}`;
      return () => [
        readController('stacd', text, PLACE, () => undefined),
        readExclude(text, PLACE, () => undefined),
      ];
    },
  })),
});

const timeSpan = defineTarget<string>({
  name: 'time-span',
  cases: 10_000,
  input: mutatedText(spanText, ['days', 'hours', 'min', 's', ',', '/', ':', '1e9', '- ', '+']),
  size: (text) => text.length,
  check: (text) => {
    const seconds = parseTimeSpan(text);
    if (seconds !== undefined) {
      assert.ok(Number.isFinite(seconds), String(seconds));
      assert.ok(!Object.is(seconds, -0));
      assert.ok(seconds >= 0 || text.trim().startsWith('-'));
      assert.ok(/[0-9]/.test(text));
      const written = parseTimeSpan(`${Math.abs(seconds) % 1e9} s`);
      if (!String(seconds).includes('e')) assert.equal(written, Math.abs(seconds) % 1e9);
    }
    assert.equal(
      parseTimeSpan(` ${text.toUpperCase().toLowerCase()} `),
      parseTimeSpan(text.toUpperCase().toLowerCase()),
    );
  },
  families: ['1', ' ', ':', '1d', '00:', '.', '-', ', '].map((piece) => ({
    name: `${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = `${piece.repeat(n)}x`;
      return () => parseTimeSpan(text);
    },
  })),
});

interface SysCase {
  readonly text: string | undefined;
  readonly files: Readonly<Record<string, string>>;
}

const fileContent = withSecret(
  mutatedText(
    fc.constantFrom('nqn.2014-08.org.example:a\n', `${UUID}\n`, `${SECRET}\n`, 'rack 7', ''),
    [UUID, 'nqn.', '\n', '\u00a0'],
  ),
);

const sysConf = defineTarget<SysCase>({
  name: 'sys-conf',
  cases: 15_000,
  input: fc.record({
    text: fc.option(withSecret(fileText('sys')), { nil: undefined, freq: 20 }),
    files: fc.dictionary(
      fc.constantFrom('/etc/nvme/hostnqn', '/etc/nvme/hostid', '/etc/nvme/hostkey', '/none'),
      fileContent,
    ),
  }),
  size: ({ files, text }) => (text ?? '').length + Object.values(files).join('').length,
  check: ({ files, text }) => {
    const asked: string[] = [];
    const { identity, missing, problems } = parseSysConfig(FILE, text, (path) => {
      asked.push(path);
      return Object.hasOwn(files, path) ? files[path] : undefined;
    });
    assert.ok(asked.length <= 4 && asked.every((path) => path.startsWith('/')));
    assertProblems(problems, { [FILE]: text ?? '' });
    assert.equal(identity === undefined, missing.length > 0);
    for (const { message } of missing) {
      assertPrintable(message, 1500);
      assertNoSecret(message);
    }
    if (identity === undefined) return;
    assertFrozen(identity);
    assertNqn(identity.hostnqn);
    assert.match(identity.hostid, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
    if (identity.symname !== undefined) assertPrintable(identity.symname, 256);
    assertNoSecret(JSON.stringify(identity));
  },
  families: [
    ...textFamilies((text) => parseSysConfig(FILE, text, () => undefined), 'Host', 'nqn='),
    ...[' ', '\n', '\t x', '\ufeff', 'x'].map((piece) => ({
      name: `a file of ${JSON.stringify(piece)}`,
      make: (n: number) => {
        const content = piece.repeat(n * 4);
        return () => parseSysConfig(FILE, undefined, () => content);
      },
    })),
  ],
});

export const configTargets = [
  serviceConfig('stafd'),
  serviceConfig('stacd'),
  controllerEntry,
  timeSpan,
  sysConf,
];
