/** The bus, the daemons, and other programs that would do their work. */
import type { Answer } from '../../core/answer.ts';
import { ifKnown, type Check } from './check.ts';
import type { DaemonName, Facts, OtherUnit, Snapshot } from './facts.ts';
import { failure, listed, notKnown, ok, warning, type Verdict } from './finding.ts';

function bus(facts: Facts): Verdict {
  if (facts.bus.kind === 'known') return ok('it answers');
  return facts.booted
    ? failure(facts.bus.why, 'systemctl start dbus')
    : notKnown(facts.bus.why, 'run this on the host itself, when its system runs');
}

const REINSTALL = 'install the package nvme-stas-node again';

function policy(daemon: DaemonName): Check {
  const name = `org.nvmexpress.${daemon.slice(0, -1)}`;
  const judge = (facts: Facts): Verdict | undefined =>
    ifKnown(facts, facts.daemons[daemon].policy, ({ allowsOwning, files }) => {
      if (files.length === 0)
        return failure(`no file lets ${daemon} take its name, ${name}`, REINSTALL);
      if (!allowsOwning) {
        return failure(`${listed(files)} does not let root own ${name}`, REINSTALL);
      }
      const { owner } = facts.daemons[daemon];
      if (owner.kind === 'known' && owner.value?.reply === 'denied') {
        return failure(`the bus denies calls to ${name}`, 'systemctl reload dbus');
      }
      const [first, ...others] = files;
      return others.length === 0
        ? ok(first ?? '')
        : warning(
            `more than one file speaks of ${name}: ${listed(files)}`,
            'remove what is in /etc/dbus-1/system.d, unless it is meant, then: systemctl reload dbus',
          );
    });
  return { id: `bus-policy-${daemon}`, title: `D-Bus policy of ${daemon}`, judge };
}

function isOn(enabled: Answer<string>): boolean | undefined {
  if (enabled.kind === 'unknown') return undefined;
  return enabled.value.startsWith('enabled') || enabled.value.startsWith('linked');
}

function daemonCheck(daemon: DaemonName): Check {
  const judge = (facts: Facts): Verdict | undefined => {
    const { owner, unit } = facts.daemons[daemon];
    return ifKnown(facts, owner, (known) => {
      if (known !== undefined) {
        switch (known.reply) {
          case 'answers':
            return ok('it runs and answers');
          case 'denied':
            return ok('it runs');
          case 'silent':
            return failure(
              'it runs and does not answer',
              `systemctl restart ${daemon} (connections stay); see: journalctl -u ${daemon}`,
            );
        }
      }
      return ifKnown(facts, unit.enabled, (enabled) => {
        if (enabled === '') return failure('it is not installed', REINSTALL);
        if (enabled === 'masked') {
          return warning(
            'it is masked',
            `systemctl unmask ${daemon} && systemctl enable --now ${daemon}`,
          );
        }
        return isOn(unit.enabled) === true
          ? failure(
              'it is enabled and does not run',
              `systemctl start ${daemon}; see: journalctl -u ${daemon}`,
            )
          : warning('it is not enabled', `systemctl enable --now ${daemon}`);
      });
    });
  };
  return { id: `daemon-${daemon}`, title: daemon, judge };
}

const MAKE_SNAPSHOTS = '/usr/lib/nvme-stas-node/make-snapshots';

/** What is wrong with it, as words that continue "it starts slowly: ". */
const SNAPSHOT_WORDS: Readonly<Record<Exclude<Snapshot, 'fits'>, string>> = {
  outdated: 'its start-up snapshot is of another program, Node or processor than there is',
  missing: 'there is no start-up snapshot of it',
  failed: 'the last start from its snapshot did not succeed, so that it is left alone',
};

/** None where the package does not run: there every start is as slow. */
function snapshotCheck(daemon: DaemonName): Check {
  const judge = (facts: Facts): Verdict | undefined => {
    const { snapshot } = facts.daemons[daemon];
    if (!facts.booted || (snapshot.kind === 'known' && snapshot.value === undefined))
      return undefined;
    return ifKnown(facts, snapshot, (state) =>
      state === 'fits' || state === undefined
        ? ok('it starts from a snapshot of its program')
        : warning(`it starts slowly: ${SNAPSHOT_WORDS[state]}`, `${MAKE_SNAPSHOTS} (as root)`),
    );
  };
  return { id: `snapshot-${daemon}`, title: `Start of ${daemon}`, judge };
}

/** What a unit is doing or will do; undefined: it is not there, or switched off. */
function inTheWay(facts: Facts, name: OtherUnit): Answer<string | undefined> {
  const { active, enabled } = facts.units[name];
  const runs =
    active.kind === 'known' && ['active', 'activating', 'reloading'].includes(active.value);
  const words = [...(runs ? ['runs'] : []), ...(isOn(enabled) === true ? ['is enabled'] : [])];
  if (words.length > 0) return { kind: 'known', value: words.join(' and ') };
  if (enabled.kind === 'known' && enabled.value === '') return { kind: 'known', value: undefined };
  if (active.kind === 'unknown') return active;
  return enabled.kind === 'unknown' ? enabled : { kind: 'known', value: undefined };
}

