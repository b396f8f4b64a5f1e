/**
 * Which host ID goes with which host NQN. The kernel (6.5 and newer) refuses a connection whose host
 * NQN another connection has with another ID, or whose ID another has with another NQN; before, it
 * gave the connections of an NQN the ID of the last one. So what is written is brought into that
 * form when it is read, and what does not fit is reported then. Pure.
 */
import { namedUuid, sameHostId, uuidOfNqn } from '../nvme/host-id.ts';
import type { ConfiguredController } from './controller-entry.ts';
import { CONTROLLERS } from './option-table.ts';
import { placeText, type Place, type Problem } from './problem.ts';
import type { ServiceConfig } from './service-config.ts';

export interface OwnIdentity {
  readonly hostnqn: string;
  readonly hostid: string;
}

export interface HostIds {
  /** By host NQN, the host's own excepted. */
  readonly ids: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

interface Owner {
  readonly nqn: string;
  readonly id: string;
  /** The line that says so; undefined for the host's own identity, and for what nobody says. */
  readonly place: Place | undefined;
}

const ALLOWED = 'one host-id for a host-nqn, one host-nqn for a host-id';

/**
 * The host ID of every host NQN that the controllers name, of one configuration or of several that
 * apply at the same time. What two lines say differently, the first one decides; the host's own
 * identity (undefined: it is not known) goes before all of them.
 */
export function assignHostIds(
  controllers: readonly ConfiguredController[],
  own: OwnIdentity | undefined,
): HostIds {
  const problems: Problem[] = [];
  const byNqn = new Map<string, Owner>();
  const byId = new Map<string, Owner>();
  const add = (owner: Owner): void => {
    byNqn.set(owner.nqn, owner);
    byId.set(owner.id.toLowerCase(), owner);
  };
  const place = (owner: Owner, from: string): string =>
    owner.place === undefined ? "this host's own identity" : placeText(owner.place, from);

  if (own !== undefined) add({ nqn: own.hostnqn, id: own.hostid, place: undefined });
  const report = (controller: ConfiguredController, message: string, effect: string): void => {
    problems.push({
      file: controller.file,
      line: controller.line,
      section: CONTROLLERS,
      key: 'controller',
      value: `host-id=${controller.hostId}`,
      severity: 'error',
      message,
      allowed: ALLOWED,
      effect,
    });
  };

  for (const controller of controllers) {
    const { file, hostId, tid } = controller;
    if (hostId === '') continue;
    const nqn = tid.hostNqn === '' ? own?.hostnqn : tid.hostNqn;
    if (nqn === undefined) continue;
    const named = byNqn.get(nqn);
    if (named !== undefined) {
      if (sameHostId(named.id, hostId)) continue;
      const message = `is not the host ID that ${place(named, file)} has for the same host NQN`;
      report(controller, message, `${named.id} is used`);
      continue;
    }
    const taken = byId.get(hostId.toLowerCase());
    if (taken === undefined) {
      add({ nqn, id: hostId, place: controller });
    } else {
      const message = `is the host ID that ${place(taken, file)} has for another host NQN`;
      report(controller, message, 'one that is made of the host NQN is used');
    }
  }

  // What is named goes first, wherever it stands: then what is made avoids it.
  for (const { tid } of controllers) {
    const { hostNqn } = tid;
    if (hostNqn === '' || byNqn.has(hostNqn)) continue;
    const uuid = uuidOfNqn(hostNqn);
    const id = uuid === undefined || byId.has(uuid) ? namedUuid(hostNqn) : uuid;
    add({ nqn: hostNqn, id, place: undefined });
  }
  const ids = new Map([...byNqn].map(([nqn, { id }]) => [nqn, id]));
  if (own !== undefined) ids.delete(own.hostnqn);
  return { ids, problems };
}

/** The configuration with the host ID that each controller is to be connected with. */
export function withHostIds(
  config: ServiceConfig,
  own: OwnIdentity | undefined,
): { readonly config: ServiceConfig; readonly problems: readonly Problem[] } {
  const { ids, problems } = assignHostIds(config.controllers, own);
  const controllers = config.controllers.map((controller) =>
    Object.freeze({ ...controller, hostId: ids.get(controller.tid.hostNqn) ?? '' }),
  );
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
  const { problems } = assignHostIds([...first.controllers, ...second.controllers], own);
  const effect = 'the kernel refuses whichever is connected later';
  return problems.map((problem) => ({ ...problem, effect }));
}
