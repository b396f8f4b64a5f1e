import { expect, it } from 'vitest';
import { addKeptNamespace, keptBlock, mountKept } from './kept-namespace.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

function ioc(index: number, fields = ''): string {
  const nqn = subsystemNqn(index);
  return `controller = transport=tcp;traddr=127.0.0.1;trsvcid=4420;nqn=${nqn}${fields}\n`;
}

function of(kernel: readonly KernelView[], index: number): KernelView | undefined {
  return liveIo(kernel).find(({ subsysnqn }) => subsysnqn === subsystemNqn(index));
}

interface Previewed {
  readonly controller: Readonly<Record<string, string>>;
}

interface Diff {
  readonly changes: boolean;
  readonly stafd: Readonly<Record<'add' | 'remove' | 'change' | 'keep', readonly Previewed[]>>;
  readonly stacd: Readonly<Record<'add' | 'remove' | 'change' | 'keep', readonly Previewed[]>>;
}

/** For a dozen starts of Node. */
const PATIENCE = { timeoutMs: 240_000 } as const;

/** As an ordinary user, who is in no group. */
const NOBODY = 'setpriv --reuid nobody --regid nogroup --clear-groups';

/** What stacctl shows of subsystem 0, which a log lists and which is mounted, and of 1. */
async function expectShown({ machine }: Lab, block: string): Promise<void> {
  const [tree, explained] = await Promise.all([
    machine.sh('stacctl tree -o json'),
    machine.exec(`${NOBODY} stacctl explain -o json`),
  ]);
  const uses = [{ kind: 'mount', device: block, at: '/mnt/my data', 'file-system': 'ext4' }];
  expect(JSON.parse(tree)).toMatchObject({
    subsystems: [
      {
        subsysnqn: subsystemNqn(0),
        controllers: [{ state: 'live', traddr: '127.0.0.1', stacd: true }],
        namespaces: expect.arrayContaining([
          expect.objectContaining({ block, uses, bytes: expect.any(Number) as unknown }),
        ]) as unknown,
      },
      { subsysnqn: subsystemNqn(1), controllers: [{ stacd: true }] },
    ],
  });
  expect(explained).toMatchObject({ status: 0, stderr: '' });
  const { absent, controllers, notes } = JSON.parse(explained.stdout) as Record<string, unknown[]>;
  expect([absent, notes]).toEqual([[], []]);
  expect(controllers).toHaveLength(2);
  for (const [index, source] of [
    [0, /^listed by the discovery log of \(tcp, 127\.0\.0\.1, 8009/],
    [1, /^configured by \/etc\/stas\/stacd\.conf, line 2$/],
  ] as const) {
    expect(controllers).toContainEqual(
      expect.objectContaining({
        ...{ subsysnqn: subsystemNqn(index), state: 'connected', attempts: 0 },
        sources: [expect.stringMatching(source)],
      }),
    );
  }
}

it('stasadm diff tells what a reload then does, and what is mounted on what it drops', async () => {
  const here = await lab();
  const { machine } = here;
  await here.reset();
  await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(3) });
  await addKeptNamespace(machine);
  await here.addDc({ entries: entries(1) });
  await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  await here.configure('stacd', `[Controllers]\n${ioc(1, ';kato=15')}`);
  await here.systemctl('start stafd stacd');
  const before = await here.kernelUntil(
    'the discovery controller, and two I/O controllers',
    (all) => liveDc(all).length === 1 && liveIo(all).length === 2,
  );
  const block = await keptBlock(machine, of(before, 0)?.device ?? '');
  await mountKept(machine, block, '/mnt/my data');
  await expectShown(here, block);

  // Its discovery controller goes, one is added, and one has another option.
  await here.configure('stafd', stafdConf());
  await here.configure('stacd', `[Controllers]\n${ioc(1, ';kato=10')}${ioc(2)}`);
  const [asJson, asText, asNobody] = await Promise.all([
    machine.exec('stasadm diff --output json --exit-code'),
    machine.exec('stasadm diff'),
    machine.exec(`${NOBODY} stasadm diff`),
  ]);
  expect(asJson).toMatchObject({ status: 3, stderr: '' });
  const diff = JSON.parse(asJson.stdout) as Diff;
  const [lost, dc] = [of(before, 0)?.device, liveDc(before)[0]?.device];
  expect(diff).toMatchObject({
    changes: true,
    stafd: {
      ...{ add: [], change: [], keep: [] },
      remove: [{ controller: { traddr: '127.0.0.1', device: dc }, connection: 'disconnected' }],
    },
    stacd: {
      keep: [],
      add: [{ controller: { subsysnqn: subsystemNqn(2), device: 'nvme?' } }],
      change: [
        {
          controller: { subsysnqn: subsystemNqn(1), device: of(before, 1)?.device },
          changes: [{ option: 'kato', from: '15', to: '10' }],
        },
      ],
      remove: [
        {
          controller: { subsysnqn: subsystemNqn(0), device: lost },
          ...{ connection: 'disconnected', follows: true },
          namespaces: expect.arrayContaining([
            {
              block,
              uses: [{ kind: 'mount', device: block, at: '/mnt/my data', 'file-system': 'ext4' }],
              'other-paths': [],
              'last-path': true,
            },
          ]) as unknown,
        },
      ],
    },
  });
  expect(asText).toMatchObject({ status: 0, stderr: '' });
  expect(asText.stdout).toContain(
    `${block}: mounted at /mnt/my data (ext4 on ${block}); this is the last path`,
  );
  expect(asNobody).toMatchObject({ status: 1 });
  expect(asNobody.stderr).toBe(
    'stasadm: access to stafd is denied; try it as root\nstasadm: access to stacd is denied; try it as root\n',
  );
  // Nothing of it was done.
  expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
  await machine.sh(`touch '/mnt/my data/file' && sync -f '/mnt/my data/file'`);
  await machine.sh(`umount '/mnt/my data'`);

  await here.systemctl('reload stacd stafd');
  const after = await here.kernelUntil(
    'what was told',
    (all) => liveDc(all).length === 0 && of(all, 0) === undefined && of(all, 2) !== undefined,
  );
  expect(liveIo(after).map(({ subsysnqn }) => subsysnqn)).toHaveLength(2);
  // A changed option leaves a connection that is up alone, and is told of as long as it differs.
  expect([of(after, 1)].map((view) => view && identity(view))).toEqual(
    [of(before, 1)].map((view) => view && identity(view)),
  );
  const again = await machine.exec('stasadm diff --output json --exit-code');
  expect(again).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(again.stdout)).toMatchObject({
    changes: false,
    stacd: {
      ...{ add: [], remove: [], change: [] },
      keep: [
        { controller: { subsysnqn: subsystemNqn(1) }, pending: [{ option: 'kato', to: '10' }] },
        { controller: { subsysnqn: subsystemNqn(2) }, pending: [] },
      ],
    },
  });

  await here.systemctl('stop stafd');
  const withoutStafd = await machine.exec('stasadm diff --exit-code');
  expect(withoutStafd).toMatchObject({
    status: 1,
    stderr: 'stasadm: stafd is not running; start it with: systemctl start stafd\n',
  });
  expect(withoutStafd.stdout).toContain('stacd\n');
});