function discoverd(facts: Facts): Verdict | undefined {
  return ifKnown(facts, inTheWay(facts, 'nvme-discoverd.service'), (state) =>
    state === undefined
      ? ok('it is not in use')
      : failure(
          `it ${state}, and connects what stafd and stacd connect`,
          'systemctl disable --now nvme-discoverd',
        ),
  );
}

function autoconnect(facts: Facts): Verdict | undefined {
  return ifKnown(facts, inTheWay(facts, 'nvmf-autoconnect.service'), (state) => {
    if (state === undefined) return ok('it is not in use');
    const files = facts.autoconnectFiles;
    return files.length === 0
      ? ok(`it ${state}, and has nothing to connect`)
      : warning(
          `it ${state}, and connects at boot what ${listed(files)} says`,
          'move its lines to /etc/stas/stafd.conf and stacd.conf, then: systemctl disable nvmf-autoconnect',
        );
  });
}

/** The original runs in the daemon's place: it was not restarted, or is what is installed. */
function python(facts: Facts): Verdict {
  const { stacd, stafd } = facts.daemons;
  const each = [
    { name: 'stafd', ...stafd },
    { name: 'stacd', ...stacd },
  ];
  const installed = each.filter(
    ({ program }) => program.kind === 'known' && program.value === 'python',
  );
  if (installed.length > 0) {
    const names = installed.map(({ name }) => `/usr/sbin/${name}`);
    return failure(`${listed(names)} is the Python program of nvme-stas`, REINSTALL);
  }
  const running = each.filter(
    ({ owner }) => owner.kind === 'known' && owner.value?.isPython === true,
  );
  if (running.length > 0) {
    const names = running.map(({ name }) => name);
    return failure(
      `the Python nvme-stas still runs as ${listed(names)}`,
      `systemctl restart ${names.join(' ')} (connections stay)`,
    );
  }
  const unseen = each.find(
    ({ owner }) =>
      owner.kind === 'unknown' || (owner.value !== undefined && owner.value.isPython === undefined),
  );
  if (unseen !== undefined && facts.booted) {
    const why =
      unseen.owner.kind === 'unknown'
        ? unseen.owner.why
        : `the process of ${unseen.name} cannot be seen`;
    return notKnown(why, 'run this as root');
  }
  return ok(facts.booted ? 'it is not in use' : 'it is not installed');
}

function udevRules(facts: Facts): Verdict | undefined {
  return ifKnown(facts, facts.rules, (files) => {
    const [first] = files;
    if (first === undefined) return ok('nvme-cli has none here');
    const { owner } = facts.daemons.stafd;
    if (first.empty) return ok(`${first.file} switches them off`);
    return ifKnown(facts, owner, (stafd) => {
      const inRun = first.file.startsWith('/run/');
      if (stafd === undefined) {
        return inRun && first.isOverride
          ? warning("stafd's override is in place, and stafd does not run", `rm ${first.file}`)
          : ok(`${first.file} applies while stafd does not run`);
      }
      if (first.isOverride) return ok(`overridden by ${first.file} while stafd runs`);
      return first.file.startsWith('/etc/')
        ? warning(
            `${first.file} goes before stafd's override: nvme-cli connects, too, what stafd reports`,
            `remove ${first.file}, or link it to /dev/null`,
          )
        : warning(
            `${first.file} applies: nvme-cli connects, too, what stafd reports`,
            'systemctl restart stafd (connections stay)',
          );
    });
  });
}

function nvmeCli({ nvmeCli: path }: Facts): Verdict {
  return path === undefined
    ? warning(
        'it is not installed: nothing connects what stafd leaves to it',
        'install nvme-cli (apt install nvme-cli; dnf install nvme-cli)',
      )
    : ok(path);
}

export const SERVICE_CHECKS: readonly Check[] = [
  { id: 'bus', title: 'D-Bus system bus', judge: bus },
  policy('stafd'),
  policy('stacd'),
  daemonCheck('stafd'),
  daemonCheck('stacd'),
  snapshotCheck('stafd'),
  snapshotCheck('stacd'),
  { id: 'nvme-cli', title: 'nvme-cli', judge: nvmeCli },
  { id: 'udev-rules', title: "nvme-cli's udev rules", judge: udevRules },
  { id: 'nvme-discoverd', title: 'nvme-discoverd', judge: discoverd },
  { id: 'nvmf-autoconnect', title: 'nvmf-autoconnect', judge: autoconnect },
  { id: 'python-nvme-stas', title: 'Python nvme-stas', judge: python },
];
