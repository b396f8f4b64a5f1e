/**
 * A model of configfs with the rules of the kernel's NVMe target that decide the order of steps:
 * what the steps of a plan do to a state, and which steps the kernel would refuse.
 */
import type { ConfigfsState } from '../../targets/configfs.ts';
import type { Step } from '../../targets/plan.ts';

/** Directories that come with one that is made. */
const defaultChildren: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^nvmet\/ports\/[^/]+$/, ['subsystems', 'referrals', 'ana_groups', 'ana_groups/1']],
  [/^nvmet\/subsystems\/[^/]+$/, ['namespaces', 'allowed_hosts', 'passthru']],
];

const defaultAttributes: readonly (readonly [RegExp, Readonly<Record<string, string>>])[] = [
  [
    /^nvmet\/subsystems\/[^/]+$/,
    { attr_allow_any_host: '0', attr_serial: 'x', attr_model: 'Linux' },
  ],
  [/^nvmet\/subsystems\/[^/]+\/namespaces\/[^/]+$/, { device_path: '(null)', enable: '0' }],
];

export class ConfigfsModel implements ConfigfsState {
  readonly directories = new Set(['nvmet/ports', 'nvmet/subsystems', 'nvmet/hosts']);
  readonly attributes = new Map<string, string>();
  readonly links = new Set<string>();
  readonly #targets = new Map<string, string>();

  apply(steps: readonly Step[]): void {
    for (const step of steps) this.#one(step);
  }

  #one(step: Step): void {
    switch (step.kind) {
      case 'mkdir':
        this.#mkdir(step.path);
        return;
      case 'rmdir':
        this.#rmdir(step.path);
        return;
      case 'write':
        this.#write(step.path, step.value);
        return;
      case 'unlink':
        check(this.links.delete(step.path), 'ENOENT', step.path);
        this.#targets.delete(step.path);
        return;
      case 'link':
        this.#link(step.directory, step.target);
        return;
      default:
        step satisfies never;
    }
  }

  #mkdir(path: string): void {
    check(!this.directories.has(path), 'EEXIST', path);
    const parent = path.slice(0, path.lastIndexOf('/'));
    check(parent === 'nullb' || this.directories.has(parent), 'ENOENT', path);
    this.directories.add(path);
    for (const [pattern, names] of defaultChildren) {
      if (pattern.test(path)) for (const name of names) this.directories.add(`${path}/${name}`);
    }
    for (const [pattern, values] of defaultAttributes) {
      if (!pattern.test(path)) continue;
      for (const [name, value] of Object.entries(values))
        this.attributes.set(`${path}/${name}`, value);
    }
  }

  #rmdir(path: string): void {
    check(this.directories.has(path), 'ENOENT', path);
    check(![...this.#targets.values()].includes(path), 'EBUSY: linked to', path);
    check(![...this.links].some((link) => link.startsWith(`${path}/`)), 'EBUSY: has links', path);
    const made = [...this.directories].some((other) =>
      /\/(namespaces|referrals)\/[^/]+$/.test(other.startsWith(`${path}/`) ? other : ''),
    );
    check(!made, 'ENOTEMPTY', path);
    const device = `/dev/${path.slice(path.lastIndexOf('/') + 1)}`;
    const used = path.startsWith('nullb/') && [...this.attributes.values()].includes(device);
    check(!used, 'EBUSY: open', path);
    for (const name of [...this.directories]) {
      if (name === path || name.startsWith(`${path}/`)) this.directories.delete(name);
    }
    for (const name of [...this.attributes.keys()]) {
      if (name.startsWith(`${path}/`)) this.attributes.delete(name);
    }
  }

  #write(path: string, value: string): void {
    const directory = path.slice(0, path.lastIndexOf('/'));
    check(this.directories.has(directory), 'ENOENT', path);
    const isPort = /^nvmet\/ports\/[^/]+\/addr_/.test(path);
    check(!(isPort && this.#hasLink(`${directory}/subsystems/`)), 'EACCES: port in use', path);
    if (path.endsWith('/attr_allow_any_host') && value === '1') {
      check(!this.#hasLink(`${directory}/allowed_hosts/`), 'EINVAL: has hosts', path);
    }
    if (path.endsWith('/enable') && path.includes('/namespaces/')) {
      const device = this.attributes.get(`${directory}/device_path`) ?? '';
      const powered = this.attributes.get(`nullb/${device.replace('/dev/', '')}/power`);
      check(powered === '1', 'ENOENT: no device', path);
    }
    this.attributes.set(path, value);
  }

  #link(directory: string, target: string): void {
    const path = `${directory}/${target.slice(target.lastIndexOf('/') + 1)}`;
    check(this.directories.has(directory), 'ENOENT', directory);
    check(this.directories.has(target), 'ENOENT', target);
    check(!this.links.has(path), 'EEXIST', path);
    const anyHost = this.attributes.get(directory.replace('allowed_hosts', 'attr_allow_any_host'));
    check(anyHost !== '1', 'EINVAL: any host may connect', path);
    const port = /^(nvmet\/ports\/[^/]+)\/subsystems$/.exec(directory)?.[1];
    const transport = port === undefined ? '' : this.attributes.get(`${port}/addr_trtype`);
    check(transport !== undefined, 'EINVAL: port without a transport', path);
    this.links.add(path);
    this.#targets.set(path, target);
  }

  #hasLink(prefix: string): boolean {
    return [...this.links].some((link) => link.startsWith(prefix));
  }
}

function check(allowed: boolean, code: string, path: string): void {
  if (!allowed) throw new Error(`${code}: ${path}`);
}
