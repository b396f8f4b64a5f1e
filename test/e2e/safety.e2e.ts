import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

const COUNT = 4;
const REMEMBERED = '/run/stafd/last-known-config.json';

/** Entries that name a subsystem that is there, and that nobody may follow. */
const HOSTILE = [
  { subnqn: `${subsystemNqn(COUNT)}\nforged line` },
  { trsvcid: '4420,reconnect_delay=33' },
  { subnqn: { hex: `${Buffer.from(subsystemNqn(COUNT)).toString('hex')}ff` } },
  // This one is dropped without a word.
  { traddr: '0.0.0.0' },
].map((fields, index) => ({
  ...entries(1, '127.0.0.1', COUNT)[0],
  id: `hostile${String(index)}`,
  ...fields,
}));

// In order, on the same connections: none of the disturbances may touch them.
describe('connections outlive the daemons', () => {
  let here: Lab;
  let before: readonly KernelView[];

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(COUNT + 1) });
    await here.addDc({ entries: entries(COUNT) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('start stafd stacd');
    before = await here.kernelUntil(
      'everything',
      (all) => liveDc(all).length === 1 && liveIo(all).length === COUNT,
    );
    await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
  });

  beforeEach(async () => {
    await here.machine.sh(
      'systemctl stop e2e-uevents 2>/dev/null; systemd-run --quiet --unit=e2e-uevents sh -c "exec udevadm monitor --kernel --subsystem-match=nvme > /run/e2e-uevents"',
    );
  });

  /** Nothing was removed, connected anew or reconnected, and both daemons say that all is well. */
  async function expectUndisturbed(): Promise<void> {
    await here.listUntil(
      'stacctl',
      (all) => all.length === COUNT && all.every(({ connected }) => connected === 'True'),
    );
    await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    // Time for a wrong decision to be made and carried out.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const after = await here.kernel();
    expect(after.map(identity).sort()).toEqual(before.map(identity).sort());
    const uevents = await here.machine.sh('systemctl stop e2e-uevents; cat /run/e2e-uevents');
    expect(uevents).not.toMatch(/\b(remove|add) +\/devices/);
  }

  it.each([
    ['a restart of stafd', 'systemctl restart stafd'],
    ['a restart of stacd', 'systemctl restart stacd'],
    ['a restart of both', 'systemctl restart stafd stacd'],
  ])('%s', async (_, command) => {
    await here.machine.sh(command, { timeoutMs: 120_000 });
    await expectUndisturbed();
  });

  it.each(['stafd', 'stacd'])('kill -9 of %s, which is started again', async (daemon) => {
    const pid = `systemctl show -P MainPID ${daemon}`;
    const old = (await here.machine.sh(pid)).trim();
    await here.machine.sh(`systemctl kill -s KILL ${daemon}`);
    await here.machine.waitFor(
      `systemctl is-active ${daemon} && [ "$(${pid})" != ${old} ] && [ "$(${pid})" != 0 ]`,
      { timeoutMs: 60_000 },
    );
    await expectUndisturbed();
  });

  it('stafd stopped for good, and started again', async () => {
    await here.systemctl('stop stafd');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(liveIo(await here.kernel())).toHaveLength(COUNT);
    await here.systemctl('start stafd');
    await expectUndisturbed();
  });

  it('a start of stafd with a damaged memory, which is set aside', async () => {
    await here.machine.sh(`systemctl stop stafd; echo '{"daemon":"stafd"' > ${REMEMBERED}`);
    await here.systemctl('start stafd');
    await expectUndisturbed();
    const files = `${REMEMBERED} ${REMEMBERED.replaceAll('stafd', 'stacd')}`;
    expect(await here.machine.sh(`stat -c '%a %U' ${files}`)).toBe('600 root\n600 root\n');
    await here.machine.sh(`test -e ${REMEMBERED}.damaged`);
    expect((await here.journal('stafd')).match(/is not usable; it was set aside/g)).toHaveLength(1);
  });

  it('a reload of both', async () => {
    await here.systemctl('reload stafd stacd');
    await expectUndisturbed();
  });

  it('a discovery controller that goes away', async () => {
    await here.dc({ op: 'unlisten' });
    await here.dc({ op: 'drop-connections' });
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(
      liveIo(await here.kernel())
        .map(identity)
        .sort(),
    ).toEqual(liveIo(before).map(identity).sort());
    await here.dc({ op: 'listen' });
    await here.kernelUntil('it again', (all) => liveDc(all).length === 1, 60_000);
  });

  it('are dropped when a reachable discovery controller empties its log', async () => {
    await here.dc({ op: 'set-entries', entries: [] });
    await here.kernelUntil('none', (all) => liveIo(all).length === 0);
  });

  it('are made again as the log lists them, and nothing that is not allowed in one', async () => {
    await here.dc({ op: 'set-entries', entries: [...HOSTILE, ...entries(COUNT)] });
    await here.kernelUntil('all again', (all) => liveIo(all).length === COUNT);
    const listed = await here.listUntil('stacctl', (all) =>
      all.every(({ connected }) => connected === 'True'),
    );
    const allowed = entries(COUNT).map(({ subnqn }) => subnqn);
    expect(listed.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(allowed);
    const kernel = liveIo(await here.kernel());
    expect(kernel.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(allowed);
    // The first of them is shown, on one line.
    const line = /Refused a log page entry: .*forged line.* \(and 2 more\)/g;
    expect((await here.journal('stafd')).match(line)).toHaveLength(1);
  });

  it('are dropped by an exclude, and by the removal of their discovery controller', async () => {
    await here.configure('stacd', `[Controllers]\nexclude = nqn=${subsystemNqn(0)}\n`);
    await here.systemctl('reload stacd');
    await here.kernelUntil('one less', (all) => liveIo(all).length === COUNT - 1);
    await here.configure('stafd', stafdConf());
    await here.systemctl('reload stafd');
    await here.kernelUntil('none', (all) => liveIo(all).length === 0 && liveDc(all).length === 0);
  });
});

describe('connections that somebody else made', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.addDc({ entries: entries(1) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  });

  it('are taken over, discovery and I/O, without a second connection', async () => {
    await here.machine.sh(
      `nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(0)}; nvme discover -t tcp -a 127.0.0.1 -s 8009 --persistent`,
    );
    const before = await here.kernelUntil(
      "nvme-cli's connections",
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    await here.systemctl('start stafd stacd');
    const [ioc] = await here.listUntil('stacctl', (all) => all[0]?.['connected'] === 'True');
    expect(ioc?.['device']).toBe(liveIo(before)[0]?.device);
    const [dc] = await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    expect(dc?.['device']).toBe(liveDc(before)[0]?.device);
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
  });

  it('stay when nothing lists them', async () => {
    await here.machine.sh(`nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(1)}`);
    await here.systemctl('start stafd stacd');
    await here.kernelUntil('both', (all) => liveIo(all).length === 2);
    await here.dc({ op: 'set-entries', entries: [] });
    const after = await here.kernelUntil('one', (all) => liveIo(all).length === 1);
    expect(liveIo(after)[0]?.subsysnqn).toBe(subsystemNqn(1));
  });
});
