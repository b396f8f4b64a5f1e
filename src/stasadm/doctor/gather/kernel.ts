/** The kernel: its fabrics device, its modules, its controllers. */
import { closeSync, openSync } from 'node:fs';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { parseFabricsOptions } from '../../../libnvme-ffi/fabrics-options.ts';
import type { KernelController } from '../../../nvme/kernel-controller.ts';
import { SysfsControllers } from '../../../platform/sysfs-controllers.ts';
import { hasCode } from '../../../platform/system-error.ts';
import { MODULES, type FabricsDevice, type KernelModule, type ModuleName } from '../facts.ts';
import { bytesOf, exists, namesIn, textOf, whyNot } from './files.ts';
import { within, type World } from './world.ts';

const FABRICS_DEVICE = '/dev/nvme-fabrics';

/**
 * Read by a program of its own: the kernel lets nobody read while it connects, which may take a
 * minute, and a process with a thread that waits there cannot end.
 */
export async function gatherFabrics(world: World): Promise<Answer<FabricsDevice>> {
  const path = world.root + FABRICS_DEVICE;
  try {
    closeSync(openSync(path, 'r'));
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENODEV', 'ENXIO')) {
      // Without devices there is none of any kind.
      return exists(world, '/dev/null') ? known({ kind: 'missing' }) : unknown('there is no /dev');
    }
    return unknown(whyNot(FABRICS_DEVICE, thrown));
  }
  const result = await world.run('cat', [path]);
  switch (result.kind) {
    case 'output': {
      const options = parseFabricsOptions(result.text);
      return known(options.size > 0 ? { kind: 'options', options } : { kind: 'silent' });
    }
    case 'failed':
      // It can be opened, so it is the reading that the kernel refuses.
      return known({ kind: 'silent' });
    case 'absent':
      return unknown(`there is no cat to read ${FABRICS_DEVICE} with`);
    case 'given-up':
      return unknown(`${FABRICS_DEVICE} does not answer: the kernel is busy with a connect`);
  }
}

const MODPROBE_FOLDERS = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
];

/** Module names are one, with `-` or `_`. */
function moduleWord(text: string): string {
  return text.replaceAll('-', '_');
}

/** The modules that a file of modprobe.d(5) keeps from being loaded. */
export function blockedByModprobe(text: string): readonly string[] {
  const blocked: string[] = [];
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [command, name, program = ''] = line.trim().split(/[ \t]+/);
    if (name === undefined) continue;
    const never = command === 'install' && /(?:^|\/)(?:false|true)$/.test(program);
    if (command === 'blacklist' || never) blocked.push(moduleWord(name));
  }
  return blocked;
}

/** The modules that the kernel's command line keeps from being loaded. */
export function blockedByCommandLine(text: string): readonly string[] {
  return text.split(/\s+/).flatMap((word) => {
    const [, names = ''] = /^(?:modprobe\.blacklist|module_blacklist)=(.*)$/.exec(word) ?? [];
    return names
      .split(',')
      .filter((name) => name !== '')
      .map(moduleWord);
  });
}

/** By module: what keeps it from being loaded. */
function blockers(world: World): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const add = (names: readonly string[], by: string): void => {
    for (const name of names) if (!found.has(name)) found.set(name, by);
  };
  for (const folder of MODPROBE_FOLDERS) {
    const names = namesIn(world, folder);
    if (names.kind === 'unknown') continue;
    for (const name of names.value.filter((each) => each.endsWith('.conf'))) {
      const path = `${folder}/${name}`;
      const text = textOf(world, path);
      if (text.kind === 'known') add(blockedByModprobe(text.value ?? ''), path);
    }
  }
  const commandLine = textOf(world, '/proc/cmdline');
  if (commandLine.kind === 'known') {
    add(blockedByCommandLine(commandLine.value ?? ''), "the kernel's command line");
  }
  return found;
}

function moduleState(world: World, name: ModuleName): KernelModule['state'] {
  if (exists(world, `/sys/module/${moduleWord(name)}`)) return known('loaded');
  if (!exists(world, '/sys/module')) return unknown('there is no /sys');
  const folder = `/lib/modules/${world.release}`;
  const files = [name, moduleWord(name)].map((each) => `/${each}.ko`);
  const lists = ['modules.dep', 'modules.builtin'].map((list) =>
    bytesOf(world, `${folder}/${list}`),
  );
  for (const list of lists) {
    if (list.kind === 'unknown') return list;
    const { value } = list;
    if (value !== undefined && files.some((file) => value.includes(file)))
      return known('available');
  }
  return known('missing');
}

export function gatherModules(world: World): Readonly<Record<ModuleName, KernelModule>> {
  const blocked = blockers(world);
  const of = (name: ModuleName): KernelModule => ({
    state: moduleState(world, name),
    blockedBy: blocked.get(moduleWord(name)),
  });
  const [fabrics, tcp, rdma, fc] = MODULES;
  return { [fabrics]: of(fabrics), [tcp]: of(tcp), [rdma]: of(rdma), [fc]: of(fc) };
}

export async function gatherControllers(
  world: World,
): Promise<Answer<readonly KernelController[]>> {
  // Without the class there may be no module; without /sys nothing can be told.
  if (!exists(world, '/sys/class')) return unknown('there is no /sys');
  const controllers = new SysfsControllers(`${world.root}/sys`);
  return within(world, 'the kernel', controllers.list());
}
