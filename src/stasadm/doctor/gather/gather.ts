/** Collects all facts, from all sources at once, each with an end. */
import { known, unknown, type Answer } from '../../../core/answer.ts';
import {
  DAEMONS,
  OTHER_UNITS,
  type DaemonFacts,
  type DaemonName,
  type Facts,
  type OtherUnit,
  type Unit,
} from '../facts.ts';
import { AskedBus } from './bus.ts';
import { gatherConfEntries, gatherConfiguration, gatherNvmeCliIdentity } from './configuration.ts';
import { exists } from './files.ts';
import { gatherControllers, gatherFabrics, gatherModules } from './kernel.ts';
import { gatherLibnvme } from './libnvme.ts';
import { gatherInterfaces, gatherLeftOut, gatherListening, gatherPacketFilter } from './network.ts';
import {
  enabledByFiles,
  gatherAutoconnectFiles,
  gatherNvmeCli,
  gatherPolicy,
  gatherProgram,
  gatherRules,
} from './services.ts';
import { gatherSnapshot } from './snapshots.ts';
import { within, type CallableBus, type World } from './world.ts';

interface BusFacts extends Pick<Facts, 'bus' | 'units'> {
  readonly owners: Readonly<Record<DaemonName, DaemonFacts['owner']>>;
  readonly daemonUnits: Readonly<Record<DaemonName, Unit>>;
  readonly avahi: Facts['avahi']['server'];
}

function busNameOf(daemon: DaemonName): string {
  return `org.nvmexpress.${daemon.slice(0, -1)}`;
}

/** An object of what `of` comes to for each name. */
async function each<K extends string, V>(
  names: readonly K[],
  of: (name: K) => V | Promise<V>,
): Promise<Readonly<Record<K, V>>> {
  const pairs = names.map(async (name) => [name, await of(name)] as const);
  return Object.fromEntries(await Promise.all(pairs)) as Record<K, V>;
}

/** Without a bus, only what files tell of units. */
async function withoutBus(world: World, why: string): Promise<BusFacts> {
  const unit = (name: string): Unit => ({
    active: unknown(why),
    enabled: enabledByFiles(world, name),
  });
  return {
    bus: unknown(why),
    owners: await each(DAEMONS, () => unknown(why)),
    daemonUnits: await each(DAEMONS, (daemon) => unit(`${daemon}.service`)),
    units: await each<OtherUnit, Unit>(OTHER_UNITS, unit),
    avahi: unknown(why),
  };
}

async function onBus(world: World, bus: CallableBus): Promise<BusFacts> {
  const asked = new AskedBus(world, bus);
  const [owners, daemonUnits, units, avahi] = await Promise.all([
    each(DAEMONS, (daemon) => asked.owner(busNameOf(daemon))),
    each(DAEMONS, (daemon) => asked.unit(`${daemon}.service`)),
    each<OtherUnit, Unit>(OTHER_UNITS, (name) => asked.unit(name)),
    asked.avahi(),
  ]);
  return { bus: known(undefined), owners, daemonUnits, units, avahi };
}

async function gatherBus(world: World, booted: boolean): Promise<BusFacts> {
  // The socket of another system may be where a chroot has none.
  if (!booted) return withoutBus(world, 'no systemd runs here');
  const opening = world.openBus();
  const bus: Answer<CallableBus> = await within(world, 'the system bus', opening);
  if (bus.kind === 'unknown') {
    // It may still come; nobody waits for it then.
    opening.then(
      (late) => {
        late.close();
      },
      () => undefined,
    );
    return withoutBus(world, bus.why);
  }
  try {
    return await onBus(world, bus.value);
  } finally {
    bus.value.close();
  }
}

/** Never rejects for what the host is like: what cannot be found out is told as unknown. */
export async function gather(world: World, program: string): Promise<Facts> {
  const booted = exists(world, '/run/systemd/system');
  const [asked, fabrics, controllers, packetFilter] = await Promise.all([
    gatherBus(world, booted),
    gatherFabrics(world),
    gatherControllers(world),
    gatherPacketFilter(world),
  ]);
  const interfaces = gatherInterfaces(world);
  return {
    isRoot: world.isRoot,
    booted,
    release: world.release,
    fabrics,
    modules: gatherModules(world),
    controllers,
    libnvme: gatherLibnvme(world, program),
    configuration: gatherConfiguration(world),
    nvmeCliIdentity: gatherNvmeCliIdentity(world),
    bus: asked.bus,
    daemons: await each(DAEMONS, (daemon) => ({
      policy: gatherPolicy(world, busNameOf(daemon)),
      owner: asked.owners[daemon],
      unit: asked.daemonUnits[daemon],
      program: gatherProgram(world, daemon),
      snapshot: gatherSnapshot(world, daemon),
    })),
    units: asked.units,
    avahi: {
      server: asked.avahi,
      interfaces,
      listening: gatherListening(world),
      leftOut: gatherLeftOut(world, interfaces),
    },
    nvmeCli: gatherNvmeCli(world),
    rules: gatherRules(world),
    autoconnectFiles: gatherAutoconnectFiles(world),
    packetFilter,
    confEntries: gatherConfEntries(world),
  };
}
