/** stafd: finds discovery controllers, keeps them connected, and tells what they list. */
import { runDaemon, type Daemon, type DaemonParts } from '../daemon/run-daemon.ts';
import { startUp } from '../daemon/start-up.ts';
import { AvahiBrowser } from '../platform/avahi/service-browser.ts';
import { NvmeCliInterplay } from '../platform/nvme-cli.ts';
import { TcpProber } from '../platform/prober.ts';
import { STAFD_BUS_NAME, stafdObject, stafdSignals } from './dbus-interface.ts';
import { MdnsDiscovery } from './mdns.ts';
import { StafdService } from './service.ts';

/** Of what strangers announce: their own, so that they never take the places of other probes. */
const MDNS_PROBES = 64;

function build(parts: DaemonParts): Daemon {
  const nvmeCli = new NvmeCliInterplay(parts.log);
  const browser = new MdnsDiscovery({
    ...parts,
    browser: new AvahiBrowser(parts),
    prober: new TcpProber({ log: parts.log, concurrency: MDNS_PROBES }),
    changed: () => {
      service.sourceChanged();
    },
  });
  const service = new StafdService(parts.settings, {
    ...parts,
    nvmeCli,
    browser,
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

startUp((works) => {
  void runDaemon({ name: 'stafd', busName: STAFD_BUS_NAME, build, works });
});
