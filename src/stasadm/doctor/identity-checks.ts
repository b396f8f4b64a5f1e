/** Who the host is, what its files say of it, and who may read what they keep secret. */
import type { KernelController } from '../../nvme/kernel-controller.ts';
import { ifKnown, lookAgain, type Check } from './check.ts';
import type { ConfEntry, Configuration, Facts, IdentityValue, NamedIdentity } from './facts.ts';
import { failure, listed, notKnown, ok, shellWord, warning, type Verdict } from './finding.ts';

const MAKE = {
  hostnqn: 'stasadm hostnqn -f /etc/nvme/hostnqn',
  hostid: 'stasadm hostid -f /etc/nvme/hostid',
} as const;

function configuration(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.configuration, ({ errors, warnings }) => {
    const remedy = 'stasadm check-config says where and what';
    if (errors > 0) return failure(`mistakes in the files: ${String(errors)}`, remedy);
    if (warnings > 0) return warning(`doubtful lines in the files: ${String(warnings)}`, remedy);
    return ok('no mistakes in the files');
  });
}

function identityValue(key: 'hostnqn' | 'hostid') {
  return (facts: Facts): Verdict | undefined =>
    ifKnown(facts, facts.configuration, (known) => {
      const value: IdentityValue = known[key];
      switch (value.kind) {
        case 'found':
          return ok(`${value.value} (${value.source})`);
        case 'unusable':
          return failure(`${value.why}: stafd and stacd do not start`, MAKE[key]);
        case 'unseen':
          return notKnown(value.why, lookAgain(facts));
      }
    });
}

/** Whether the kernel refuses one of two identities while the other is connected. */
function contradicts(
  a: Pick<NamedIdentity, 'hostid' | 'hostnqn'>,
  b: Pick<NamedIdentity, 'hostid' | 'hostnqn'>,
): boolean {
  const sameNqn = a.hostnqn === b.hostnqn;
  return sameNqn !== (a.hostid.toLowerCase() === b.hostid.toLowerCase());
}

function ownIdentity({ hostid, hostnqn }: Configuration): NamedIdentity | undefined {
  if (hostnqn.kind !== 'found' || hostid.kind !== 'found') return undefined;
  return { hostnqn: hostnqn.value, hostid: hostid.value, by: 'sys.conf' };
}

const ONE_IDENTITY =
  'let [Host] in /etc/stas/sys.conf name file:///etc/nvme/hostnqn and file:///etc/nvme/hostid, then restart stafd and stacd while nothing is connected';

function nvmeCliIdentity(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.configuration, (known) =>
    ifKnown(facts, facts.nvmeCliIdentity, ({ hostid, hostnqn }) => {
      const own = ownIdentity(known);
      if (own === undefined) return notKnown('the host has no identity of its own', MAKE.hostnqn);
      if (hostnqn === '' || hostid === '') return ok('nvme-cli has no other one');
      if (contradicts(own, { hostid, hostnqn })) {
        const what =
          own.hostnqn === hostnqn
            ? 'this host NQN with another ID'
            : 'this host ID with another NQN';
        return failure(
          `nvme-cli connects ${what} (/etc/nvme): the kernel refuses whichever comes later`,
          ONE_IDENTITY,
        );
      }
      return own.hostnqn === hostnqn
        ? ok('nvme-cli uses the same')
        : warning(
            `nvme-cli connects as another host, ${hostnqn} (/etc/nvme/hostnqn)`,
            ONE_IDENTITY,
          );
    }),
  );
}

function describeContradiction(live: KernelController, wanted: NamedIdentity): string {
  return live.hostnqn === wanted.hostnqn
    ? `${live.device} is connected with host ID ${live.hostid}, ${wanted.by} has ${wanted.hostid} for the same host NQN`
    : `${live.device} is connected with the host NQN ${live.hostnqn}, ${wanted.by} has ${wanted.hostnqn} for the same host ID`;
}

