/**
 * From what the kernel's target has to what a TargetSpec asks for: the steps, in an order that
 * configfs accepts. Pure.
 *
 * Everything under nvmet/ and nullb/ belongs to the spec: what it does not name goes away.
 */
import { childrenOf, type ConfigfsState } from './configfs.ts';
import type { HostSpec, PortSpec, ReferralSpec, SubsystemSpec, TargetSpec } from './spec.ts';

/** One change; paths are relative to /sys/kernel/config. */
export type Step =
  | { readonly kind: 'unlink' | 'rmdir' | 'mkdir'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly value: string }
  /** Makes the link `directory`/(last part of `target`) → `target`. */
  | { readonly kind: 'link'; readonly directory: string; readonly target: string };

/** A directory that somebody made, and the attributes that it shall have, in the order to write. */
interface Wanted {
  readonly path: string;
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** Attributes that cannot be changed in use: for another value the directory is made anew. */
  readonly fixed: readonly string[];
}

/** The steps that lead from `state` to `spec`; none when it is as asked. */
export function plan(state: ConfigfsState, spec: TargetSpec): readonly Step[] {
  const wanted = wantedDirectories(spec);
  const links = wantedLinks(spec);
  const present = [...state.directories].filter(isMadeDirectory);
  const outdated = new Set(
    [...wanted.values()]
      .filter(({ path }) => state.directories.has(path))
      .filter((directory) =>
        differing(state, directory).some(([name]) => directory.fixed.includes(name)),
      )
      .map(({ path }) => path),
  );
  const removed = present.filter(
    (path) => !wanted.has(path) || selfAndParents(path).some((parent) => outdated.has(parent)),
  );
  const gone = new Set(removed);
  const kept = new Set(present.filter((path) => !gone.has(path)));
  const keptLinks = new Set(
    [...state.links].filter((path) => {
      const target = links.get(path);
      return target !== undefined && kept.has(target) && !selfAndParents(path).some(has(gone));
    }),
  );
  const steps: Step[] = [];
  // A port lets go of a subsystem before anything of the subsystem is touched.
  for (const path of [...state.links].sort(byRank)) {
    if (!keptLinks.has(path)) steps.push({ kind: 'unlink', path });
  }
  for (const path of removed.sort(byRank)) steps.push({ kind: 'rmdir', path });
  for (const { path } of wanted.values()) {
    if (!kept.has(path)) steps.push({ kind: 'mkdir', path });
  }
  for (const directory of wanted.values()) {
    const all = kept.has(directory.path) ? differing(state, directory) : directory.attributes;
    for (const [name, value] of all) {
      // Only a new host can want an empty value, and has it already.
      if (value !== '') steps.push({ kind: 'write', path: `${directory.path}/${name}`, value });
    }
  }
  for (const [path, target] of links) {
    const directory = path.slice(0, path.lastIndexOf('/'));
    if (!keptLinks.has(path)) steps.push({ kind: 'link', directory, target });
  }
  return steps;
}

/** The spec that describes `state`: applied to it, it changes nothing. */
export function describeState(state: ConfigfsState): unknown {
  const value = (path: string): string => state.attributes.get(path) ?? '';
  const ports = childrenOf(state.directories, 'nvmet/ports').map((id) => {
    const port = `nvmet/ports/${id}`;
    const referrals = childrenOf(state.directories, `${port}/referrals`).map((name) => {
      const referral = `${port}/referrals/${name}`;
      return {
        address: value(`${referral}/addr_traddr`),
        service: value(`${referral}/addr_trsvcid`),
        portId: Number(value(`${referral}/addr_portid`)),
      };
    });
    const transport = value(`${port}/addr_trtype`);
    return {
      id: Number(id),
      transport,
      ...describeAddress(transport, value(`${port}/addr_traddr`), value(`${port}/addr_trsvcid`)),
      referrals,
    };
  });
  const subsystems = childrenOf(state.directories, 'nvmet/subsystems').map((nqn) => {
    const subsystem = `nvmet/subsystems/${nqn}`;
    const anyHost = value(`${subsystem}/attr_allow_any_host`) === '1';
    return {
      nqn,
      ports: ports.map(({ id }) => id).filter((id) => state.links.has(linkOf(id, nqn))),
      hosts: anyHost ? 'any' : childrenOf(state.links, `${subsystem}/allowed_hosts`),
      namespaces: childrenOf(state.directories, `${subsystem}/namespaces`).map((id) => {
        const device = value(`${subsystem}/namespaces/${id}/device_path`);
        const sizeMiB = Number(value(`nullb/${device.replace('/dev/', '')}/size`));
        return { id: Number(id), sizeMiB };
      }),
      serial: value(`${subsystem}/attr_serial`),
      model: value(`${subsystem}/attr_model`),
    };
  });
  return { ports, subsystems };
}

function describeAddress(transport: string, address: string, service: string): object {
  if (transport === 'tcp' || transport === 'rdma') return { address, service };
  return address === '' ? {} : { address };
}

/** In the order in which they can be made and their attributes written. */
function wantedDirectories(spec: TargetSpec): ReadonlyMap<string, Wanted> {
  const all = [
    ...spec.subsystems.flatMap(({ namespaces }) => namespaces.map(nullBlock)),
    ...spec.subsystems.flatMap(({ hosts }) => (hosts === 'any' ? [] : hosts.map(hostDirectory))),
    ...spec.subsystems.map(subsystemDirectory),
    ...spec.subsystems.flatMap(namespaceDirectories),
    ...spec.ports.map(portDirectory),
    ...spec.ports.flatMap(({ id, referrals }) =>
      referrals.map((referral) => referralDirectory(id, referral)),
    ),
  ];
  return new Map(all.map((directory) => [directory.path, directory]));
}

