/** A controller that the kernel has, as sysfs shows it. Strings are empty where sysfs has none. */
export interface KernelController {
  /** `nvme3` */
  readonly device: string;
  /**
   * Tells this device from a later one of the same name: the inode of its sysfs directory, which
   * is never used twice while the system runs.
   */
  readonly instance: string;
  /** `pcie` for local controllers, which are never candidates for anything. */
  readonly transport: string;
  readonly traddr: string;
  readonly trsvcid: string;
  readonly hostTraddr: string;
  readonly hostIface: string;
  /** The connection's own source address (kernel 6.1+, tcp). Changes with a reconnect. */
  readonly srcAddr: string;
  readonly subsysnqn: string;
  readonly hostnqn: string;
  readonly hostid: string;
  /** `io`, `discovery`, `admin`, `reserved`; empty before kernel 5.18. */
  readonly cntrltype: string;
  /** `none`, `ddc`, `cdc`, `reserved`; empty before kernel 5.18. */
  readonly dctype: string;
  readonly model: string;
  readonly serial: string;
  readonly cntlid: string;
  /** `live`, `connecting`, `resetting`, `new`, `deleting`, `deleting (no IO)`, `dead`. */
  readonly state: string;
  /** Whether it has namespaces or paths below it. */
  readonly hasChildren: boolean;
}

/** Whether its end has begun: nobody can hold it any more. */
export function isLeaving({ state }: KernelController): boolean {
  return state.startsWith('deleting') || state === 'dead';
}
