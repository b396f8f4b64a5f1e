import type { Target } from './target.ts';
import { configTargets } from './targets/config.ts';
import { dbusTargets } from './targets/dbus.ts';
import { discoveryTargets } from './targets/discovery.ts';
import { doctorTargets } from './targets/doctor.ts';
import { hostTargets } from './targets/host.ts';
import { iniTargets } from './targets/ini.ts';
import { mdnsTargets } from './targets/mdns.ts';
import { nbftTargets } from './targets/nbft.ts';
import { stateTargets } from './targets/state.ts';

/** Every parser of what others wrote, sent or changed. */
export const targets: readonly Target[] = [
  ...iniTargets,
  ...configTargets,
  ...discoveryTargets,
  ...mdnsTargets,
  ...nbftTargets,
  ...stateTargets,
  ...dbusTargets,
  ...hostTargets,
  ...doctorTargets,
];