/** Path of the link → what it points to. Ports last: a subsystem is complete before it is seen. */
function wantedLinks(spec: TargetSpec): ReadonlyMap<string, string> {
  const links = new Map<string, string>();
  for (const { nqn, hosts } of spec.subsystems) {
    if (hosts === 'any') continue;
    for (const host of hosts) {
      const path = `nvmet/subsystems/${nqn}/allowed_hosts/${host.nqn}`;
      links.set(path, `nvmet/hosts/${host.nqn}`);
    }
  }
  for (const { id } of spec.ports) {
    for (const { nqn, ports } of spec.subsystems) {
      if (ports.includes(id)) links.set(linkOf(id, nqn), `nvmet/subsystems/${nqn}`);
    }
  }
  return links;
}

function linkOf(port: number, nqn: string): string {
  return `nvmet/ports/${port}/subsystems/${nqn}`;
}

/** Namespaces of one size share a device: nothing is kept on it, and one takes a while to make. */
function nullBlock({ sizeMiB }: { readonly sizeMiB: number }): Wanted {
  const path = `nullb/${deviceName(sizeMiB)}`;
  return fixedDirectory(path, [
    ['size', String(sizeMiB)],
    ['power', '1'],
  ]);
}

function deviceName(sizeMiB: number): string {
  return `null-${sizeMiB}MiB`;
}

function hostDirectory({ nqn, dhchapKey = '', dhchapControllerKey = '' }: HostSpec): Wanted {
  return fixedDirectory(`nvmet/hosts/${nqn}`, [
    ['dhchap_key', dhchapKey],
    ['dhchap_ctrl_key', dhchapControllerKey],
  ]);
}

/** A directory none of whose attributes can be changed in use. */
function fixedDirectory(path: string, attributes: Wanted['attributes']): Wanted {
  return { path, attributes, fixed: attributes.map(([name]) => name) };
}

function subsystemDirectory({ nqn, hosts, serial, model }: SubsystemSpec): Wanted {
  return {
    path: `nvmet/subsystems/${nqn}`,
    attributes: [
      ...(serial === undefined ? [] : [['attr_serial', serial] as const]),
      ...(model === undefined ? [] : [['attr_model', model] as const]),
      ['attr_allow_any_host', hosts === 'any' ? '1' : '0'],
    ],
    // The kernel refuses to change what a host may have seen.
    fixed: ['attr_serial', 'attr_model'],
  };
}

function namespaceDirectories({ nqn, namespaces }: SubsystemSpec): readonly Wanted[] {
  return namespaces.map(({ id, sizeMiB }) =>
    fixedDirectory(`nvmet/subsystems/${nqn}/namespaces/${id}`, [
      ['device_path', `/dev/${deviceName(sizeMiB)}`],
      ['enable', '1'],
    ]),
  );
}

function portDirectory(port: PortSpec): Wanted {
  return fixedDirectory(`nvmet/ports/${port.id}`, [
    ['addr_trtype', port.transport],
    ...portAddress(port),
  ]);
}

function portAddress(port: PortSpec): Wanted['attributes'] {
  switch (port.transport) {
    case 'tcp':
    case 'rdma':
      return addressAttributes(port.address, port.service);
    case 'fc':
      return [
        ['addr_adrfam', 'fc'],
        ['addr_traddr', port.address],
      ];
    case 'loop':
      return [['addr_traddr', port.address ?? '']];
  }
}

function referralDirectory(port: number, { address, service, portId }: ReferralSpec): Wanted {
  return fixedDirectory(`nvmet/ports/${port}/referrals/${address}-${service}`, [
    ['addr_trtype', 'tcp'],
    ...addressAttributes(address, service),
    ['addr_portid', String(portId)],
    ['enable', '1'],
  ]);
}

function addressAttributes(address: string, service: string): Wanted['attributes'] {
  return [
    ['addr_adrfam', address.includes(':') ? 'ipv6' : 'ipv4'],
    ['addr_traddr', address],
    ['addr_trsvcid', service],
  ];
}

function differing(state: ConfigfsState, { path, attributes }: Wanted): Wanted['attributes'] {
  return attributes.filter(([name, value]) => {
    const has = state.attributes.get(`${path}/${name}`) ?? '';
    return has !== value;
  });
}

/** Directories that mkdir made, by their depth in the removal order; others come with these. */
const ranks: readonly RegExp[] = [
  /^nvmet\/ports\/[^/]+\/subsystems\/[^/]+$/,
  /^nvmet\/subsystems\/[^/]+\/allowed_hosts\/[^/]+$/,
  /^nvmet\/subsystems\/[^/]+\/namespaces\/[^/]+$/,
  /^nvmet\/subsystems\/[^/]+$/,
  /^nvmet\/ports\/[^/]+\/referrals\/[^/]+$/,
  /^nvmet\/ports\/[^/]+$/,
  /^nvmet\/hosts\/[^/]+$/,
  /^nullb\/[^/]+$/,
];

function rank(path: string): number {
  return ranks.findIndex((pattern) => pattern.test(path));
}

function byRank(a: string, b: string): number {
  return rank(a) - rank(b);
}

function isMadeDirectory(path: string): boolean {
  return rank(path) !== -1;
}

function has(paths: ReadonlySet<string>): (path: string) => boolean {
  return (path) => paths.has(path);
}

/** a/b/c → a/b/c, a/b, a */
function selfAndParents(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}
