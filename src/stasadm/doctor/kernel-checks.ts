/** The kernel, its modules, and libnvme. */
import type { KernelController } from '../../nvme/kernel-controller.ts';
import { ifKnown, type Check } from './check.ts';
import type { Facts, ModuleName } from './facts.ts';
import { failure, notKnown, ok, warning, type Verdict } from './finding.ts';

/** A kernel version, as far as features are told by it. */
type Version = readonly [major: number, minor: number];

const OLDEST: Version = [5, 14];

function versionOf(release: string): Version | undefined {
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})/.exec(release) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor)];
}

function reaches([major, minor]: Version, [leastMajor, leastMinor]: Version): boolean {
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

function newerKernel(version: Version): string {
  return `install Linux ${version.join('.')} or newer, or one that has it backported`;
}

function kernelVersion({ release }: Facts): Verdict {
  const version = versionOf(release);
  const needed = OLDEST.join('.');
  if (version === undefined) {
    return notKnown(`"${release}" is no version`, `look whether it is Linux ${needed} or newer`);
  }
  return reaches(version, OLDEST)
    ? ok(`Linux ${release}`)
    : failure(`Linux ${release} is older than ${needed}`, `install Linux ${needed} or newer`);
}

const LOAD = 'modprobe nvme-fabrics';

function fabricsDevice(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.fabrics, (fabrics) =>
    fabrics.kind === 'missing'
      ? failure('it does not exist: nothing can be connected', LOAD)
      : ok('it is there'),
  );
}

function optionQuery(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.fabrics, (fabrics) => {
    switch (fabrics.kind) {
      case 'missing':
        return notKnown('there is no /dev/nvme-fabrics to ask', LOAD);
      case 'silent':
        return warning(
          'the kernel does not tell which options it takes: its version decides',
          newerKernel([5, 17]),
        );
      case 'options':
        return ok(`the kernel tells the ${String(fabrics.options.size)} options that it takes`);
    }
  });
}

/** A connect option: asked for where the kernel tells, else by the version. */
interface OptionFeature {
  readonly option: string;
  readonly since: Version;
  readonly present: string;
  /** What is lost without it. */
  readonly absent: string;
}

function optionFeature({ absent, option, present, since }: OptionFeature) {
  const missing = warning(absent, newerKernel(since));
  return (facts: Facts): Verdict | undefined =>
    ifKnown(facts, facts.fabrics, (fabrics) => {
      switch (fabrics.kind) {
        case 'missing':
          return notKnown('there is no /dev/nvme-fabrics to ask', LOAD);
        case 'options':
          return fabrics.options.has(option) ? ok(present) : missing;
        case 'silent': {
          const version = versionOf(facts.release);
          return version !== undefined && reaches(version, since)
            ? ok(`${present}, by the version of the kernel`)
            : missing;
        }
      }
    });
}

function dhchap(facts: Facts): Verdict | undefined {
  const asked = facts.configuration.kind === 'known' && facts.configuration.value.usesSecrets;
  if (!asked) return undefined;
  const judge = optionFeature({
    option: 'dhchap_secret',
    since: [6, 0],
    present: 'the kernel can authenticate',
    absent: 'the configuration has secrets, and the kernel cannot authenticate',
  });
  return judge(facts);
}

/** What only a live connection shows for certain; else the version tells. */
function shownByConnection(
  facts: Facts,
  feature: {
    readonly since: Version;
    readonly present: string;
    readonly absent: string;
    readonly mayShow: (controller: KernelController) => boolean;
    readonly shows: (controller: KernelController) => boolean;
  },
): Verdict {
  const { absent, mayShow, present, shows, since } = feature;
  const live = facts.controllers.kind === 'known' ? facts.controllers.value.filter(mayShow) : [];
  const witness = live.find(shows);
  if (witness !== undefined) return ok(`${present}: ${witness.device} shows it`);
  if (live.length > 0) return warning(absent, newerKernel(since));
  const version = versionOf(facts.release);
  if (version === undefined) {
    return notKnown('no connection shows it', 'run this again when something is connected');
  }
  return reaches(version, since)
    ? ok(`${present}, by the version of the kernel`)
    : warning(`${absent}, by the version of the kernel`, newerKernel(since));
}

const FABRICS: ReadonlySet<string> = new Set(['tcp', 'rdma', 'fc', 'loop']);

/** A connection of NVMe over Fabrics that is up: what it shows is settled. */
function isLive({ state, transport }: KernelController): boolean {
  return state === 'live' && FABRICS.has(transport);
}

