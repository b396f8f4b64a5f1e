/** Why the virtual machine could not do what was asked. */
export type VmErrorCode =
  /** A program or package that the machine needs is not installed on this host. */
  | 'missing-program'
  /** The disk image could not be built. */
  | 'build-failed'
  /** The machine did not come up, after all tries. */
  | 'boot-failed'
  /** The machine ended (or was stopped) while something was asked of it. */
  | 'died'
  /** A command in the machine ran longer than its time limit, and was killed. */
  | 'timeout'
  /** A command in the machine exited with a status other than 0. */
  | 'command-failed'
  /** The guest agent or QEMU refused a request. */
  | 'refused';

/** Every failure of the virtual machine and its tools; `message` is fit to be shown as it is. */
export class VmError extends Error {
  readonly code: VmErrorCode;

  constructor(code: VmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'VmError';
    this.code = code;
  }
}
