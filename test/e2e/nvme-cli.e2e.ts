import { beforeAll, describe, expect, it } from 'vitest';
import { dcAt, dcLine } from './discovery-kit.ts';
import {
  entries,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

const OVERRIDE = '/run/udev/rules.d/70-nvmf-autoconnect.rules';

// In order: stafd has the DC on 8009, nvme-cli that on 8010.
describe('beside nvme-cli', () => {
  let here: Lab;
  let theirs: KernelView | undefined;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(4) });
    for (const port of [8009, 8010]) {
      await here.addDc({ name: String(port), listen: [{ address: '127.0.0.1', port }] });
    }
    await here.configure('stafd', stafdConf(dcLine(8009)));
    // stacd does not run: whatever is connected is connected by nvme-cli.
    await here.systemctl('start stafd');
    await here.machine.sh(
      'nvme discover -t tcp -a 127.0.0.1 -s 8010 -w 127.0.0.1 -f lo --reconnect-delay 1 --persistent',
    );
    const kernel = await here.kernelUntil(
      'both discovery controllers',
      (all) => dcAt(all, 8009) !== undefined && dcAt(all, 8010) !== undefined,
    );
    theirs = dcAt(kernel, 8010);
  });

  const connected = (all: readonly KernelView[]): readonly (string | null)[] =>
    liveIo(all).map(({ subsysnqn }) => subsysnqn);

  async function listOn(port: number, index: number, aen = true): Promise<void> {
    const added = entries(1, '127.0.0.1', index);
    await here.dc({ op: 'add-entries', controller: String(port), entries: added, aen });
  }

  async function connectedUntil(index: number): Promise<void> {
    await here.kernelUntil(`s${String(index)}`, (all) =>
      connected(all).includes(subsystemNqn(index)),
    );
  }

  const overridden = async (): Promise<boolean> =>
    (await here.machine.exec(`test -s ${OVERRIDE}`)).status === 0;

  it('its rules are overridden but for Fibre Channel, and stafd starts its units for its controllers only', async () => {
    const rules = await here.machine.sh(`grep -v '^#' ${OVERRIDE}`);
    expect(rules).toContain('nvmediscovery');
    expect(rules).not.toContain('NVME_AEN');
    await listOn(8009, 0);
    await listOn(8010, 1);
    await connectedUntil(1);
    const started =
      (await here.journal('systemd')).match(/(?<=Start(?:ed|ing) )nvmf-connect@\S+/g) ?? [];
    expect([...new Set(started)]).toEqual([
      `nvmf-connect@--device\\x3d${theirs?.device ?? ''}\\x09--host-traddr\\x3d127.0.0.1\\x09--host-iface\\x3dlo.service`,
    ]);
    expect(connected(await here.kernel())).toEqual([subsystemNqn(1)]);
  });

  it('so it does when the kernel has reconnected one of them', async () => {
    await here.dc({ op: 'unlisten', controller: '8010' });
    await here.dc({ op: 'drop-connections', controller: '8010' });
    await listOn(8010, 2, false);
    await here.dc({ op: 'listen', controller: '8010' });
    await connectedUntil(2);
  });

  it('its rules apply again after a stop, be there a crash before it', async () => {
    const pid = 'systemctl show -P MainPID stafd';
    const old = (await here.machine.sh(pid)).trim();
    await here.systemctl('kill -s KILL stafd');
    await here.machine.waitFor(
      `systemctl is-active stafd && [ "$(${pid})" != ${old} ] && test -s ${OVERRIDE}`,
      { timeoutMs: 180_000 },
    );
    await here.systemctl('kill -s KILL stafd');
    await here.systemctl('stop stafd');
    expect(await overridden()).toBe(false);
    await listOn(8010, 3);
    await connectedUntil(3);
    await here.systemctl('start stafd');
    expect(await overridden()).toBe(true);
    await here.systemctl('stop stafd');
    expect(await overridden()).toBe(false);
  });
});