// After it, in what it has left.
it('an ordinary user may look at everything, and change nothing', async () => {
  const here = await lab();
  const { machine } = here;
  await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  await here.systemctl('start stafd');
  // Two are configured, and its log lists a third.
  await here.kernelUntil(
    'the discovery controller, and three I/O controllers',
    (all) => liveDc(all).length === 1 && liveIo(all).length === 3,
  );
  await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
  const reading = [
    ...['ls', 'status', 'metrics'].flatMap((command) => [
      `stafctl ${command}`,
      `stacctl ${command}`,
    ]),
    ...['stafctl dlp -a 127.0.0.1 -s 8009', 'stafctl adlp', 'stafctl explain', 'stacctl tree'],
  ];
  const each = `${NOBODY} {} > /dev/null; echo "$? {}"`;
  const statuses = await machine.sh(
    `printf '%s\\n' ${reading.map((command) => `'${command}'`).join(' ')} | xargs -P 2 -I{} sh -c '${each}'`,
    PATIENCE,
  );
  expect(statuses.trim().split('\n').sort()).toEqual(
    reading.map((command) => `0 ${command}`).sort(),
  );
  for (const [command, bus] of [
    ['stafctl tron', 'staf'],
    ['stacctl troff', 'stac'],
  ] as const) {
    const tool = command.slice(0, 7);
    expect(await machine.exec(`${NOBODY} ${command}`)).toMatchObject({
      ...{ status: 1, stdout: '' },
      stderr: `${tool}: access to ${bus}d is denied; try it as root\n`,
    });
    const object = `org.nvmexpress.${bus} /org/nvmexpress/${bus} org.nvmexpress.${bus}.debug`;
    expect(await machine.sh(`busctl get-property ${object} tron`)).toBe('b false\n');
  }
  // A watch follows what others do, over a restart, until it is ended.
  const watched = await machine.sh(
    `
    until_seen() { for try in $(seq 200); do grep -q "$1" /tmp/watched && return; sleep 0.3; done; }
    ${NOBODY} stacctl watch > /tmp/watched & watch=$!
    until_seen present
    systemctl restart stacd
    until_seen 'runs again'
    kill $watch; wait $watch; echo "status $?"; cat /tmp/watched`,
    PATIENCE,
  );
  expect(watched).toMatch(/^status 0\n/);
  expect(watched.match(/ present .* connected as nvme/g)).toHaveLength(3);
  expect(watched).toMatch(/stacd is not running[^]*stacd runs again/);
  expect(watched).not.toMatch(/ (?:lost|removed) /);
});
