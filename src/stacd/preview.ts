/** What stacd adds to the preview of a reload: connections of others, what stafd says. Pure. */
import type {
  ControllerDict,
  PreviewedActions,
  PreviewedRemove,
  PreviewNote,
} from '../core/reload-preview.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { tidKey, type TidKey } from '../nvme/transport-id.ts';
import { withHold } from '../runtime/reload-preview.ts';
import { UNWANTED, type Audit } from './audit.ts';
import type { StacdSnapshot } from './plan.ts';

/** As if stafd had removed these DCs. */
export function withoutDcs(picture: StacdSnapshot, removed: ReadonlySet<TidKey>): StacdSnapshot {
  const { discovery } = picture;
  if (discovery.kind === 'unknown' || removed.size === 0) return picture;
  const { value } = discovery;
  return {
    ...picture,
    discovery: {
      kind: 'known',
      value: {
        ...value,
        controllers: value.controllers.filter(({ tid }) => !removed.has(tidKey(tid))),
        removed: new Map([
          ...value.removed,
          ...[...removed].map((key) => [key, BY_SETTING] as const),
        ]),
      },
    },
  };
}

/** Adds what the audit drops of others, except for what is `held`, and what cannot be told before. */
export function withAudit(
  preview: PreviewedActions,
  { discovery }: Pick<StacdSnapshot, 'discovery'>,
  audit: Audit,
  held: ReadonlyMap<string, string>,
): PreviewedActions {
  const notes: PreviewNote[] = [...preview.notes];
  if (discovery.kind === 'unknown') {
    notes.push({ kind: 'open', about: 'what discovery logs list', why: discovery.why });
  }
  switch (audit.kind) {
    case 'done':
      return {
        ...preview,
        remove: [
          ...preview.remove,
          ...audit.unwanted.map((it) => withHold(drop(it.kernel), held.get(it.kernel.instance))),
        ],
        notes,
      };
    case 'later': {
      const why = 'looked at when everything is known and no connect is under way';
      return {
        ...preview,
        notes: [...notes, { kind: 'open', about: 'connections that nothing asks for', why }],
      };
    }
  }
}

function drop(kernel: KernelController): PreviewedRemove {
  const controller: ControllerDict = {
    transport: kernel.transport,
    traddr: kernel.traddr,
    trsvcid: kernel.trsvcid,
    subsysnqn: kernel.subsysnqn,
    'host-traddr': kernel.hostTraddr,
    'host-iface': kernel.hostIface,
    'host-nqn': kernel.hostnqn,
    device: kernel.device,
  };
  return { controller, why: UNWANTED, connection: 'disconnected', follows: false };
}
