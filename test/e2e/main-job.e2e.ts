import { beforeEach, describe, expect, it } from 'vitest';
import {
  entries,
  lab,
  liveDc,
  liveIo,
  LOCAL_PORT,
  subsystemNqn,
  subsystems,
  type Lab,
} from './lab.ts';

describe('the main job', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
  });

  it('finds a configured discovery controller and connects what it lists', async () => {
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(1) });
    await here.addDc({ entries: entries(1) });
    await here.configure(
      'stafd',
      '[Controllers]\ncontroller = transport=tcp;traddr=127.0.0.1\n[Service Discovery]\nzeroconf=disabled\n',
    );
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil(
      'one discovery and one I/O controller',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    expect(liveIo(kernel)[0]?.subsysnqn).toBe(subsystemNqn(0));
    const [dc] = await here.list('stafctl');
    expect(dc).toMatchObject({
      transport: 'tcp',
      traddr: '127.0.0.1',
      trsvcid: '8009',
      device: liveDc(kernel)[0]?.device,
      connected: 'True',
      origin: 'configured',
    });
    const [ioc] = await here.list('stacctl');
    expect(ioc).toMatchObject({
      traddr: '127.0.0.1',
      trsvcid: '4420',
      subsysnqn: subsystemNqn(0),
      device: liveIo(kernel)[0]?.device,
      connected: 'True',
    });
  });
});
