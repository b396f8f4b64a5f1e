/**
 * What the kernel's target has at the moment, read from configfs by one shell command.
 * Paths are relative to /sys/kernel/config.
 */

/** Directories, attributes and links under nvmet/ and nullb/. */
export interface ConfigfsState {
  readonly directories: ReadonlySet<string>;
  /** Path → value, without the spaces (a serial number is filled up with them) at its end. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly links: ReadonlySet<string>;
}

/** Attributes that are compared with what is wanted. */
const attributes = [
  'nvmet/ports/*/addr_*',
  'nvmet/ports/*/referrals/*/*',
  'nvmet/subsystems/*/attr_allow_any_host',
  'nvmet/subsystems/*/attr_serial',
  'nvmet/subsystems/*/attr_model',
  'nvmet/subsystems/*/namespaces/*/device_path',
  'nvmet/subsystems/*/namespaces/*/enable',
  'nvmet/hosts/*/dhchap_*',
  'nullb/*/size',
  'nullb/*/power',
];

/** Loads the target's modules and prints what `parseState` reads. */
export const readScript = [
  'set -e',
  // null_blk would make a device of its own accord.
  'modprobe null_blk nr_devices=0',
  'modprobe -a nvmet nvmet-tcp',
  'cd /sys/kernel/config',
  String.raw`find nvmet nullb -mindepth 1 \( -type d -o -type l \) -printf '%y %p\n'`,
  // A pattern that matches nothing is not an error, nor is an attribute that nobody may read.
  `grep -sH --null '' ${attributes.join(' ')} || true`,
].join('\n');

/** Takes apart what `readScript` has printed. */
export function parseState(output: string): ConfigfsState {
  const directories = new Set<string>();
  const links = new Set<string>();
  const values = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [path = '', value] = line.split('\0');
    if (value !== undefined) values.set(path, value.trimEnd());
    else if (line.startsWith('d ')) directories.add(line.slice(2));
    else if (line.startsWith('l ')) links.add(line.slice(2));
  }
  return { directories, links, attributes: values };
}

/** The names directly under the directory `parent`, for example all subsystems. */
export function childrenOf(paths: Iterable<string>, parent: string): readonly string[] {
  const names: string[] = [];
  for (const path of paths) {
    const name = path.startsWith(`${parent}/`) ? path.slice(parent.length + 1) : '/';
    if (!name.includes('/')) names.push(name);
  }
  return names.sort();
}
