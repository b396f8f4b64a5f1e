/**
 * The files of etc/stas as text, made from the option table: every option with its description and
 * default, commented out. A test compares the installed files with this.
 */
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
    'What is commented out shows the default. After a change: systemctl reload stafd',
  ],
  stacd: [
    'Configuration of stacd, which keeps this host connected to NVMe I/O controllers. See ' +
      'stacd.conf(5).',
    'What is commented out shows the default. After a change: systemctl reload stacd',
  ],
  sys: [
    'What /etc/stas/sys.conf may hold: who this host is, for stafd and stacd. See sys.conf(5).',
    'The file is optional. What is commented out shows the default. stasadm(1) changes it.',
  ],
};

/** One field of `controller=`, as its comment lists it. */
interface FieldText {
  readonly name: string;
  readonly text: string;
}

function controllerFields(daemon: Daemon): readonly FieldText[] {
  const overrides = optionsOf('stacd')
    .filter((option) => option.perController === true)
    .map((option) => option.key);
  const nqn =
    daemon === 'stafd'
      ? 'The NQN of the discovery controller; by default the well-known one.'
      : 'The NQN of the subsystem. Mandatory.';
  return [
    { name: 'transport', text: 'tcp, rdma, fc or loop. Mandatory.' },
    {
      name: 'traddr',
      text: 'The address: IP address or host name, or nn-0x...:pn-0x.... Mandatory.',
    },
    { name: 'trsvcid', text: 'The port; by default 8009 for tcp, 4420 for rdma.' },
    { name: 'nqn', text: nqn },
    { name: 'host-traddr', text: 'The address of this host to connect from.' },
    { name: 'host-iface', text: 'The interface of this host to connect through (tcp).' },
    { name: 'host-nqn', text: 'The host NQN to connect with; by default that of sys.conf.' },
    { name: 'dhchap-secret', text: 'The secret that the host proves itself with.' },
    {
      name: 'dhchap-ctrl-secret',
      text: 'The secret that the controller has to prove itself with.',
    },
    { name: `${overrides.join(', ')}:`, text: 'as in [Global], for this controller.' },
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
    lines.push(...comment('Fields, joined by ;'));
    for (const { name, text } of controllerFields(file)) {
      lines.push(...comment(name.endsWith(':') ? `${name} ${text}` : `${name}= ${text}`, 2, 6));
    }
    lines.push('# Examples:', ...EXAMPLES[file].map((example) => `#   ${example}`));
  } else if (option.value.kind === 'exclude') {
    lines.push(...comment('Fields: transport, traddr, trsvcid, nqn, host-iface, host-nqn.'));
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
