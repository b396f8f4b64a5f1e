/** Interfaces, multicast groups, avahi-daemon's choice of interfaces, packet filters. */
import { known, unknown, type Answer } from '../../../core/answer.ts';
import type { Avahi } from '../facts.ts';
import {
  mergeFilters,
  NO_FILTER,
  parseIptablesSave,
  parseNftRuleset,
  type PacketFilter,
} from '../packet-filter.ts';
import { exists, textOf } from './files.ts';
import type { World } from './world.ts';

/** include/uapi/linux/if.h */
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_POINTOPOINT = 0x10;
const IFF_MULTICAST = 0x1000;

/** Interfaces that avahi-daemon would listen on by default. */
export function gatherInterfaces(world: World): Avahi['interfaces'] {
  if (!exists(world, '/sys/class/net')) return unknown('there is no /sys');
  const names = [...new Set(world.interfaces.list().map(({ name }) => name))];
  return known(
    names.filter((name) => {
      const text = textOf(world, `/sys/class/net/${name}/flags`);
      const flags = text.kind === 'known' ? Number(text.value?.trim()) : 0;
      return (
        (flags & (IFF_UP | IFF_MULTICAST)) === (IFF_UP | IFF_MULTICAST) &&
        (flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) === 0
      );
    }),
  );
}

/** 224.0.0.251, as /proc/net/igmp has it on a machine of either byte order. */
const GROUP_4 = new Set(['FB0000E0', 'E00000FB']);
/** ff02::fb */
const GROUP_6 = 'ff0200000000000000000000000000fb';

/** The interfaces of /proc/net/igmp that are in mDNS's group. */
export function mdnsInIgmp(text: string): readonly string[] {
  const found: string[] = [];
  let device = '';
  for (const line of text.split('\n')) {
    const [, name] = /^\d+\s+(\S+)\s*:/.exec(line) ?? [];
    if (name !== undefined) device = name;
    const [group = ''] = line.trim().split(/\s+/, 1);
    if (/^\s/.test(line) && GROUP_4.has(group.toUpperCase())) found.push(device);
  }
  return found;
}

/** The same of /proc/net/igmp6. */
export function mdnsInIgmp6(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const [, device, group] = line.trim().split(/\s+/);
    return device !== undefined && group?.toLowerCase() === GROUP_6 ? [device] : [];
  });
}

export function gatherListening(world: World): Avahi['listening'] {
  const igmp = textOf(world, '/proc/net/igmp');
  const igmp6 = textOf(world, '/proc/net/igmp6');
  if (igmp.kind === 'unknown') return igmp;
  if (igmp6.kind === 'unknown') return igmp6;
  if (igmp.value === undefined && igmp6.value === undefined) return unknown('there is no /proc');
  return known([...new Set([...mdnsInIgmp(igmp.value ?? ''), ...mdnsInIgmp6(igmp6.value ?? '')])]);
}

/** The interfaces among `names` that avahi-daemon.conf(5) leaves out. */
export function leftOutByAvahi(text: string, names: readonly string[]): readonly string[] {
  const listOf = (key: string): readonly string[] | undefined => {
    const [, value] = new RegExp(`^[ \\t]*${key}[ \\t]*=(.*)$`, 'm').exec(text) ?? [];
    const list = value
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    return list?.length === 0 ? undefined : list;
  };
  const allowed = listOf('allow-interfaces');
  const denied = listOf('deny-interfaces') ?? [];
  return names.filter(
    (name) => denied.includes(name) || (allowed !== undefined && !allowed.includes(name)),
  );
}

export function gatherLeftOut(world: World, interfaces: Avahi['interfaces']): readonly string[] {
  const text = textOf(world, '/etc/avahi/avahi-daemon.conf');
  if (text.kind === 'unknown' || interfaces.kind === 'unknown') return [];
  return leftOutByAvahi(text.value ?? '', interfaces.value);
}

/** Tables of the older packet filter, which `nft` does not show. */
const LEGACY_TABLES = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'];

export async function gatherPacketFilter(world: World): Promise<Answer<PacketFilter>> {
  if (!world.isRoot) return unknown('the rules are for root only to see');
  const nft = await world.run('nft', ['-j', 'list', 'ruleset']);
  const legacy = LEGACY_TABLES.some((path) => {
    const text = textOf(world, path);
    return text.kind === 'known' && (text.value ?? '').trim() !== '';
  });
  let filter = NO_FILTER;
  switch (nft.kind) {
    case 'output': {
      // Without rules it may print nothing at all.
      const parsed = nft.text.trim() === '' ? NO_FILTER : parseNftRuleset(nft.text);
      if (parsed === undefined) return unknown('nft gave an answer that cannot be understood');
      filter = parsed;
      if (!legacy) return known(filter);
      break;
    }
    case 'absent':
      if (!legacy && !exists(world, '/sys/module/nf_tables')) {
        return exists(world, '/sys/module') ? known(NO_FILTER) : unknown('there is no /sys');
      }
      break;
    case 'failed':
      return unknown('nft list ruleset failed');
    case 'given-up':
      return unknown('nft list ruleset did not end, or has too much to say');
  }
  const save = await world.run('iptables-save', []);
  if (save.kind !== 'output') return unknown('there are rules, and no program that shows them');
  return known(mergeFilters(filter, parseIptablesSave(save.text)));
}
