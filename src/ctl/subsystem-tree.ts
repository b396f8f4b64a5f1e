/**
 * `stacctl tree`: subsystem, its controllers, its namespaces, what is in use of them. Pure.
 *
 * It is what the kernel has, whoever made it; stacd is asked only which of it is its own.
 */
import { describeUse, useJson } from '../nvme/block-use.ts';
import type { BlockUse, NamespaceUse } from '../nvme/block-use.ts';
import { isIoController } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { aligned, byNames, paint, shown } from './text.ts';
import type { Cell, Screen } from './text.ts';

export interface NamespaceNode {
  /** `nvme0n1` */
  readonly block: string;
  /** Undefined if sysfs does not say. */
  readonly bytes: number | undefined;
  /** The controllers that lead to it. */
  readonly paths: readonly string[];
  readonly uses: readonly BlockUse[];
}

export interface SubsystemNode {
  readonly subsysnqn: string;
  readonly controllers: readonly KernelController[];
  readonly namespaces: readonly NamespaceNode[];
}

export interface SubsystemTree {
  readonly subsystems: readonly SubsystemNode[];
  /** The devices that stacd has; undefined if it was not to be asked, and why. */
  readonly own: ReadonlySet<string> | undefined;
  readonly ownUnknown: string | undefined;
}

/** Names with numbers in them, in the order of the numbers. */
const byName = byNames(['name'], (name: string) => name);

/** Fabrics connections of I/O controllers by subsystem. `bytesOf`: of a block device. */
export function subsystemsOf(
  kernel: readonly KernelController[],
  uses: ReadonlyMap<string, readonly NamespaceUse[]>,
  bytesOf: ReadonlyMap<string, number>,
): readonly SubsystemNode[] {
  const bySubsystem = new Map<string, KernelController[]>();
  for (const controller of kernel) {
    if (!isIoController(controller)) continue;
    const there = bySubsystem.get(controller.subsysnqn);
    if (there === undefined) bySubsystem.set(controller.subsysnqn, [controller]);
    else there.push(controller);
  }
  return [...bySubsystem]
    .sort(([a], [b]) => byName(a, b))
    .map(([subsysnqn, controllers]) => {
      controllers.sort((a, b) => byName(a.device, b.device));
      const namespaces = new Map<string, { uses: readonly BlockUse[]; paths: string[] }>();
      for (const { device } of controllers) {
        for (const { block, uses: its } of uses.get(device) ?? []) {
          const there = namespaces.get(block);
          if (there === undefined) namespaces.set(block, { uses: its, paths: [device] });
          else there.paths.push(device);
        }
      }
      return {
        subsysnqn,
        controllers,
        namespaces: [...namespaces]
          .sort(([a], [b]) => byName(a, b))
          .map(([block, node]) => ({ block, bytes: bytesOf.get(block), ...node })),
      };
    });
}

const SIZES = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

/** `100 GiB`, `1.5 TiB`, `512 B`. */
export function sizeText(bytes: number): string {
  for (const [unit, size] of SIZES) {
    if (bytes < size) continue;
    const count = bytes / size;
    return `${count >= 100 || Number.isInteger(count) ? count.toFixed(0) : count.toFixed(1)} ${unit}`;
  }
  return `${String(bytes)} B`;
}

const INDENT = '  ';

function controllerCells(controller: KernelController, tree: SubsystemTree): readonly Cell[] {
  const { device, hostIface, state, traddr, transport, trsvcid } = controller;
  const own = tree.own?.has(device);
  return [
    { text: shown(device) },
    { text: shown(state), tone: state === 'live' ? 'good' : 'bad' },
    {
      text: [transport, traddr, trsvcid]
        .filter((part) => part !== '')
        .map(shown)
        .join(' '),
    },
    { text: shown(hostIface) },
    { text: own === true ? 'stacd' : own === false ? 'not of stacd' : '', tone: 'faint' },
  ];
}

function namespaceLines({ block, bytes, paths, uses }: NamespaceNode): readonly string[] {
  const size = bytes === undefined ? '' : ` ${sizeText(bytes)}`;
  const through = `through ${paths.map(shown).join(', ')}`;
  const used = uses.length === 0 ? ['not in use'] : uses.map(describeUse);
  return [`${shown(block)}${size}, ${through}`, ...used.map((line) => INDENT + line)];
}

/** For people. */
export function treeLines(tree: SubsystemTree, screen: Screen): readonly string[] {
  const { ownUnknown, subsystems } = tree;
  const blocks = subsystems.map(({ controllers, namespaces, subsysnqn }) => [
    paint(shown(subsysnqn), 'heading', screen),
    ...aligned(
      controllers.map((controller) => controllerCells(controller, tree)),
      screen,
      INDENT,
    ),
    ...namespaces.flatMap(namespaceLines).map((line) => INDENT + line),
    ...(namespaces.length === 0 ? [`${INDENT}no namespaces`] : []),
  ]);
  if (blocks.length === 0) blocks.push(['no I/O controllers']);
  if (ownUnknown !== undefined) blocks.push([`Which are stacd's is not known: ${ownUnknown}`]);
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]));
}

/** For programs; `stacd` is null where it is not known. */
export function treeJson({ own, subsystems }: SubsystemTree): unknown {
  return {
    subsystems: subsystems.map(({ controllers, namespaces, subsysnqn }) => ({
      subsysnqn,
      controllers: controllers.map(({ device, hostIface, state, traddr, transport, trsvcid }) => ({
        ...{ device, state, transport, traddr, trsvcid, 'host-iface': hostIface },
        stacd: own?.has(device) ?? null,
      })),
      namespaces: namespaces.map(({ block, bytes, paths, uses }) => ({
        block,
        bytes: bytes ?? null,
        paths,
        uses: uses.map(useJson),
      })),
    })),
  };
}
