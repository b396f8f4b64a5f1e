/** What scenarios about stafd share: several simulated DCs, what they received, what stafd knows. */
import type { Dict, KernelView, Lab } from './lab.ts';
import { liveDc, PATIENCE_MS } from './lab.ts';

export const WELL_KNOWN_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

/** A record of a simulated DC; see test/discovery-controller/README.md. */
export type DcCommand = Readonly<Record<string, unknown>>;

/** stafd's answer about one DC (org.nvmexpress.staf.v1). */
export interface KnownDc {
  readonly 'discovery-controller': Dict;
  readonly log:
    | { readonly state: 'known'; readonly generation: string; readonly fresh: boolean }
    | { readonly state: 'unknown'; readonly why: string };
  readonly 'log-pages': readonly Dict[];
}

/** A `controller=` line for the simulated DC on this port. */
export function dcLine(port: number, ...fields: readonly string[]): string {
  return ['transport=tcp', 'traddr=127.0.0.1', `trsvcid=${String(port)}`, ...fields].join(';');
}

/** A log entry that refers to the DC on this port. */
export function referral(
  id: string,
  port: number,
  subnqn = WELL_KNOWN_NQN,
): Readonly<Record<string, unknown>> {
  return { id, subtype: 'referral', traddr: '127.0.0.1', trsvcid: String(port), subnqn };
}

/** The recorded commands that match, which are then gone from the record. */
export async function commandsOf(lab: Lab, filter: DcCommand): Promise<readonly DcCommand[]> {
  return (await lab.dc({ op: 'get-commands', ...filter }))['commands'] as readonly DcCommand[];
}

/** What stafd says of all DCs, by the port in their TID. */
export async function knownDcs(lab: Lab): Promise<ReadonlyMap<string, KnownDc>> {
  const text = await lab.machine.sh(
    'busctl call --json=short org.nvmexpress.staf /org/nvmexpress/staf org.nvmexpress.staf.v1 get_discovery_state',
  );
  const reply = JSON.parse(text) as { readonly data: readonly [string] };
  const state = JSON.parse(reply.data[0]) as { readonly controllers: readonly KnownDc[] };
  return new Map(state.controllers.map((dc) => [dc['discovery-controller']['trsvcid'] ?? '', dc]));
}

/** Asks stafd until its answer fulfils a condition, and returns it. */
export async function knownDcsUntil(
  lab: Lab,
  what: string,
  condition: (dcs: ReadonlyMap<string, KnownDc>) => boolean,
  timeoutMs = PATIENCE_MS,
): Promise<ReadonlyMap<string, KnownDc>> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const dcs = await knownDcs(lab);
    if (condition(dcs)) return dcs;
    if (Date.now() > end) {
      const seen = [...dcs.entries()].map(([port, { log, 'log-pages': pages }]) =>
        [port, JSON.stringify(log), String(pages.length)].join(' '),
      );
      throw new Error(
        `stafd does not have ${what}:\n${seen.join('\n')}\n${await lab.journal('stafd')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** The ports of the live DC connections, in order. */
export function dcPorts(controllers: readonly KernelView[]): readonly string[] {
  return liveDc(controllers)
    .map(({ address }) => /trsvcid=([0-9]+)/.exec(address ?? '')?.[1] ?? '')
    .sort();
}

/** The live DC connection to this port. */
export function dcAt(controllers: readonly KernelView[], port: number): KernelView | undefined {
  return liveDc(controllers).find(({ address }) =>
    (address ?? '').includes(`trsvcid=${String(port)},`),
  );
}
