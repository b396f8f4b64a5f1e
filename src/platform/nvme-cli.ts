/**
 * Getting along with nvme-cli: while stafd runs, nvme-cli's udev rules for discovery events are
 * overridden, and for discovery controllers that are not stafd's it does what they would have done.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, rm } from 'node:fs/promises';
import rules from '../../udev/70-nvmf-autoconnect.rules';
import type { Log } from '../ports/log.ts';
import { replaceFile } from './atomic-file.ts';

const RULES_DIRECTORY = '/run/udev/rules.d';
const OVERRIDE = `${RULES_DIRECTORY}/70-nvmf-autoconnect.rules`;

/** Milliseconds that systemctl may take to hand its job over. */
const SYSTEMCTL_LIMIT = 30_000;

/** Runs systemctl; calls back once, with why it failed, if it did. */
export type Systemctl = (
  args: readonly string[],
  callback: (why: string | undefined) => void,
) => void;

const systemctl: Systemctl = (args, callback) => {
  try {
    execFile('systemctl', args, { timeout: SYSTEMCTL_LIMIT }, (error) => {
      callback(error?.message);
    });
  } catch (thrown) {
    // No memory for a process, say: most failures come by the callback.
    callback(String(thrown));
  }
};

/** udevd reads its folders anew by itself when it handles the next event. */
export class NvmeCliInterplay {
  readonly #log: Log;
  readonly #systemctl: Systemctl;
  /** Units that systemctl is at work on; true: asked for once more meanwhile. */
  readonly #underWay = new Map<string, boolean>();

  /** `run` is for tests. */
  constructor(log: Log, run: Systemctl = systemctl) {
    this.#log = log;
    this.#systemctl = run;
  }

  /** Puts the override in place; a failure is logged and disturbs nothing else. */
  async override(): Promise<void> {
    try {
      const made = await mkdir(RULES_DIRECTORY, { recursive: true });
      // The daemon's umask is for its own files; this folder is everybody's.
      if (made !== undefined) await chmod(RULES_DIRECTORY, 0o755);
      await replaceFile(OVERRIDE, rules, { mode: 0o644 });
    } catch (thrown) {
      this.#log.warning(`Cannot override nvme-cli's udev rules: ${String(thrown)}`);
    }
  }

  async restore(): Promise<void> {
    try {
      await rm(OVERRIDE, { force: true });
    } catch (thrown) {
      this.#log.warning(`Cannot remove ${OVERRIDE}: ${String(thrown)}`);
    }
  }

  /**
   * Starts nvme-cli's `nvme connect-all` for one discovery controller, as its rule does. However
   * many events a controller sends, one process runs for it, and one more after that.
   */
  connectAll(device: string, hostTraddr: string, hostIface: string): void {
    const unit = `nvmf-connect@${connectArguments(device, hostTraddr, hostIface)}.service`;
    if (this.#underWay.has(unit)) {
      this.#underWay.set(unit, true);
      return;
    }
    this.#log.debug(`${device} - is not managed here: starting ${unit}`);
    this.#restart(unit);
  }

  #restart(unit: string): void {
    this.#underWay.set(unit, false);
    this.#systemctl(['--quiet', '--no-block', 'restart', unit], (why) => {
      if (why !== undefined) this.#log.debug(`${unit} could not be started: ${why}`);
      const again = this.#underWay.get(unit) === true;
      this.#underWay.delete(unit);
      if (again) this.#restart(unit);
    });
  }
}

/** Options joined by tabs, in the escaping of unit names (systemd.unit(5)). */
export function connectArguments(device: string, hostTraddr: string, hostIface: string): string {
  const options = [
    `--device=${device}`,
    ...(isSet(hostTraddr) ? [`--host-traddr=${hostTraddr}`] : []),
    ...(isSet(hostIface) ? [`--host-iface=${hostIface}`] : []),
  ];
  return escapeUnitName(options.join('\t'));
}

function isSet(value: string): boolean {
  return value !== '' && value.toLowerCase() !== 'none';
}

/** What is not a letter, digit, `:`, `_`, `.` or `-` becomes `\x` and its code. */
function escapeUnitName(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[A-Za-z0-9:_.-]/.test(character)) return character;
      return `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}
