/**
 * Which connections the boot firmware tables (NBFT) make untouchable: the boot path. Pure.
 *
 * A connection to a subsystem that a table names is the boot path by its NQN alone, over whatever
 * transport, address and interface it goes: further paths to the root file system may have been made
 * by other means, by addresses that DHCP or a redirection changed since, or after the boot. The
 * address decides only where an NQN tells nothing.
 */
import { isIoController } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { NbftTable } from '../nvme/nbft-table.ts';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from '../nvme/transport-id.ts';
import { addressKey } from './address-rules.ts';

/** One table as it was found. */
export interface BootTable {
  /** `NBFT`, `NBFT1`, …; safe to print. */
  readonly name: string;
  readonly content:
    | { readonly kind: 'read'; readonly table: NbftTable }
    | { readonly kind: 'unreadable'; readonly why: string };
}

/** Why a connection is or may be the boot path, as words that continue "it is …". */
export type BootClaim =
  /** A table names it. */
  | { readonly kind: 'named'; readonly why: string }
  /** Not all of what the tables name could be read. */
  | { readonly kind: 'possible'; readonly why: string };

export interface BootPath {
  /** Subsystems, and discovery controllers with an NQN of their own. */
  readonly nqns: ReadonlyMap<string, string>;
  /** Addresses of discovery controllers. */
  readonly discoveries: ReadonlyMap<string, string>;
  /** Addresses of subsystems whose NQN the table does not tell. */
  readonly unnamed: ReadonlyMap<string, string>;
  /** Addresses of the other subsystems. */
  readonly named: ReadonlyMap<string, string>;
  /** Why some subsystem, or some discovery controller, of the tables is not known. */
  readonly subsystemDoubt: string | undefined;
  readonly discoveryDoubt: string | undefined;
}

/** What the kernel calls a subsystem that tells it no NQN (`nvme_init_subnqn`). */
const MADE_UP_NQN = 'nqn.2014.08.org.nvmexpress:';

function portal(transport: string, traddr: string, trsvcid: string): string {
  return `${addressKey(transport, traddr)} ${trsvcid}`;
}

export function bootPathOf(tables: readonly BootTable[]): BootPath {
  const nqns = new Map<string, string>();
  const discoveries = new Map<string, string>();
  const unnamed = new Map<string, string>();
  const named = new Map<string, string>();
  const doubt: { subsystem: string | undefined; discovery: string | undefined } = {
    subsystem: undefined,
    discovery: undefined,
  };
  for (const { content, name } of tables) {
    if (content.kind === 'unreadable') {
      const why = `${name} cannot be read`;
      doubt.subsystem ??= why;
      doubt.discovery ??= why;
      continue;
    }
    const { table } = content;
    for (const { part, place, unidentified } of table.problems) {
      if (!unidentified) continue;
      const why = `${part} ${place === 0 ? 'list' : String(place)} of ${name} cannot be read`;
      if (part === 'discovery') doubt.discovery ??= why;
      else doubt.subsystem ??= why;
    }
    for (const { index, nqn, traddr, transport, trsvcid } of table.subsystems) {
      const why = `SSNS ${String(index)} of ${name}`;
      // What an attempt that failed leaves may name the discovery controller instead.
      const discovery = nqn === WELL_KNOWN_DISCOVERY_NQN;
      if (nqn !== '' && !discovery) nqns.set(nqn, why);
      if (transport === '' || traddr === '' || trsvcid === '') continue;
      const portals = discovery ? discoveries : nqn === '' ? unnamed : named;
      portals.set(portal(transport, traddr, trsvcid), why);
    }
    for (const { index, nqn, traddr, transport, trsvcid } of table.discoveries) {
      const why = `discovery controller ${String(index)} of ${name}`;
      if (nqn !== '' && nqn !== WELL_KNOWN_DISCOVERY_NQN) nqns.set(nqn, why);
      const tid = makeTid({ transport, traddr, trsvcid, subsysnqn: nqn });
      discoveries.set(portal(transport, traddr, tid.trsvcid), why);
    }
  }
  return {
    ...{ nqns, discoveries, unnamed, named },
    subsystemDoubt: doubt.subsystem,
    discoveryDoubt: doubt.discovery,
  };
}

/** Whether a connection is the boot path; undefined if it is not. */
export function bootClaim(path: BootPath, kernel: KernelController): BootClaim | undefined {
  const { subsysnqn } = kernel;
  if (kernel.transport === 'pcie') return undefined;
  const at = portal(kernel.transport, kernel.traddr, kernel.trsvcid);
  const io = isIoController(kernel);
  const discovery = subsysnqn === WELL_KNOWN_DISCOVERY_NQN || kernel.cntrltype === 'discovery';
  const nameless = subsysnqn === '' || subsysnqn.startsWith(MADE_UP_NQN);
  const why =
    path.nqns.get(subsysnqn) ??
    path.unnamed.get(at) ??
    (io ? undefined : path.discoveries.get(at)) ??
    (nameless ? path.named.get(at) : undefined);
  if (why !== undefined) return { kind: 'named', why };
  // An older kernel, or a device that has just come, does not tell what kind of controller it is.
  const doubt =
    (discovery ? undefined : path.subsystemDoubt) ?? (io ? undefined : path.discoveryDoubt);
  return doubt === undefined ? undefined : { kind: 'possible', why: doubt };
}
