/**
 * Which host ID goes with which host NQN. The kernel (6.5 and newer) refuses a connection whose host
 * NQN another connection has with another ID, or whose ID another has with another NQN; before, it
 * gave the connections of an NQN the ID of the last one. So what is written is brought into that
 * form when it is read, and what does not fit is reported then. Pure.
 */
import { hostIdOfNqn, namedUuid } from '../nvme/host-id.ts';
import type { ConfiguredController } from './controller-entry.ts';
import { CONTROLLERS } from './option-table.ts';
import { placeText, printableValue, type Place, type Problem } from './problem.ts';
import type { ServiceConfig } from './service-config.ts';

export interface OwnIdentity {
  readonly hostnqn: string;
  readonly hostid: string;
}

interface Owner extends OwnIdentity {
  /** The line that says so; undefined for the host's own identity, and for what nobody says. */
  readonly place: Place | undefined;
}

/** A line that cannot have what it says: its NQN has another ID, or its ID another NQN. */
interface Conflict {
  readonly kind: 'other-id' | 'other-nqn';
  readonly controller: ConfiguredController;
  readonly owner: Owner;
}

interface HostIds {
  /** By host NQN, the host's own excepted. */
  readonly ids: ReadonlyMap<string, string>;
  readonly conflicts: readonly Conflict[];
}

/**
 * The host ID of every host NQN that the controllers name. What two lines say differently, the first
 * one decides; the host's own identity (undefined: it is not known) goes before all of them.
 */
function assignHostIds(
  controllers: readonly ConfiguredController[],
  own: OwnIdentity | undefined,
): HostIds {
  const conflicts: Conflict[] = [];
  const byNqn = new Map<string, Owner>();
  const byId = new Map<string, Owner>();
  const assign = (owner: Owner): void => {
    byNqn.set(owner.hostnqn, owner);
    byId.set(owner.hostid.toLowerCase(), owner);
  };
  if (own !== undefined) assign({ hostnqn: own.hostnqn, hostid: own.hostid, place: undefined });

  for (const controller of controllers) {
    const hostid = controller.hostId;
    const hostnqn = controller.tid.hostNqn === '' ? own?.hostnqn : controller.tid.hostNqn;
    if (hostid === '' || hostnqn === undefined) continue;
    const named = byNqn.get(hostnqn);
    const taken = byId.get(hostid.toLowerCase());
    if (named !== undefined) {
      if (named !== taken) conflicts.push({ kind: 'other-id', controller, owner: named });
    } else if (taken !== undefined) {
      conflicts.push({ kind: 'other-nqn', controller, owner: taken });
    } else {
      assign({ hostnqn, hostid, place: controller });
    }
  }

  // What is named goes first, wherever it stands: then what is made avoids it.
  for (const { tid } of controllers) {
    const hostnqn = tid.hostNqn;
    if (hostnqn === '' || byNqn.has(hostnqn)) continue;
    let hostid = hostIdOfNqn(hostnqn);
    for (let name = hostnqn; byId.has(hostid); name += ' ') hostid = namedUuid(name);
    assign({ hostnqn, hostid, place: undefined });
  }
  const others = [...byNqn].filter(([hostnqn]) => hostnqn !== own?.hostnqn);
  return { ids: new Map(others.map(([hostnqn, { hostid }]) => [hostnqn, hostid])), conflicts };
}

function problemOf(
  { file, line }: Place,
  rest: Pick<Problem, 'value' | 'message' | 'effect'>,
): Problem {
  return {
    file,
    line,
    section: CONTROLLERS,
    key: 'controller',
    severity: 'error',
    allowed: 'one host-id for a host-nqn, one host-nqn for a host-id',
    ...rest,
  };
}

function ownerText({ place }: Owner, from: string): string {
  return place === undefined ? "this host's own identity" : placeText(place, from);
}

/** The configuration with the host ID that each controller is to be connected with. */
export function withHostIds(
  config: ServiceConfig,
  own: OwnIdentity | undefined,
): { readonly config: ServiceConfig; readonly problems: readonly Problem[] } {
  const { conflicts, ids } = assignHostIds(config.controllers, own);
  const controllers = config.controllers.map((controller) =>
    Object.freeze({ ...controller, hostId: ids.get(controller.tid.hostNqn) ?? '' }),
  );
  const problems = conflicts.map(({ controller, kind, owner }) => {
    const value = `host-id=${controller.hostId}`;
    const by = ownerText(owner, controller.file);
    return kind === 'other-id'
      ? problemOf(controller, {
          value,
          message: `is not the host ID that ${by} has for the same host NQN`,
          effect: `${owner.hostid} is used`,
        })
      : problemOf(controller, {
          value,
          message: `is the host ID that ${by} has for another host NQN`,
          effect: 'one that is made of the host NQN is used',
        });
  });
  return {
    config: Object.freeze({ ...config, controllers: Object.freeze(controllers) }),
    problems,
  };
}

/**
 * What two configurations that are both in their {@link withHostIds} form say differently, if both
 * daemons run with them.
 */
export function hostIdConflicts(
  first: ServiceConfig,
  second: ServiceConfig,
  own: OwnIdentity | undefined,
): readonly Problem[] {
  const { conflicts } = assignHostIds([...first.controllers, ...second.controllers], own);
  return conflicts.map(({ controller, kind, owner }) => {
    const by = ownerText(owner, controller.file);
    const effect = 'the kernel refuses whichever is connected later';
    return kind === 'other-id'
      ? problemOf(controller, {
          value: printableValue(`host-nqn=${controller.tid.hostNqn}`),
          message: `is connected with host ID ${controller.hostId}, and in ${by} with ${owner.hostid}`,
          effect,
        })
      : problemOf(controller, {
          value: `host-id=${controller.hostId}`,
          message: `is connected with another host NQN in ${by}`,
          effect,
        });
  });
}
