import { beforeAll, describe, expect, it } from 'vitest';
import {
  closeFibreChannel,
  FC_HOST_TRADDR,
  fcTraddr,
  linkFibreChannel,
  openFibreChannel,
} from './fabrics.ts';
import { liveDc, liveIo, PATIENCE_MS, stafdConf, type KernelView, type Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

const SUBSYSTEM = 'nqn.2024-01.org.example:over-fc';

// The kernel's own host and target over two Fibre Channel ports within the machine.
describe('Fibre Channel', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await openFibreChannel(here.machine);
    await here.targets({
      ports: [{ id: 1, transport: 'fc', address: fcTraddr(1) }],
      subsystems: [{ nqn: SUBSYSTEM, ports: [1] }],
    });
    const line = `transport=fc;traddr=${fcTraddr(1)};host-traddr=${FC_HOST_TRADDR}`;
    await here.configure('stafd', `[Global]\ntron = true\n${stafdConf(line)}`);
    return async () => {
      await here.reset();
      await closeFibreChannel(here.machine);
    };
  });

  const overFc = (all: readonly KernelView[]): readonly KernelView[] =>
    all.filter(({ transport }) => transport === 'fc');

  const reads = async (): Promise<number> =>
    (await here.journal('stafd')).match(/Received discovery log pages/g)?.length ?? 0;

  it('a discovery controller is connected at once when its port appears, and what it lists', async () => {
    await here.systemctl('start stafd stacd');
    await here.listUntil('stafctl', (all) => Number(all[0]?.['connect attempts']) > 2);
    await linkFibreChannel(here.machine, 1);
    await here.kernelUntil(
      'both controllers',
      (all) => liveDc(overFc(all)).length === 1 && liveIo(overFc(all)).length === 1,
    );
    expect(await here.journal('stafd')).toContain('Event: Fibre Channel discovery');
    // nvme-cli's own rule answers the same event: what it makes for itself goes again.
    await here.listUntil('stacctl', (all) => all[0]?.['connected'] === 'True');
    await here.machine.waitFor('! systemctl is-active "nvmf-connect@*"', {
      timeoutMs: PATIENCE_MS,
    });
    const kernel = overFc(await here.kernel());
    expect(liveDc(kernel)).toHaveLength(1);
    expect(liveIo(kernel).map(({ subsysnqn }) => subsysnqn)).toEqual([SUBSYSTEM]);
  });

  it('an event of its port has its log read again', async () => {
    const before = await reads();
    await here.machine.sh('echo add > /sys/class/fc/fc_udev_device/nvme_discovery');
    await expect.poll(reads, { timeout: PATIENCE_MS }).toBeGreaterThan(before);
    const journal = await here.journal('stafd');
    expect(journal.match(/Event: Fibre Channel discovery/g)?.length).toBeGreaterThan(1);
  });
});
