/**
 * DH-HMAC-CHAP: with the secret of the line, with that of sys.conf, at last without any and with wrong
 * ones. (What fails comes last: the kernel's target sometimes breaks off before it answers a host that
 * failed, whose kernel then waits for 60 s, with every other connect.)
 */
import { expect } from 'vitest';
import { CONTROLLERS, HOST } from '../../../src/config/option-table.ts';
import { identity as host } from '../../vm/image.ts';
import { liveIo, type KernelView, type Lab } from '../lab.ts';
import { field, inFile, install, option, runnable, section, type Files } from './effect.ts';
import { SECRETS } from './secrets.ts';

const KEY_FILE = '/run/e2e-key';
const NAMES = ['key', 'secret', 'both', 'key-in-file', 'none', 'wrong', 'wrong-ctrl'] as const;

type Name = (typeof NAMES)[number];

function nqnOf(name: Name): string {
  return `nqn.2024-01.org.example:${name}`;
}

function line(name: Name, fields = ''): string {
  return `controller = transport=tcp;traddr=127.0.0.1;trsvcid=4420;nqn=${nqnOf(name)};${fields}`;
}

/** A host of another secret than that of sys.conf. */
const OTHER_HOST = 'nqn.2024-01.org.example:another-host';
const AS_OTHER_HOST = `host-nqn=${OTHER_HOST};host-id=5b0e7f3a-6d21-4f0c-9d53-0a1b2c3d4e5f;dhchap-secret=${SECRETS.other}`;

const LINES: readonly string[] = [
  line('key'),
  line('secret', AS_OTHER_HOST),
  line('both', `${AS_OTHER_HOST};dhchap-ctrl-secret=${SECRETS.controller}`),
];

const KEY: Files = {
  sys: section(HOST, `key = ${SECRETS.host}`),
  stacd: section(CONTROLLERS, ...LINES),
};

const KEY_IN_FILE: Files = {
  sys: section(HOST, `key = file://${KEY_FILE}`),
  stacd: section(CONTROLLERS, ...LINES, line('key-in-file')),
};

const NONE: Files = {
  sys: section(HOST),
  stacd: section(
    CONTROLLERS,
    ...LINES,
    line('key-in-file'),
    line('none'),
    line('wrong', `dhchap-secret=${SECRETS.other}`),
    line('wrong-ctrl', `dhchap-secret=${SECRETS.host};dhchap-ctrl-secret=${SECRETS.other}`),
  ),
};

interface Seen {
  readonly kernel: readonly KernelView[];
  readonly stacdJournal: string;
  readonly kernelJournal: string;
}

async function observe(here: Lab): Promise<Seen> {
  await here.reset();
  const dhchapControllerKey = SECRETS.controller;
  const hosts = [
    { nqn: host.hostNqn, dhchapKey: SECRETS.host, dhchapControllerKey },
    { nqn: OTHER_HOST, dhchapKey: SECRETS.other, dhchapControllerKey },
  ];
  await here.targets({
    ports: [{ id: 1, transport: 'tcp', address: '127.0.0.1', service: '4420' }],
    subsystems: NAMES.map((name) => ({ nqn: nqnOf(name), ports: [1], hosts })),
  });
  await here.machine.writeFile(KEY_FILE, `${SECRETS.host}\n`, { mode: 0o600 });
  const connected = (count: number): Promise<readonly KernelView[]> =>
    here.kernelUntil('them connected', (all) => liveIo(all).length === count, 180_000);

  await install(here, KEY);
  await here.systemctl('start stacd');
  await connected(3);
  await install(here, KEY_IN_FILE);
  await here.systemctl('reload stacd');
  await connected(4);
  await install(here, NONE);
  await here.systemctl('reload stacd');
  // It may be the second reason that is told: first that the target broke off.
  for (const [name, reason] of [
    ['none', 'ENOKEY'],
    ['wrong', 'EKEYREJECTED'],
    ['wrong-ctrl', 'EKEYREJECTED'],
  ] as const) {
    await here.machine.waitFor(
      `journalctl -b -t stacd -o cat | grep -F '${nqnOf(name)}) - Failed' | grep -F '(${reason})'`,
      { timeoutMs: 400_000, intervalMs: 500 },
    );
  }
  const [kernel, stacdJournal, kernelJournal] = await Promise.all([
    here.kernel(),
    here.journal('stacd'),
    here.machine.sh('journalctl -b -k -o cat'),
  ]);
  return { kernel, stacdJournal, kernelJournal };
}

function find(all: readonly KernelView[], name: Name): KernelView | undefined {
  return all.find(({ subsysnqn }) => subsysnqn === nqnOf(name));
}

/** What the log says of why it is not connected. */
function reasons(journal: string, name: Name): string {
  return journal
    .split('\n')
    .filter((text) => text.includes(`${nqnOf(name)}) - Failed to connect`))
    .join('\n');
}

export const authentication = runnable<Seen>({
  title: 'authentication',
  files: [KEY, KEY_IN_FILE, NONE],
  observe,
  effects: [
    {
      of: [field('stacd', 'controller', 'dhchap-secret')],
      does: 'proves the host, before the key of sys.conf',
      check: ({ kernel }) => {
        expect(find(kernel, 'secret')?.dhchap_secret).toBe(SECRETS.other);
      },
    },
    {
      of: [field('stacd', 'controller', 'dhchap-ctrl-secret')],
      does: 'lets the controller prove itself',
      check: ({ kernel, kernelJournal }) => {
        expect(find(kernel, 'both')?.dhchap_ctrl_secret).toBe(SECRETS.controller);
        expect(find(kernel, 'secret')?.dhchap_ctrl_secret).not.toBe(SECRETS.controller);
        expect(kernelJournal).toMatch(/nvme\d+: .*controller authenticated/);
      },
    },
    {
      of: [option('sys', HOST, 'key')],
      does: 'proves the host where a line has no secret; without it the log says what is missing',
      check: ({ kernel, stacdJournal }) => {
        expect(find(kernel, 'key')?.dhchap_secret).toBe(SECRETS.host);
        expect(find(kernel, 'none')).toBeUndefined();
        expect(reasons(stacdJournal, 'none')).toMatch(/asks for authentication .*missing/);
      },
    },
    {
      of: [field('stacd', 'controller', 'dhchap-secret')],
      does: 'that is wrong is told as the reason, and connects nothing',
      check: ({ kernel, stacdJournal }) => {
        expect(find(kernel, 'wrong')?.state).not.toBe('live');
        expect(reasons(stacdJournal, 'wrong')).toMatch(/do not have the same key .*dhchap-secret/);
      },
    },
    {
      of: [field('stacd', 'controller', 'dhchap-ctrl-secret')],
      does: 'that is wrong is told as the reason, and connects nothing',
      check: ({ kernel, stacdJournal }) => {
        expect(find(kernel, 'wrong-ctrl')?.state).not.toBe('live');
        expect(reasons(stacdJournal, 'wrong-ctrl')).toMatch(
          /do not have the same key .*dhchap-ctrl-secret/,
        );
      },
    },
    {
      of: [inFile('sys', HOST, 'key')],
      does: 'does so, too, from the reload on',
      check: ({ kernel }) => {
        expect(find(kernel, 'key-in-file')?.dhchap_secret).toBe(SECRETS.host);
      },
    },
    {
      of: [option('sys', HOST, 'key'), field('stacd', 'controller', 'dhchap-secret')],
      does: 'is shown in no log',
      check: ({ stacdJournal }) => {
        expect(stacdJournal).not.toMatch(/DHHC-1:0\d:\w/);
      },
    },
  ],
});
