/** Cases of stasadm, on a tree that stands for the host. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { known, unknown } from '../../../src/core/answer.ts';
import { BusError, type Bus } from '../../../src/ports/bus.ts';
import { runStasadm } from '../../../src/stasadm/cli.ts';
import type { Facts } from '../../../src/stasadm/doctor/facts.ts';
import { runDoctor } from '../../../src/stasadm/doctor/run.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { pipe } from '../ctl/harness.ts';
import {
  dc,
  diff,
  LIVE,
  NOTHING,
  STACD,
  STAFD,
  USES,
  type DiffWorld,
} from '../stasadm/diff-kit.ts';
import {
  CONFIGURATION,
  daemonFacts,
  entry,
  HEALTHY,
  LIVE as CONNECTED,
  OTHER_ID,
} from '../stasadm/doctor/healthy.ts';
import type { Aspect, Case, Outcome } from './case.ts';

const SYS_CONF = '/etc/stas/sys.conf';
const RANDOM = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';

const FILES: Readonly<Record<string, string>> = {
  '/etc/machine-id': '0123456789abcdef0123456789abcdef\n',
  [SYS_CONF]: '# Of this host.\n[Host]\nsymname = backup server\n',
};

const IDENTITY: Readonly<Record<string, string>> = {
  '/etc/nvme/hostnqn': 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4\n',
  '/etc/nvme/hostid': `${RANDOM}\n`,
};

const MISTAKES = `[Global]
tron = perhaps
kato = soon
queue_size = 16
[Controllers]
controller = transport=tcp;traddr=192.0.2.10;trsvcid=8009;dhchap-secret=hunter2
controller = transport=tcp
exclude = transport=udp;traddr=192.0.2.1
`;

interface Setting {
  readonly files?: Readonly<Record<string, string>>;
  /** Who runs it; the files are there, and he may not write them. */
  readonly ordinaryUser?: boolean;
  /** A file that only root may read. */
  readonly secret?: string;
  readonly diff?: DiffWorld;
  readonly facts?: Facts;
  /** Files to show when it is done. */
  readonly shown?: readonly string[];
}

const NOBODY = 65534;

/** Runs something as a user who is not root, whoever runs the tests. */
async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  const { geteuid, seteuid } = process;
  if (geteuid === undefined || seteuid === undefined || geteuid() !== 0) return run();
  seteuid(NOBODY);
  try {
    return await run();
  } finally {
    seteuid(0);
  }
}

async function stasadm(args: readonly string[], setting: Setting): Promise<Outcome> {
  const root = mkdtempSync(join(tmpdir(), 'stasadm-'));
  const { facts = HEALTHY, files = FILES, shown = [] } = setting;
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    chmodSync(root, 0o755);
    if (setting.ordinaryUser === true) chmodSync(join(root, 'etc/stas'), 0o555);
    if (setting.secret !== undefined) chmodSync(join(root, setting.secret), 0o000);
    let [stdout, stderr] = ['', ''];
    const run = (): Promise<number> =>
      runStasadm(
        args,
        {
          root,
          isRoot: setting.ordinaryUser !== true,
          randomUuid: () => RANDOM,
          diff: async ({ exitCode, output }) => {
            const world = { ...setting.diff, exitCode, json: output === 'json' };
            const outcome = await diff(world);
            stdout += outcome.stdout;
            stderr += outcome.stderr;
            return outcome.status;
          },
          doctor: ({ output }) =>
            runDoctor(
              { output },
              {
                gather: () => Promise.resolve(facts),
                screen: pipe,
                stdout: (text) => void (stdout += text),
              },
            ),
          stdout: (text) => void (stdout += text),
          stderr: (text) => void (stderr += text),
        },
        '1.2.3',
      );
    const status = setting.ordinaryUser === true ? await asOrdinaryUser(run) : await run();
    const changed = shown.map((path): readonly [string, string] => [
      path,
      existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : 'is not there\n',
    ]);
    return { status, stdout, stderr, changed };
  } finally {
    if (setting.ordinaryUser === true) chmodSync(join(root, 'etc/stas'), 0o755);
    rmSync(root, { recursive: true, force: true });
  }
}

function of(
  command: string,
  aspect: Aspect,
  args: readonly string[],
  setting: Setting = {},
  variant?: string,
): Case {
  return {
    ...{ program: 'stasadm', command, aspect, args },
    ...(variant !== undefined && { variant }),
    run: (typed) => stasadm(typed, setting),
  };
}

/** The four that change an identity. */
function identityCases(): readonly Case[] {
  const shown = [SYS_CONF];
  const calls: Readonly<Record<string, readonly string[]>> = {
    hostnqn: ['hostnqn'],
    hostid: ['hostid'],
    'set-symname': ['set-symname', 'backup server, room 2'],
    'clear-symname': ['clear-symname'],
  };
  const wrong: Readonly<Record<string, readonly string[]>> = {
    'set-symname': ['set-symname', ''],
    'clear-symname': ['clear-symname', 'name'],
  };
  return Object.entries(calls).flatMap(([command, args]) => [
    of(command, 'ok', args, { shown }),
    of(command, 'denied', args, { shown, ordinaryUser: true }),
    of(command, 'bad', wrong[command] ?? [...args, '--nonsense'], { shown }),
    of(command, 'help', [command, '--help']),
  ]);
}

