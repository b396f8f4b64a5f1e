import { beforeEach, describe, expect, it } from 'vitest';
import {
  entries,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

describe("connection options, on the kernel's side", () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.addDc({ entries: entries(1) });
    await here.watchIcReqs();
  });

  it('[Global] of each daemon reaches its connections', async () => {
    await here.configure(
      'stafd',
      `[Global]\nkato = 12\nreconnect-delay = 7\nctrl-loss-tmo = 91\n${stafdConf('transport=tcp;traddr=127.0.0.1')}`,
    );
    await here.configure(
      'stacd',
      '[Global]\nkato = 17\nqueue-size = 64\nnr-io-queues = 1\nreconnect-delay = 5\nctrl-loss-tmo = 60\nhdr-digest = true\ndata-digest = true\n',
    );
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil(
      'both',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 1,
    );
    expect(liveDc(kernel)[0]).toMatchObject({
      kato: '12',
      reconnect_delay: '7',
      ctrl_loss_tmo: '91',
    });
    expect(liveIo(kernel)[0]).toMatchObject({
      kato: '17',
      sqsize: '63',
      // The admin queue and one I/O queue.
      queue_count: '2',
      reconnect_delay: '5',
      ctrl_loss_tmo: '60',
    });
    const icReqs = await here.icReqs();
    expect(icReqs).toContain('4420 header data');
    expect(icReqs).not.toContain('8009 header data');
  });

  it("a controller's own line goes before [Global], and -1 is for ever", async () => {
    await here.configure('stafd', stafdConf());
    await here.configure(
      'stacd',
      `[Global]\nqueue-size = 64\nkato = 20\n[Controllers]\ncontroller = transport=tcp;traddr=127.0.0.1;trsvcid=4420;nqn=${subsystemNqn(1)};queue-size=32;ctrl-loss-tmo=-1\n`,
    );
    await here.systemctl('start stafd stacd');
    const kernel = await here.kernelUntil('one', (all) => liveIo(all).length === 1);
    expect(liveIo(kernel)[0]).toMatchObject({
      subsysnqn: subsystemNqn(1),
      kato: '20',
      sqsize: '31',
      ctrl_loss_tmo: 'off',
    });
    expect(await here.icReqs()).toEqual(['4420 - -']);
  });
});
