/**
 * The files of etc/stas as text, made from the option table: every option with its description and
 * default, commented out. A test compares the installed files with this.
 */
import { fieldsOf, type FieldDescription } from './field-table.ts';
import {
  optionsOf,
  sectionsOf,
  type ConfigFile,
  type Daemon,
  type OptionDescription,
} from './option-table.ts';
import { allowedText } from './option-value.ts';

const WIDTH = 79;

const TITLES: Readonly<Record<ConfigFile, readonly string[]>> = {
  stafd: [
    'Configuration of stafd, which finds NVMe discovery controllers and keeps this host connected ' +
      'to them. See stafd.conf(5).',
    'What is commented out shows the default. Files stafd.conf.d/*.conf beside this one add to it in ' +
      'the order of their names: controllers and excludes collect, other options take the place of ' +
      'earlier ones. After a change: stasadm check-config, then systemctl reload stafd',
  ],
  stacd: [
    'Configuration of stacd, which keeps this host connected to NVMe I/O controllers. See ' +
      'stacd.conf(5).',
    'What is commented out shows the default. Files stacd.conf.d/*.conf beside this one add to it in ' +
      'the order of their names: controllers and excludes collect, other options take the place of ' +
      'earlier ones. After a change: stasadm check-config, then systemctl reload stacd',
  ],
  sys: [
    'What /etc/stas/sys.conf may hold: who this host is, for stafd and stacd. See sys.conf(5).',
    'The file is optional. What is commented out shows the default. stasadm(1) changes it.',
  ],
};

/** One field of `controller=`, as its comment lists it. */
function fieldLines(daemon: Daemon, field: FieldDescription): string[] {
  const rest = field.mandatoryFor.includes(daemon) ? 'Mandatory.' : `Default: ${field.otherwise}.`;
  const values = `Values: ${allowedText(field.value)}.`;
  return comment(`${field.name}= ${field.description} ${values} ${rest}`, 2, 6);
}

function controllerLines(daemon: Daemon): string[] {
  const fields = fieldsOf('controller');
  const overrides = fields.filter(({ overrides }) => overrides === true).map(({ name }) => name);
  return [
    ...comment('Fields, joined by ;'),
    ...fields
      .filter(({ overrides }) => overrides !== true)
      .flatMap((field) => fieldLines(daemon, field)),
    ...comment(`${overrides.join(', ')}: as in [Global], for this controller.`, 2, 6),
  ];
}

const EXAMPLES: Readonly<Record<Daemon, readonly string[]>> = {
  stafd: [
    'controller=transport=tcp;traddr=192.0.2.10',
    'controller=transport=tcp;traddr=2001:db8::10;host-iface=eth1;kato=60',
    'controller=transport=fc;traddr=nn-0x10000000c9a00001:pn-0x20000000c9a00001',
  ],
  stacd: [
    'controller=transport=tcp;traddr=192.0.2.20;trsvcid=4420;nqn=nqn.2014-08.org.example:data',
    'controller=transport=rdma;traddr=192.0.2.21;nqn=nqn.2014-08.org.example:data;queue-size=64',
  ],
};

const EXCLUDE_EXAMPLES: readonly string[] = [
  'exclude=transport=tcp;traddr=2001:db8::66',
  'exclude=host-iface=eth2',
];

/** Words filled into lines of comment, the later ones indented by `hang` spaces. */
function comment(text: string, indent = 0, hang = indent): string[] {
  const lines: string[] = [];
  let line = `# ${' '.repeat(indent)}`;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `# ${' '.repeat(hang)}${word}`;
      continue;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

function optionLines(file: ConfigFile, option: OptionDescription): string[] {
  const value = option.defaults[file];
  const lines = comment(option.description);
  if (option.value.kind === 'controller' && file !== 'sys') {
    lines.push(...controllerLines(file));
    lines.push('# Examples:', ...EXAMPLES[file].map((example) => `#   ${example}`));
  } else if (option.value.kind === 'exclude') {
    const names = fieldsOf('exclude').map(({ name }) => name);
    lines.push(...comment(`Fields: ${names.join(', ')}.`));
    lines.push('# Examples:', ...EXCLUDE_EXAMPLES.map((example) => `#   ${example}`));
  } else {
    lines.push(...comment(`Values: ${allowedText(option.value)}.`, 0, 8));
  }
  const fallback = value ?? option.otherwise ?? '';
  lines.push(...comment(`Default: ${fallback}${value === undefined ? '.' : ''}`));
  lines.push(`#${option.key}=${value ?? ''}`);
  return lines;
}

/** The text of one of the files that are installed. */
export function confText(file: ConfigFile): string {
  const [purpose = '', use = ''] = TITLES[file];
  const blocks = [[...comment(purpose), '#', ...comment(use)].join('\n')];
  for (const section of sectionsOf(file)) {
    const options = optionsOf(file).filter(
      (option) => option.section === section && option.legacyOf === undefined,
    );
    const [first, ...rest] = options.map((option) => optionLines(file, option).join('\n'));
    blocks.push(`[${section}]\n${first ?? ''}`, ...rest);
  }
  return `${blocks.join('\n\n')}\n`;
}
