/** stafd: finds discovery controllers, keeps them connected, and tells what they list. */
import { known } from '../core/answer.ts';
import { runDaemon, type Daemon, type DaemonParts } from '../daemon/run-daemon.ts';
import { NvmeCliInterplay } from '../platform/nvme-cli.ts';
import { STAFD_BUS_NAME, stafdObject, stafdSignals } from './dbus-interface.ts';
import { StafdService } from './service.ts';

function build(parts: DaemonParts): Daemon {
  const nvmeCli = new NvmeCliInterplay(parts.log);
  const service = new StafdService(parts.settings, {
    ...parts,
    nvmeCli,
    browser: { current: () => known([]) },
    listener: stafdSignals(parts.bus),
  });
  return {
    object: stafdObject({ ...parts, service }),
    start: async () => {
      await nvmeCli.override();
      await service.start();
    },
    reload: (settings) => {
      service.reload(settings);
    },
    stop: async () => {
      await service.stop();
      await nvmeCli.restore();
    },
  };
}

await runDaemon({
  name: 'stafd',
  busName: STAFD_BUS_NAME,
  build,
});
