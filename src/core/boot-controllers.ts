/**
 * The discovery controllers of a boot firmware table (NBFT) as stafd's controllers. Pure.
 *
 * As in nvme-stas they are bound to the interface that has the MAC address of their HFI, not to the
 * address that the firmware had: the operating system may have got another one since. Subsystems of
 * the table are not connected: nvme-cli has done that (`nvme connect-all --nbft`) before the root
 * file system could be mounted, and does it again when an interface of the table comes up.
 */
import { normalizeConfiguredTid } from '../config/service-config.ts';
import { checkInterfaceName, parseIpAddress, sameIpAddress } from '../nvme/ip-address.ts';
import type { NbftHfi, NbftTable } from '../nvme/nbft-table.ts';
import { makeTid, type TransportId } from '../nvme/transport-id.ts';
import { known, unknown, type Answer } from './answer.ts';
import type { SourceId } from './plan-controllers.ts';

const NBFT = 'nbft:';

export function isBootSource(source: SourceId): boolean {
  return source.startsWith(NBFT);
}

export interface BootController {
  readonly source: SourceId;
  /** Without its interface; without a host NQN where the table's is only a default. */
  readonly tid: TransportId;
  /** The interface to reach it by; undefined if the table names none. */
  readonly hfi: NbftHfi | undefined;
}

export interface BootControllers {
  readonly controllers: readonly BootController[];
  /** Those that are not used and why, one line each, safe to print. */
  readonly skipped: readonly string[];
}

/** The host NQN that an administrator gave to the firmware, empty if none. */
export function bootHostNqn({ host }: NbftTable): string {
  return host?.nqnConfigured === true ? host.nqn : '';
}

export function bootControllers(name: string, table: NbftTable): BootControllers {
  const hfis = new Map(table.hfis.map((hfi) => [hfi.index, hfi]));
  const securities = new Map(table.securities.map((security) => [security.index, security]));
  const controllers: BootController[] = [];
  const skipped: string[] = [];
  for (const [place, discovery] of table.discoveries.entries()) {
    const hfi = hfis.get(discovery.hfi);
    const security = securities.get(discovery.security);
    const reason =
      discovery.nqn === ''
        ? 'its NQN cannot be used'
        : discovery.hfi !== 0 && hfi === undefined
          ? `HFI ${String(discovery.hfi)} cannot be used`
          : security?.secureChannel === 'required'
            ? `security profile ${String(security.index)} requires a secure channel`
            : undefined;
    if (reason !== undefined) {
      skipped.push(`discovery controller ${String(discovery.index)}: ${reason}`);
      continue;
    }
    controllers.push({
      source: `${NBFT}${name}/${String(place + 1)}`,
      tid: makeTid({
        transport: discovery.transport,
        traddr: discovery.traddr,
        trsvcid: discovery.trsvcid,
        subsysnqn: discovery.nqn,
        hostNqn: bootHostNqn(table),
      }),
      hfi,
    });
  }
  return { controllers, skipped };
}

export interface InterfaceLike {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
}

/** The interfaces of this host that have an address, in the order of the system. */
export interface HostInterfaces {
  list(): readonly InterfaceLike[];
  /** The identifier of a VLAN's interface, 0 for any other. */
  vlanOf(name: string): number;
}

/** As its controller is to be connected; unknown while its interface is not there. */
export function bootAnswer(
  { hfi, tid }: BootController,
  interfaces: HostInterfaces,
  rules: { readonly ignoreIface: boolean; readonly hostNqn: string },
): Answer<TransportId> {
  if (hfi === undefined || rules.ignoreIface) return known(normalizeConfiguredTid(tid, rules));
  const hostIface = interfaceOf(hfi, tid.traddr, interfaces);
  if (hostIface === undefined) {
    const vlan = hfi.vlan === 0 ? '' : ` and VLAN ${String(hfi.vlan)}`;
    return unknown(`no interface with the MAC address ${hfi.mac}${vlan} has an address`);
  }
  return known(normalizeConfiguredTid(makeTid({ ...tid, hostIface }), rules));
}

/**
 * The interface of an HFI. A bridge, a VLAN or a bond shares the MAC address of what is below it,
 * which then has no address of its own, or a link-local one at most; where several are left, the one
 * that has the address of the firmware, then one that can reach the controller's address family.
 */
function interfaceOf(hfi: NbftHfi, traddr: string, interfaces: HostInterfaces): string | undefined {
  const family = parseIpAddress(traddr)?.family;
  const scores = new Map<string, number>();
  for (const { address, mac, name } of interfaces.list()) {
    if (mac.toLowerCase() !== hfi.mac || checkInterfaceName(name) !== undefined) continue;
    if (interfaces.vlanOf(name) !== hfi.vlan) continue;
    const own = parseIpAddress(address);
    const usable = own !== undefined && own.family === family && !isLinkLocal(own.bytes);
    const score = sameIpAddress(address, hfi.address) ? 2 : usable ? 1 : 0;
    scores.set(name, Math.max(score, scores.get(name) ?? 0));
  }
  let best: string | undefined;
  for (const [name, score] of scores) {
    if (best === undefined || score > (scores.get(best) ?? 0)) best = name;
  }
  return best;
}

/** fe80::/10 (RFC 4291), 169.254.0.0/16 (RFC 3927). */
function isLinkLocal(bytes: readonly number[]): boolean {
  const [first = 0, second = 0] = bytes;
  return bytes.length === 16
    ? first === 0xfe && (second & 0xc0) === 0x80
    : first === 169 && second === 254;
}
