/** stacd: keeps the I/O controllers connected that stafd finds and the configuration names. */
import { runDaemon, type Daemon, type DaemonParts } from '../daemon/run-daemon.ts';
import { startUp } from '../daemon/start-up.ts';
import { STACD_BUS_NAME, stacdObject, stacdSignals } from './dbus-interface.ts';
import { DiscoverySource } from './discovery-source.ts';
import { StacdService } from './service.ts';

function build(parts: DaemonParts): Daemon {
  const discovery = new DiscoverySource({
    ...parts,
    changed: () => {
      service.discoveryChanged();
    },
  });
  const service = new StacdService(parts.settings, {
    ...parts,
    discovery,
    controllersChanged: stacdSignals(parts.bus),
  });
  return {
    object: stacdObject({ ...parts, service }),
    start: async () => {
      await service.start();
      await discovery.start();
    },
    reload: (settings) => {
      service.reload(settings);
      discovery.refresh();
    },
    stop: async () => {
      discovery.dispose();
      await service.stop();
    },
  };
}

startUp((works) => {
  void runDaemon({ name: 'stacd', busName: STACD_BUS_NAME, build, works });
});