function liveIdentity(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.configuration, ({ identities }) =>
    ifKnown(facts, facts.controllers, (controllers) => {
      const connected = controllers.filter(({ hostnqn }) => hostnqn !== '');
      if (connected.length === 0) return ok('nothing is connected that could contradict');
      const telling = connected.filter(({ hostid }) => hostid !== '');
      const bad = telling.flatMap((live) => {
        const wanted = identities.find((each) => contradicts(each, live));
        return wanted === undefined ? [] : [{ live, wanted }];
      });
      const [first] = bad;
      if (first !== undefined) {
        const { live, wanted } = first;
        const more = bad.length > 1 ? `; ${String(bad.length - 1)} more like it` : '';
        const back =
          live.hostnqn === wanted.hostnqn
            ? `give the host its former ID back, ${live.hostid}`
            : `give the host its former NQN back, ${live.hostnqn}`;
        const devices = listed(bad.map(({ live: { device } }) => device));
        return failure(
          `${describeContradiction(live, wanted)}${more}: the kernel refuses new connections`,
          `${back} ([Host] in sys.conf), or disconnect ${devices} when nothing uses it (nvme disconnect -d ${live.device})`,
        );
      }
      if (telling.length < connected.length) {
        return notKnown(
          'the kernel does not show the host ID of its connections',
          lookAgain(facts),
        );
      }
      const one = connected.length === 1;
      return ok(
        `no contradiction in ${String(connected.length)} ${one ? 'connection' : 'connections'}`,
      );
    }),
  );
}

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;
const GROUP_WRITE = 0o020;

function chmod(change: string, paths: readonly string[]): string {
  const words = paths.map(shellWord);
  return words.every((word) => word !== undefined)
    ? `chmod ${change} ${words.join(' ')}`
    : `take these rights from others on each of them (chmod ${change})`;
}

function pathsOf(entries: readonly ConfEntry[]): readonly string[] {
  return entries.map(({ path }) => path);
}

function secrets(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.confEntries, (entries) => {
    const open = entries.filter(
      ({ holdsSecret, mode }) => holdsSecret === true && (mode & OTHERS_READ) !== 0,
    );
    if (open.length > 0) {
      const paths = pathsOf(open);
      return failure(
        `everybody can read the secrets in ${listed(paths)}`,
        `${chmod('o=', paths)}, and give the host new secrets`,
      );
    }
    const holding = entries.filter(({ holdsSecret }) => holdsSecret === true).length;
    const unread = entries.filter(
      ({ holdsSecret, kind }) => kind === 'file' && holdsSecret === undefined,
    );
    if (unread.length > 0) {
      return ok(`not for everybody to read: ${listed(pathsOf(unread))}`);
    }
    return ok(
      holding === 0
        ? 'no file holds a secret'
        : `files with secrets that others cannot read: ${String(holding)}`,
    );
  });
}

function writable(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.confEntries, (entries) => {
    const foreign = entries.filter(({ uid }) => uid !== 0);
    if (foreign.length > 0) {
      const words = pathsOf(foreign).map(shellWord);
      return failure(
        `another user than root owns ${listed(pathsOf(foreign))}: it says what root connects`,
        words.every((word) => word !== undefined)
          ? `chown root: ${words.join(' ')}`
          : 'make root the owner of each of them (chown root:)',
      );
    }
    const open = entries.filter(
      ({ gid, mode }) => (mode & OTHERS_WRITE) !== 0 || (gid !== 0 && (mode & GROUP_WRITE) !== 0),
    );
    if (open.length > 0) {
      return failure(
        `others than root can write ${listed(pathsOf(open))}: it says what root connects`,
        chmod('go-w', pathsOf(open)),
      );
    }
    return ok('only root can write the configuration');
  });
}

export const IDENTITY_CHECKS: readonly Check[] = [
  { id: 'configuration', title: 'Configuration', judge: configuration },
  { id: 'host-nqn', title: 'Host NQN', judge: identityValue('hostnqn') },
  { id: 'host-id', title: 'Host ID', judge: identityValue('hostid') },
  { id: 'identity-nvme-cli', title: "Identity and nvme-cli's", judge: nvmeCliIdentity },
  { id: 'identity-connections', title: 'Identity and live connections', judge: liveIdentity },
  { id: 'secrets', title: 'Secrets', judge: secrets },
  { id: 'configuration-owner', title: 'Owner of the configuration', judge: writable },
];
