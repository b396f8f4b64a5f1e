import { PortError } from '../ports/errors.ts';
import type { ConnectPlan } from './connect-plan.ts';
import { errnoError, knownErrno, WORDS_WITH_KEY } from './errors.ts';
import { writeMembers } from './layouts.ts';
import type { Libc } from './libc.ts';
import type { Libnvme } from './libnvme.ts';
import { errnoInMessages, withRoot } from './log-root.ts';
import { callAsync, lastErrno } from './native.ts';
import type { CallResult, Pointer } from './native.ts';

export interface NativeApi {
  readonly libnvme: Libnvme;
  readonly libc: Libc;
}

const DOING = 'connect';

function notNull(pointer: Pointer | null): Pointer {
  if (pointer === null) throw errnoError(DOING, lastErrno());
  return pointer;
}

/** The bytes of `struct nvme_fabrics_config` for a plan: libnvme's defaults with its values. */
export function fabricsConfigBytes(
  libnvme: Pick<Libnvme, 'abi' | 'defaultConfig' | 'fabricsConfig'>,
  values: ConnectPlan['config'],
): Uint8Array {
  const bytes = new Uint8Array(libnvme.fabricsConfig.size);
  libnvme.defaultConfig(bytes);
  writeMembers(bytes, libnvme.fabricsConfig, values, libnvme.abi);
  return bytes;
}

/**
 * Makes the connection, in one call to libnvme: it writes the options to /dev/nvme-fabrics, reads
 * the new controller's number and looks it up in sysfs.
 *
 * If that look-up fails, the controller exists all the same (or did): the error is `retry`, and
 * whoever tries again finds it in sysfs first.
 *
 * @returns the device's name, e.g. `nvme3`.
 */
export function connectController(api: NativeApi, plan: ConnectPlan): Promise<string> {
  const { libnvme, libc } = api;
  return withRoot(api, DOING, async (root) => {
    const host = notNull(libnvme.lookupHost(root.pointer, plan.hostnqn, plan.hostid));
    if (plan.hostKey !== undefined) libnvme.optional.setHostKey?.(host, plan.hostKey.reveal());
    const ctrl = notNull(
      libnvme.createCtrl(
        root.pointer,
        plan.subsysnqn,
        plan.transport,
        plan.traddr,
        plan.hostTraddr,
        plan.hostIface,
        plan.trsvcid,
      ),
    );
    try {
      libnvme.setDiscoveryCtrl(ctrl, plan.discovery);
      if (plan.controllerKey !== undefined) {
        libnvme.optional.setCtrlKey?.(ctrl, plan.controllerKey.reveal());
      }
      const config = fabricsConfigBytes(libnvme, plan.config);
      const outcome = await callAsync(libnvme.addCtrl, host, ctrl, config);
      if (outcome.result !== 0) {
        throw connectError(outcome, root.messages(), libc, plan.hostKey !== undefined);
      }
      const name = libnvme.ctrlName(ctrl);
      if (name === null) throw errnoError(DOING, NO_NAME);
      return name;
    } finally {
      libnvme.freeCtrl(ctrl);
    }
  });
}

/** ENVME_CONNECT_OPEN, _WRITE and _INVAL_TR of libnvme: see errors.ts for all of them. */
const OPEN_FAILED = 1005;
const WRITE_FAILED = 1006;
const NO_NAME = 1009;

/** libnvme 1.0 to 1.2 return some of their numbers negated instead of setting errno. */
function connectError(
  outcome: CallResult<number>,
  messages: string,
  libc: Libc,
  withKey: boolean,
): PortError {
  const words = withKey ? WORDS_WITH_KEY : undefined;
  const number = outcome.result < -1 ? -outcome.result : outcome.errno;
  if (knownErrno(number) !== undefined) return errnoError(DOING, number, words);
  const errno = errnoInMessages(messages, libc.strerror);
  switch (number) {
    case OPEN_FAILED:
      return errno === undefined || errno === ENOENT || errno === ENODEV || errno === ENXIO
        ? noFabrics()
        : errnoError(`${DOING}: opening /dev/nvme-fabrics`, errno);
    case WRITE_FAILED:
      return errnoError(DOING, errno ?? number, words);
    default:
      return errnoError(DOING, number);
  }
}

const ENOENT = 2;
const ENXIO = 6;
const ENODEV = 19;

/** The kernel has no NVMe over Fabrics: code `NO_FABRICS`. */
export function noFabrics(): PortError {
  return new PortError('no /dev/nvme-fabrics: is the kernel module nvme-fabrics loaded?', {
    code: 'NO_FABRICS',
    errorClass: 'retry',
  });
}
