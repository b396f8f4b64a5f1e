/** Inputs that are right, or nearly: what damage is done to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { allowedText } from '../../src/config/option-value.ts';
import type { OptionKind } from '../../src/config/option-kind.ts';
import { optionsOf, type ConfigFile } from '../../src/config/option-table.ts';

/** The files that are installed, as they are, and with what they show switched on. */
function installedText(file: ConfigFile): readonly string[] {
  const name = file === 'sys' ? 'sys.conf.doc' : `${file}.conf`;
  const text = readFileSync(join(import.meta.dirname, '../../etc/stas', name), 'utf8');
  return [text, text.replaceAll(/^#([a-z-]+=)/gm, '$1')];
}

/** Not the one that is planted: this one is damaged like everything else. */
const SECRET = `DHHC-1:01:${'YWJj'.repeat(12)}:`;

const NQNS = [
  'nqn.2014-08.org.nvmexpress.discovery',
  'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
  'nqn.2014-08.org.example:größe',
  'testnqn',
  'nqn.a,transport=tcp',
  'nqn.a b',
];

export const FC_ADDRESS = 'nn-0x204600a098cbcac6:pn-0x204700a098cbcac6';

/** Addresses of controllers, and what is not quite one. */
export const addressText: fc.Arbitrary<string> = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom(
    FC_ADDRESS,
    'nn-204600a098cbcac6:pn-204700a098cbcac6',
    'host.example.org',
    'localhost',
    'fe80::1%eth0',
    '::ffff:192.0.2.1',
    '0.0.0.0',
    '::',
    '010.1',
    '1.2.3.4,nqn=x',
  ),
);

export const portText: fc.Arbitrary<string> = fc.oneof(
  fc.integer({ min: 0, max: 70_000 }).map(String),
  fc.constantFrom('8009', '4420', '', '04420', 'none', '1e3'),
);

export const nqnText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...NQNS),
  fc.nat(260).map((n) => `nqn.${'x'.repeat(n)}`),
);

/** The fields of a controller: texts that belong there, and some that do not. */
const FIELDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  transport: fc.constantFrom('tcp', 'rdma', 'fc', 'loop', 'TCP', 'pcie'),
  traddr: addressText,
  trsvcid: portText,
  nqn: nqnText,
  subsysnqn: nqnText,
  'host-traddr': addressText,
  'host-iface': fc.constantFrom('eth0', 'enp0s31f6', 'br/0', '..', 'a,b', 'x'.repeat(16)),
  'host-nqn': nqnText,
  'host-id': fc.constantFrom('30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad', '1'),
  'dhchap-secret': fc.constantFrom(SECRET, 'wrong', SECRET.slice(0, -1)),
  'dhchap-ctrl-secret': fc.constant(SECRET),
  'hdr-digest': fc.constantFrom('true', 'False', 'yes'),
  'queue-size': fc.constantFrom('16', '1024', '15', '1e2'),
  kato: fc.constantFrom('0', '30', '-1', '99999999999999999999'),
  'ctrl-loss-tmo': fc.constantFrom('-1', '+600', '-2'),
  'no-such-field': fc.constant('x'),
};

const names = Object.keys(FIELDS);

function fieldOf(name: string): fc.Arbitrary<string> {
  return (FIELDS[name] ?? fc.constant('')).map((value) => `${name}=${value}`);
}

/** `controller=` and `exclude=` values. Mostly such that name a controller. */
export const entryText: fc.Arbitrary<string> = fc
  .record({
    start: fc.constantFrom('transport=tcp;', 'transport=rdma;', 'transport=fc;', ''),
    traddr: fieldOf('traddr'),
    rest: fc.array(
      fc.constantFrom(...names).chain((name) => fieldOf(name)),
      { maxLength: 6 },
    ),
    joint: fc.constantFrom(';', ' ; ', ';;'),
  })
  .map(({ joint, rest, start, traddr }) => start + [traddr, ...rest].join(joint));

function valueOf(kind: OptionKind): fc.Arbitrary<string> {
  switch (kind.kind) {
    case 'boolean':
      return fc.constantFrom('true', 'False', 'yes', '');
    case 'switch':
      return fc.constantFrom('enabled', 'Disabled', 'true');
    case 'integer':
      return fc
        .integer({ min: kind.min - 2, max: Math.min(kind.max, 5000) + 2 })
        .map((value) => String(value));
    case 'choice':
      return fc.constantFrom(...kind.words, 'none');
    case 'words':
      return fc
        .array(fc.constantFrom(...kind.words, 'x'), { maxLength: 4 })
        .map((words) => words.join('+'));
    case 'time-span':
      return spanText;
    case 'controller':
    case 'exclude':
      return entryText;
    case 'text-or-file':
      return fc.oneof(
        fc.constantFrom('file:///etc/nvme/hostnqn', 'file:///none', 'file://none', 'a name'),
        fc.constantFrom(SECRET, ...NQNS, '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad'),
      );
  }
}

/** Time spans, mostly right ones. */
export const spanText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('72hours', '5 days', '1:24', '1m24s', '1.2 minutes', '- 1 minute', '0', '-1'),
  fc.constantFrom('2 days, 4:13:02', '3 days 5 hours', '1d 2h 3m 4.5s', '.5h', '+3'),
  fc
    .array(fc.tuple(fc.nat(999), fc.constantFrom('d', 'hours', 'min', 's', ' sec', 'x', ':')), {
      maxLength: 5,
    })
    .map((parts) => parts.map(([number, unit]) => `${number}${unit}`).join(' ')),
);

/** A file made of options of the table, each with a value that is or could be right. */
function generatedText(file: ConfigFile): fc.Arbitrary<string> {
  const lines = optionsOf(file).map(({ key, section, value }) =>
    fc
      .tuple(valueOf(value), fc.constantFrom('=', ' = ', '=\n  '))
      .map(([text, equals]) => ({ section, line: `${key}${equals}${text}` })),
  );
  return fc
    .tuple(fc.array(fc.oneof(...lines), { maxLength: 25 }), fc.constantFrom('\n', '\r\n', '\r'))
    .map(([all, end]) => {
      let section = '';
      const text: string[] = [];
      for (const { line, section: of } of all) {
        if (of !== section) text.push(`[${of}]`);
        section = of;
        text.push(...line.split('\n'));
      }
      return text.join(end);
    });
}

/** Configuration files. */
export function confCorpus(file: ConfigFile): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...installedText(file)) },
    { weight: 4, arbitrary: generatedText(file) },
  );
}

/** Words that configuration files are made of. */
export function confWords(file: ConfigFile): readonly string[] {
  const options = optionsOf(file);
  return [
    ...new Set([
      ...options.map(({ section }) => `\n[${section}]\n`),
      ...options.map(({ key }) => `\n${key}=`),
      ...options.flatMap(({ value }) => allowedText(value).split(/[ ,]+/)),
      ...names.map((name) => `${name}=`),
      '\n  ',
      '\n#',
      '\n;',
      'file://',
      'file:///',
      SECRET,
    ]),
  ];
}
