/** What keeps the block device of a namespace busy, and what a lost connection means for it. */
import { escapeText } from './escape.ts';

/** How a device that is made of others is known to people. */
export type HolderKind = 'LVM' | 'encryption' | 'dm-multipath' | 'RAID' | 'btrfs' | 'other';

/** `device` is the kernel's name of the part that is used: `nvme0n1`, `nvme0n1p1`, `dm-3`. */
export type BlockUse =
  /** `at` is whatever somebody called the place: any bytes that a path may have. */
  | {
      readonly kind: 'mount';
      readonly device: string;
      readonly at: string;
      readonly fileSystem: string;
      /** One of the processes that see it, where others do not: in another mount namespace. */
      readonly process?: number;
    }
  | { readonly kind: 'swap'; readonly device: string }
  /** Another device is made of it, whose own uses follow in the list. */
  | {
      readonly kind: 'holder';
      readonly device: string;
      readonly holder: HolderKind;
      /** The name that it was given (`vg-data`); empty if it has none but the kernel's. */
      readonly name: string;
    };

/** One namespace, as one controller leads to it. */
export interface NamespaceUse {
  /** The block device that is used; the one of the subsystem, where there are several paths. */
  readonly block: string;
  readonly uses: readonly BlockUse[];
  /** The other controllers that have a path to it that works now: `nvme4`. */
  readonly otherPaths: readonly string[];
}

/** How many places and names are told of one namespace. */
const MAX_USES = 8;

/** One use in words, fit for a line of a log or a terminal. */
export function describeUse(use: BlockUse): string {
  switch (use.kind) {
    case 'mount': {
      const where = use.process === undefined ? '' : ` for process ${String(use.process)}`;
      return `mounted at ${escapeText(use.at)}${where} (${escapeText(use.fileSystem)} on ${use.device})`;
    }
    case 'swap':
      return `swap (${use.device})`;
    case 'holder': {
      const name = use.name === '' ? use.device : `${escapeText(use.name)} (${use.device})`;
      return use.holder === 'other' ? `part of ${name}` : `part of ${use.holder} ${name}`;
    }
  }
}

/** One use for programs: the keys of the commands' JSON. */
export function useJson(use: BlockUse): unknown {
  if (use.kind !== 'mount') return use;
  const { fileSystem, ...mount } = use;
  return { ...mount, 'file-system': fileSystem };
}

/**
 * What happens to the namespace when its path through one controller goes: `nvme0n1: mounted at
 * /data (ext4 on nvme0n1p1); this is the last path`. `going` names the controllers that go with it.
 */
export function describeNamespace(
  { block, otherPaths, uses }: NamespaceUse,
  going: ReadonlySet<string>,
): string {
  if (uses.length === 0) return `${block}: not in use`;
  const told = uses.slice(0, MAX_USES).map(describeUse);
  if (uses.length > MAX_USES) told.push(`and ${String(uses.length - MAX_USES)} more`);
  return `${block}: ${told.join(', ')}; ${describePaths(otherPaths, going)}`;
}

function describePaths(otherPaths: readonly string[], going: ReadonlySet<string>): string {
  const staying = otherPaths.filter((controller) => !going.has(controller));
  const [only, ...more] = staying;
  if (only === undefined) return 'this is the last path';
  return more.length === 0
    ? `1 other live path stays (${only})`
    : `${String(staying.length)} other live paths stay (${staying.join(', ')})`;
}

/** Whether losing these controllers takes something away that is in use. */
export function losesUse(namespace: NamespaceUse, going: ReadonlySet<string>): boolean {
  return (
    namespace.uses.length > 0 && namespace.otherPaths.every((controller) => going.has(controller))
  );
}