function dcEvents(facts: Facts): Verdict {
  return shownByConnection(facts, {
    since: [5, 18],
    present: 'the kernel shows what kind of discovery controller it is, and tells when it is back',
    absent: 'no registration with discovery controllers: the kernel does not show their type',
    mayShow: isLive,
    shows: ({ cntrltype }) => cntrltype !== '',
  });
}

function srcAddr(facts: Facts): Verdict {
  return shownByConnection(facts, {
    since: [6, 1],
    present: 'the kernel shows the source address of a connection',
    absent:
      'existing connections are matched less exactly: the kernel does not show their source address',
    mayShow: (controller) => isLive(controller) && controller.transport === 'tcp',
    shows: ({ srcAddr: address }) => address !== '',
  });
}

const TRANSPORT_OF: Readonly<Record<ModuleName, string | undefined>> = {
  'nvme-fabrics': undefined,
  // Discovery by mDNS finds nothing else, and the units load it.
  'nvme-tcp': undefined,
  'nvme-rdma': 'rdma',
  'nvme-fc': 'fc',
};

function moduleCheck(name: ModuleName): Check {
  const judge = (facts: Facts): Verdict | undefined => {
    const transport = TRANSPORT_OF[name];
    if (transport !== undefined) {
      const { configuration } = facts;
      if (configuration.kind === 'unknown') return undefined;
      if (!configuration.value.transports.has(transport)) return undefined;
    }
    const { blockedBy, state } = facts.modules[name];
    return ifKnown(facts, state, (known) => {
      const free = `take it out of ${blockedBy ?? ''}, then: modprobe ${name}`;
      switch (known) {
        case 'loaded':
          return blockedBy === undefined
            ? ok('it is loaded')
            : warning(`it is loaded, and will not be after the next boot: ${blockedBy}`, free);
        case 'available':
          if (blockedBy !== undefined) {
            return failure(`it is not loaded, and is kept from it by ${blockedBy}`, free);
          }
          return warning(
            'it is not loaded; the units of stafd and stacd do that',
            `modprobe ${name}`,
          );
        case 'missing':
          return failure(
            `this kernel (${facts.release}) has no such module`,
            'install the package of the distribution with the rest of the kernel modules, or boot the kernel that is installed',
          );
      }
    });
  };
  return { id: `module-${name}`, title: `Module ${name}`, judge };
}

/** Minor versions of libnvme 1.x that are supported, as in DISTROS.md. */
const LIBNVME_LEAST = 3;
const LIBNVME_TRIED = 16;

function libnvme(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.libnvme, (found) => {
    if (found === undefined) {
      return failure(
        'there is no libnvme.so.1: the daemons cannot start',
        'install libnvme 1.x (Debian: apt install libnvme1; Fedora: dnf install libnvme)',
      );
    }
    const seen = `libnvme ${found.version} (${found.path})`;
    if (found.minor < LIBNVME_LEAST) {
      return failure(
        `${seen} is older than 1.${String(LIBNVME_LEAST)}`,
        `install libnvme 1.${String(LIBNVME_LEAST)} to 1.${String(LIBNVME_TRIED)}`,
      );
    }
    return found.minor > LIBNVME_TRIED
      ? warning(
          `${seen} is newer than what was tried`,
          `look at the first lines of journalctl -u stafd -b, or use libnvme 1.${String(LIBNVME_TRIED)}`,
        )
      : ok(seen);
  });
}

export const KERNEL_CHECKS: readonly Check[] = [
  { id: 'kernel-version', title: 'Kernel version', judge: kernelVersion },
  { id: 'fabrics-device', title: '/dev/nvme-fabrics', judge: fabricsDevice },
  { id: 'option-query', title: 'Option query', judge: optionQuery },
  {
    id: 'host-iface',
    title: 'Option host_iface',
    judge: optionFeature({
      option: 'host_iface',
      since: [5, 14],
      present: 'connections can be bound to a network interface',
      absent: 'connections cannot be bound to a network interface',
    }),
  },
  {
    id: 'unique-dc-nqn',
    title: 'Unique NQN of discovery controllers',
    judge: optionFeature({
      option: 'discovery',
      since: [5, 16],
      present: 'discovery controllers may have an NQN of their own',
      absent: 'discovery controllers with an NQN of their own are not usable (TP8013)',
    }),
  },
  { id: 'dc-events', title: 'Events and type of discovery controllers', judge: dcEvents },
  { id: 'src-addr', title: 'Source address in sysfs', judge: srcAddr },
  { id: 'dhchap', title: 'DH-HMAC-CHAP authentication', judge: dhchap },
  moduleCheck('nvme-fabrics'),
  moduleCheck('nvme-tcp'),
  moduleCheck('nvme-rdma'),
  moduleCheck('nvme-fc'),
  { id: 'libnvme', title: 'libnvme', judge: libnvme },
];
