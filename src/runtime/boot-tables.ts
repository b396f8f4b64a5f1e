/**
 * The boot firmware tables (NBFT): the boot path, which is never disconnected, and the discovery
 * controllers that the firmware was given.
 *
 * Invariants:
 * - firmware does not change while the system runs: what was read once stays, whatever a later
 *   attempt finds;
 * - while not every table could be read whole, a connection is dropped only if this process made it,
 *   and to a subsystem to which there was no connection before its first own one;
 * - each line is logged once.
 */
import {
  bootAnswer,
  bootControllers,
  bootHostNqn,
  type BootControllers,
} from '../core/boot-controllers.ts';
import { bootClaim, bootPathOf, type BootPath, type BootTable } from '../core/boot-path.ts';
import { isIoController } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { parseNbft } from '../nvme/nbft.ts';
import type { NbftTable } from '../nvme/nbft-table.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { BootFirmware, BootTableFile } from '../ports/boot-firmware.ts';
import { toPortError } from '../ports/errors.ts';
import type { HostIdentity } from '../ports/fabrics.ts';
import type { Interfaces } from '../ports/host.ts';
import type { Log, LogFields } from '../ports/log.ts';
import type { ConfiguredAnswer, ConfiguredRules } from './configured-controllers.ts';
import type { KernelSnapshot } from './kernel-index.ts';
import { controllerFields } from './reports.ts';

/** Stands for all tables if their directory cannot be read. */
const ALL = 'the list of boot firmware tables';
/** Of a kind of thing, so many are named in a line. */
const NAMED_IN_LINE = 8;

export interface BootTablesDeps {
  readonly bootFirmware: BootFirmware;
  readonly interfaces: Interfaces;
  readonly log: Log;
}

export class BootTables {
  readonly #deps: BootTablesDeps;
  readonly #tables = new Map<string, BootTable>();
  readonly #controllers = new Map<string, BootControllers>();
  readonly #said = new Set<string>();
  #path: BootPath = bootPathOf([]);
  #listed = false;
  /** Subsystems that were connected before this process connected anything. */
  #connectedBefore: ReadonlySet<string> | undefined;

  constructor(deps: BootTablesDeps) {
    this.#deps = deps;
  }

  /** Reads the tables that were not read yet. */
  read(host: HostIdentity): void {
    for (const file of this.#files()) {
      if (this.#tables.get(file.name)?.content.kind === 'read') continue;
      const table = readTable(file);
      this.#tables.set(file.name, table);
      if (table.content.kind === 'read') {
        this.#controllers.set(file.name, bootControllers(file.name, table.content.table));
      }
    }
    this.#path = bootPathOf([...this.#tables.values()]);
    this.#report(host);
  }

  /** To be told of the first picture of the kernel, before anything is connected. */
  observe(kernel: KernelSnapshot): void {
    this.#connectedBefore ??= new Set(
      [...kernel.values()].filter(isIoController).map(({ subsysnqn }) => subsysnqn),
    );
  }

