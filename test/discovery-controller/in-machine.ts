/**
 * Runs the simulated controllers inside a virtual machine, for tests outside of it.
 *
 * Invariants: one systemd unit a process, so that nothing of it survives `stop`; a request goes
 * through perl in the machine, as starting Node there costs more than a second.
 */
import client from './dc-control.sh';
import { ControlError } from './control-client.ts';
import { isObject, without } from './json.ts';
import type { JsonObject } from './json.ts';

/** What is needed of a machine; test/vm's has it. */
export interface Guest {
  sh(
    command: string,
    options?: { readonly timeoutMs?: number; readonly stdin?: string },
  ): Promise<string>;
  exec(
    command: string,
    options?: { readonly timeoutMs?: number; readonly stdin?: string },
  ): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>;
  writeFile(path: string, data: string, options?: { mode?: number }): Promise<void>;
}

export interface StartOptions {
  /** The program: main.ts, bundled by esbuild to one CommonJS file. */
  readonly bundle: string;
  /** The configuration file's content. */
  readonly config: JsonObject;
  /** Name of the systemd unit, for several processes in one machine. */
  readonly unit?: string;
}

const FOLDER = '/run/discovery-controller';

export class MachineControllers {
  readonly #guest: Guest;
  readonly #unit: string;
  readonly #socket: string;

  private constructor(guest: Guest, unit: string) {
    this.#guest = guest;
    this.#unit = unit;
    this.#socket = `${FOLDER}/${unit}.sock`;
  }

  /** Copies the program into the machine, starts it, and waits until it listens. */
  static async start(guest: Guest, options: StartOptions): Promise<MachineControllers> {
    const unit = options.unit ?? 'discovery-controller';
    const started = new MachineControllers(guest, unit);
    await guest.writeFile(`${FOLDER}/main.cjs`, options.bundle);
    await guest.writeFile(`${FOLDER}/dc-control.sh`, client, { mode: 0o755 });
    await guest.writeFile(`${FOLDER}/${unit}.json`, JSON.stringify(options.config));
    const program = `node ${FOLDER}/main.cjs --config ${FOLDER}/${unit}.json`;
    await guest.sh(
      `systemd-run --quiet --unit ${unit} ${program} --control ${started.#socket}
       tries=0
       until [ -S ${started.#socket} ]; do
         tries=$((tries+1))
         [ $tries -lt 300 ] && systemctl -q is-active ${unit} || { journalctl -u ${unit} >&2; exit 1; }
         sleep 0.1
       done`,
    );
    return started;
  }

  /** One request; see README.md for the operations. @throws ControlError */
  async request(op: string, parameters: JsonObject = {}): Promise<JsonObject> {
    const [reply] = await this.batch([{ ...parameters, op }]);
    return reply ?? {};
  }

  /** Several requests with one visit to the machine, in order. @throws ControlError */
  async batch(requests: readonly JsonObject[]): Promise<JsonObject[]> {
    const waits = requests.map(({ timeoutMs }) => (typeof timeoutMs === 'number' ? timeoutMs : 0));
    const { stdout, stderr } = await this.#guest.exec(`${FOLDER}/dc-control.sh ${this.#socket}`, {
      stdin: requests.map((request) => `${JSON.stringify(request)}\n`).join(''),
      timeoutMs: 60_000 + Math.max(0, ...waits),
    });
    const replies = stdout.split('\n').filter((line) => line !== '');
    if (replies.length !== requests.length) throw new ControlError('disconnected', stderr.trim());
    return replies.map((line) => {
      const reply: unknown = JSON.parse(line);
      if (isObject(reply) && reply['ok'] === true) return without(reply, ['ok']);
      const error = isObject(reply) && isObject(reply['error']) ? reply['error'] : {};
      throw new ControlError(String(error['code']), String(error['message']));
    });
  }

  /** The recorded commands that match, taken from the record unless `keep` is set. */
  async commands(filter: JsonObject = {}): Promise<JsonObject[]> {
    const { commands } = await this.request('get-commands', filter);
    return Array.isArray(commands) ? (commands as unknown[]).filter(isObject) : [];
  }

  /** Waits in the machine until enough commands came; see the operation `wait-commands`. */
  async waitFor(filter: JsonObject): Promise<JsonObject[]> {
    const { commands } = await this.request('wait-commands', filter);
    return Array.isArray(commands) ? (commands as unknown[]).filter(isObject) : [];
  }

  /** Ends the process and with it every controller. */
  async stop(): Promise<void> {
    await this.#guest.sh(`systemctl stop ${this.#unit}`);
  }
}