function inFiles(): readonly Case[] {
  const calls: Readonly<Record<string, readonly [file: string, ...args: readonly string[]]>> = {
    hostnqn: ['/etc/nvme/hostnqn'],
    hostid: ['/etc/nvme/hostid'],
    'set-symname': ['/etc/stas/symname', 'backup server'],
  };
  return Object.entries(calls).map(([command, [file, ...args]]) =>
    of(command, 'ok', [command, '-f', file, ...args], { shown: [file, SYS_CONF] }, 'file'),
  );
}

function checkCases(): readonly Case[] {
  const files = { ...FILES, ...IDENTITY, '/etc/stas/stafd.conf': MISTAKES };
  const right = {
    ...{ ...FILES, ...IDENTITY },
    '/etc/stas/stafd.conf': '[Controllers]\ncontroller = transport=tcp;traddr=192.0.2.10\n',
  };
  const many = Array.from(
    { length: 1000 },
    (_, index) => `controller = transport=tcp;traddr=192.0.2;trsvcid=${String(70_000 + index)}\n`,
  );
  const command = 'check-config';
  return [
    of(command, 'ok', [command], { files: right }),
    of(command, 'ok', [command], { files }, 'mistakes'),
    of(command, 'json', [command, '-o', 'json'], { files }),
    of(command, 'empty', [command], { files: IDENTITY }),
    of(command, 'many', [command], {
      files: { ...right, '/etc/stas/stafd.conf': `[Controllers]\n${many.join('')}` },
    }),
    of(command, 'absent', [command, '/etc/stas/stafd.d.conf'], { files }),
    of(command, 'denied', [command], {
      files: { ...right, '/etc/nvme/hostkey': 'DHHC-1:00:secret:\n' },
      ...{ secret: '/etc/nvme/hostkey', ordinaryUser: true },
    }),
    of(command, 'bad', [command, '/etc/nvme/hostid'], { files }),
    of(command, 'help', [command, '--help']),
  ];
}

function denied(): Promise<Bus> {
  const bus = new FakeBusDaemon().connect();
  bus.call = () =>
    Promise.reject(new BusError('org.freedesktop.DBus.Error.AccessDenied', 'Rejected'));
  return Promise.resolve(bus);
}

function diffCases(): readonly Case[] {
  const command = 'diff';
  const world: DiffWorld = { stafd: STAFD, stacd: STACD, uses: USES, live: LIVE };
  const many = Array.from({ length: 1000 }, (_, index) => ({
    controller: dc(`10.0.${String(index >> 8)}.${String(index & 255)}`),
    sources: ['configured'],
  }));
  return [
    of(command, 'ok', [command], { diff: world }),
    of(command, 'ok', [command, '--exit-code'], { diff: world }, 'exit-code'),
    of(command, 'json', [command, '-o', 'json'], { diff: world }),
    of(command, 'empty', [command], { diff: { stafd: NOTHING, stacd: NOTHING } }),
    of(command, 'many', [command], { diff: { stafd: { ...NOTHING, add: many }, stacd: NOTHING } }),
    of(command, 'down', [command], { diff: { stafd: STAFD } }),
    of(command, 'denied', [command], { diff: { openBus: denied } }),
    of(command, 'bad', [command, '-o', 'yaml']),
    of(command, 'help', [command, '--help']),
  ];
}

function doctorCases(): readonly Case[] {
  const command = 'doctor';
  const stopped = {
    ...daemonFacts('stac', { owner: known(undefined) }),
    unit: { active: known('inactive'), enabled: known('enabled') },
  };
  const ill: Facts = {
    ...HEALTHY,
    controllers: known([{ ...CONNECTED, hostid: OTHER_ID }]),
    confEntries: known([entry('/etc/stas/stacd.conf', { holdsSecret: true })]),
    avahi: { ...HEALTHY.avahi, server: known('absent') },
  };
  /** Nothing is connected, and no file says what to connect. */
  const bare: Facts = {
    ...HEALTHY,
    controllers: known([]),
    configuration: known({ ...CONFIGURATION, transports: new Set(), usesSecrets: false }),
    confEntries: known([]),
  };
  const many: Facts = {
    ...HEALTHY,
    controllers: known(
      Array.from({ length: 1000 }, (_, index) => ({
        ...{ ...CONNECTED, device: `nvme${String(index)}`, instance: String(index) },
        ...{ traddr: `10.0.${String(index >> 8)}.${String(index & 255)}`, hostid: OTHER_ID },
      })),
    ),
  };
  const ordinary: Facts = {
    ...{ ...HEALTHY, isRoot: false },
    packetFilter: unknown('the rules are for root only'),
    fabrics: unknown('cannot read /dev/nvme-fabrics: permission denied (EACCES)'),
  };
  return [
    of(command, 'ok', [command]),
    of(command, 'ok', [command], { facts: ill }, 'failures'),
    of(command, 'json', [command, '-o', 'json'], { facts: ill }),
    of(command, 'empty', [command], { facts: bare }),
    of(command, 'many', [command], { facts: many }),
    of(command, 'down', [command], {
      facts: { ...HEALTHY, daemons: { ...HEALTHY.daemons, stacd: stopped } },
    }),
    of(command, 'denied', [command], { facts: ordinary }),
    of(command, 'bad', [command, 'nvme0']),
    of(command, 'help', [command, '--help']),
  ];
}

export function stasadmCases(): readonly Case[] {
  return [
    of('', 'ok', ['--version']),
    of('', 'bad', []),
    of('', 'bad', ['hostnqm'], {}, 'command'),
    of('', 'help', ['--help']),
    ...identityCases(),
    ...inFiles(),
    ...checkCases(),
    ...diffCases(),
    ...doctorCases(),
  ];
}
