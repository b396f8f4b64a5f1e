/** What scenarios do with the Python original (test/vm/peer.ts) in the machine. */
import { readFile } from 'node:fs/promises';
import { PEER, PEER_MODULES } from '../vm/peer.ts';
import { GUEST, PATIENCE_MS, type Lab } from './lab.ts';

/** What a command of the original came to. */
export interface CommandResult {
  readonly status: number;
  /** A value, where it printed a Python literal. */
  readonly printed: unknown;
}

/** The unit of one of the original's daemons. */
export type OriginalUnit = 'original-stafd' | 'original-stacd';

/**
 * Starts a daemon of the original, which then owns its name on the bus; it remembers nothing of an
 * earlier run. (Its unit must not say so: systemd refuses a second unit for a bus name.)
 */
export async function startOriginal(
  { machine }: Lab,
  daemon: 'stafd' | 'stacd',
  configuration: string,
  ...properties: readonly string[]
): Promise<OriginalUnit> {
  const unit = `original-${daemon}` as const;
  const file = `/run/${unit}.conf`;
  await machine.writeFile(file, configuration);
  const settings = [`RuntimeDirectory=${unit}`, ...properties];
  await machine.sh(
    [
      `systemd-run --quiet --unit=${unit} --setenv=PYTHONPATH=${PEER_MODULES}`,
      ...settings.map((setting) => `-p ${setting}`),
      `/usr/bin/python3 ${PEER}/usr/sbin/${daemon} --syslog -f ${file}`,
    ].join(' '),
  );
  return unit;
}

export async function stopOriginal({ machine }: Lab, unit: OriginalUnit): Promise<void> {
  await machine.exec(`systemctl stop ${unit}; systemctl reset-failed ${unit}`);
}

/** Waits until the original's stafd says this many entries of each of its discovery controllers. */
export async function originalLogs({ machine }: Lab, counts: readonly number[]): Promise<void> {
  const ask =
    'busctl call --auto-start=no --json=short org.nvmexpress.staf /org/nvmexpress/staf org.nvmexpress.staf get_all_log_pages b false';
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const { status, stderr, stdout } = await machine.exec(ask);
    const text = status === 0 ? (JSON.parse(stdout) as { data: [string] }).data[0] : '[]';
    const logs = JSON.parse(text) as readonly { readonly 'log-pages': readonly unknown[] }[];
    const said = logs.map((log) => log['log-pages'].length);
    if (status === 0 && said.join() === counts.join()) return;
    if (Date.now() > end) throw new Error(`the original's stafd says ${text} ${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** Runs commands of the original: their lines, and what they came to. */
export async function originalCommands(
  { machine }: Lab,
  commands: readonly string[],
): Promise<ReadonlyMap<string, CommandResult>> {
  const program = `${GUEST}/original-commands.py`;
  await machine.writeFile(
    program,
    await readFile(new URL('guest/original-commands.py', import.meta.url)),
  );
  const lines = commands.map((command) => {
    const [name = '', ...args] = command.split(' ');
    return [`${PEER}/usr/bin/${name}`, ...args];
  });
  const output = await machine.sh(`PYTHONPATH=${PEER_MODULES} python3 ${program}`, {
    stdin: JSON.stringify(lines),
    timeoutMs: PATIENCE_MS,
  });
  const results = JSON.parse(output) as readonly CommandResult[];
  return new Map(results.map((result, index) => [commands[index] ?? '', result]));
}