  /**
   * Why a connection must not be dropped, as words that continue "it is …"; undefined if it may.
   * `own`: this process made it.
   */
  claim(kernel: KernelController, own: boolean): string | undefined {
    const claim = bootClaim(this.#path, kernel);
    if (claim === undefined) return undefined;
    if (claim.kind === 'named') return `the boot path (${claim.why})`;
    const before = isIoController(kernel) && (this.#connectedBefore?.has(kernel.subsysnqn) ?? true);
    return own && !before ? undefined : `perhaps the boot path (${claim.why})`;
  }

  /** The discovery controllers of all tables. */
  list(rules: ConfiguredRules): readonly ConfiguredAnswer[] {
    const { interfaces } = this.#deps;
    return [...this.#controllers.values()].flatMap(({ controllers }) =>
      controllers.map((controller) => {
        const { source, tid } = controller;
        const answer = bootAnswer(controller, interfaces, rules);
        const hostId = this.hostId(tid.hostNqn) ?? '';
        return { source, place: undefined, tid, options: {}, hostId, answer };
      }),
    );
  }

  /** Says which of them wait for their interface. */
  sayWaiting(rules: ConfiguredRules): void {
    for (const { answer, tid } of this.list(rules)) {
      if (answer.kind === 'known') continue;
      this.#say(`${printTid(tid)} - Waits: ${answer.why}`, controllerFields(tid));
    }
  }

  /** Why there may be discovery controllers that `list` does not give; undefined if not. */
  get doubt(): string | undefined {
    return this.#path.discoveryDoubt;
  }

  /**
   * The host ID that goes with a host NQN of the tables. The kernel refuses a connection with
   * another one while there is one with this pair.
   */
  hostId(hostNqn: string): string | undefined {
    if (hostNqn === '') return undefined;
    for (const table of this.#readTables().values()) {
      const { host } = table;
      if (bootHostNqn(table) === hostNqn && host !== undefined && host.id !== '') return host.id;
    }
    return undefined;
  }

  /** For process_info. */
  describe(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.#tables.values()].map(({ content, name }): readonly [string, unknown] => {
        if (content.kind === 'unreadable') return [name, { unreadable: content.why }];
        const { discoveries, host, hfis, subsystems } = content.table;
        return [
          name,
          {
            'host nqn': host?.nqn ?? null,
            'host id': host?.id ?? null,
            'host nqn configured': host?.nqnConfigured ?? false,
            interfaces: hfis.map(({ address, index, mac, vlan }) => ({
              index,
              mac,
              vlan,
              address,
            })),
            'discovery controllers': discoveries.map(({ hfi, index, nqn, uri }) => ({
              ...{ index, uri, nqn, hfi },
            })),
            subsystems: subsystems.map(
              ({ index, nqn, traddr, transport, trsvcid, unavailable }) => ({
                ...{ index, transport, traddr, trsvcid, nqn, unavailable },
              }),
            ),
            skipped: this.#skipped(name, content.table),
          },
        ];
      }),
    );
  }

  #files(): readonly BootTableFile[] {
    try {
      const files = this.#deps.bootFirmware.bootTables();
      this.#listed = true;
      this.#tables.delete(ALL);
      return files;
    } catch (thrown) {
      return this.#listed ? [] : [{ name: ALL, error: toPortError(thrown) }];
    }
  }

  #readTables(): ReadonlyMap<string, NbftTable> {
    const tables = new Map<string, NbftTable>();
    for (const { content, name } of this.#tables.values()) {
      if (content.kind === 'read') tables.set(name, content.table);
    }
    return tables;
  }

  #skipped(name: string, table: NbftTable): readonly string[] {
    return [
      ...table.problems.map(
        ({ part, place, reason }) => `${part}${place === 0 ? '' : ` ${String(place)}`}: ${reason}`,
      ),
      ...(this.#controllers.get(name)?.skipped ?? []),
    ];
  }

  #report(host: HostIdentity): void {
    for (const { content, name } of this.#tables.values()) {
      if (content.kind === 'unreadable') {
        this.#warn(
          `Cannot read ${name}: ${content.why}. What is the boot path is not known: of the connections to a subsystem, those made before now or by others stay`,
        );
        continue;
      }
      const { table } = content;
      const skipped = this.#skipped(name, table);
      if (skipped.length > 0) this.#warn(`${name} is used in part: ${some(skipped, '; ')}`);
      this.#reportHost(name, table, host);
      const nqns = new Set(table.subsystems.map(({ nqn }) => nqn).filter((nqn) => nqn !== ''));
      const dcs = this.#controllers.get(name)?.controllers ?? [];
      const boot = [
        ...(nqns.size === 0 ? [] : [`connections to ${some([...nqns])}`]),
        ...(dcs.length === 0
          ? []
          : [`discovery controllers ${some([...new Set(dcs.map(({ tid }) => printTid(tid)))])}`]),
      ];
      this.#say(
        `Boot firmware table ${name} read. Never disconnected: ${boot.length === 0 ? 'nothing' : boot.join('; ')}`,
      );
    }
  }

  #reportHost(name: string, table: NbftTable, own: HostIdentity): void {
    const { host } = table;
    if (host === undefined || host.id === '' || host.nqn === '') return;
    const sameId = host.id === own.hostid.toLowerCase();
    const sameNqn = host.nqn === own.hostnqn;
    if (sameId === sameNqn) return;
    const what = sameId
      ? `the host NQN ${host.nqn} with this host's ID`
      : `the host ID ${host.id} with this host's NQN`;
    this.#warn(
      `${name} has ${what}: the kernel refuses connections by the one while there are connections by the other`,
    );
  }

  #warn(line: string): void {
    if (!this.#said.has(line)) this.#deps.log.warning(line);
    this.#said.add(line);
  }

  #say(line: string, fields?: LogFields): void {
    if (!this.#said.has(line)) this.#deps.log.notice(line, fields);
    this.#said.add(line);
  }
}

function readTable(file: BootTableFile): BootTable {
  const { name } = file;
  if (file.error !== undefined) {
    return { name, content: { kind: 'unreadable', why: file.error.message } };
  }
  try {
    return { name, content: { kind: 'read', table: parseNbft(file.bytes) } };
  } catch (thrown) {
    return { name, content: { kind: 'unreadable', why: toPortError(thrown).message } };
  }
}

function some(texts: readonly string[], separator = ', '): string {
  const more = texts.length - NAMED_IN_LINE;
  const named = texts.slice(0, NAMED_IN_LINE).join(separator);
  return more > 0 ? `${named} and ${String(more)} more` : named;
}
