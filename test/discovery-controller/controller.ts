/**
 * One simulated discovery controller: what it is, what its log page says, who is connected.
 * (The specification calls each association's end a controller of its own; here the word means the
 * discovery service that a test scripts, which gives every association its controller ID.)
 *
 * Invariants: entry ids are unique; every change of the entries moves the generation counter,
 * unless the script says not to; a log page is made of one state, never of two.
 */
import type { Association } from './association.ts';
import type { DimData } from './dim.ts';
import { DimTask } from './dim.ts';
import { readEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { Faults } from './faults.ts';
import { InputError } from './json.ts';
import type { JsonObject } from './json.ts';
import { discoveryLog } from './log-pages.ts';
import { Recorder } from './recorder.ts';
import { readSettings, WELL_KNOWN_NQN } from './settings.ts';
import type { ControllerConfig, ScriptedSettings, Settings } from './settings.ts';

export interface ChangeOptions {
  /** Move the generation counter. */
  readonly bump: boolean;
  /** Tell connected hosts. */
  readonly aen: boolean;
}

export class DiscoveryController {
  readonly name: string;
  readonly faults = new Faults();
  readonly recorder: Recorder;
  readonly registrations = new Map<string, DimData>();
  readonly #associations = new Set<Association>();
  readonly #logs = new Map<string, Buffer>();
  #scripted: ScriptedSettings;
  #entries: readonly Entry[] = [];
  #generation = 1n;
  #entriesMade = 0;

  /** @throws InputError if an entry of the configuration is wrong. */
  constructor(config: ControllerConfig) {
    this.name = config.name;
    this.recorder = new Recorder(config.recordLimit);
    this.#scripted = config.settings;
    this.#entries = this.#read(config.entries, []);
  }

  get settings(): Settings {
    return this.#scripted.settings;
  }

  get settingsSource(): JsonObject {
    return this.#scripted.source;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get generation(): bigint {
    return this.#generation;
  }

  get associations(): ReadonlySet<Association> {
    return this.#associations;
  }

  attach(association: Association): void {
    this.#associations.add(association);
  }

  detach(association: Association): void {
    this.#associations.delete(association);
  }

  /** Whether a host may connect with this subsystem NQN (TP8013: the well-known or a unique one). */
  answersTo(subnqn: string): boolean {
    return (
      subnqn === this.settings.subnqn || (this.settings.wellKnown && subnqn === WELL_KNOWN_NQN)
    );
  }

  /** Lays `change` over the settings; applies from the next command on. @throws InputError */
  change(change: unknown, path: string): void {
    this.#scripted = readSettings(this.#scripted.source, change, path);
    this.#logs.clear();
  }

  setEntries(entries: readonly unknown[], options: ChangeOptions): void {
    this.#replace(this.#read(entries, []), options);
  }

  /** Adds entries at the end, or before position `at`. Returns their ids. @throws InputError */
  addEntries(entries: readonly unknown[], at: number, options: ChangeOptions): string[] {
    const added = this.#read(entries, this.#entries);
    this.#replace([...this.#entries.slice(0, at), ...added, ...this.#entries.slice(at)], options);
    return added.map(({ id }) => id);
  }

  /** @throws InputError if an id is not known; then nothing is removed. */
  removeEntries(ids: readonly string[], options: ChangeOptions): void {
    for (const id of ids) this.#find(id);
    this.#replace(
      this.#entries.filter(({ id }) => !ids.includes(id)),
      options,
    );
  }

  /** Changes members of one entry, which keeps its place. @throws InputError */
  changeEntry(id: string, members: JsonObject, options: ChangeOptions): void {
    const old = this.#find(id);
    const entry = readEntry({ ...old.source, ...members, id }, 'fields', id);
    this.#replace(
      this.#entries.map((other) => (other === old ? entry : other)),
      options,
    );
  }

  /** Moves the generation counter without a change. */
  bump(options: ChangeOptions): void {
    this.#replace(this.#entries, options);
  }

  /** The whole discovery log page as this port shows it now. */
  log(portLocalOnly: boolean, portid: number): Buffer {
    const key = portLocalOnly ? String(portid) : 'all';
    const known = this.#logs.get(key);
    if (known !== undefined) return known;
    const entries = portLocalOnly
      ? this.#entries.filter((entry) => entry.portid === portid)
      : this.#entries;
    const log = discoveryLog(entries, this.#generation, this.settings);
    this.#logs.set(key, log);
    return log;
  }

  /** A host read (part of) the log: moves the generation counter if the script asks for it. */
  logWasRead(): void {
    const left = this.settings.bumpReads;
    if (left === 0) return;
    if (left > 0) this.change({ bumpReads: left - 1 }, 'bumpReads');
    this.bump({ bump: true, aen: false });
  }

  /** Carries out a DIM task. Whether it could be: only a registered host can be updated. */
  manageInformation(hostnqn: string, task: number, dim: DimData): boolean {
    switch (task) {
      case DimTask.register:
        this.registrations.set(hostnqn, dim);
        return true;
      case DimTask.deregister:
        this.registrations.delete(hostnqn);
        return true;
      case DimTask.update:
        if (!this.registrations.has(hostnqn)) return false;
        this.registrations.set(hostnqn, dim);
        return true;
      default:
        return false;
    }
  }

  #read(values: readonly unknown[], present: readonly Entry[]): Entry[] {
    const ids = new Set(present.map(({ id }) => id));
    return values.map((value, index) => {
      const path = `entries[${String(index)}]`;
      const entry = readEntry(value, path, `entry${String(++this.#entriesMade)}`);
      if (ids.has(entry.id)) throw new InputError(path, `the id ${entry.id} is taken`);
      ids.add(entry.id);
      return entry;
    });
  }

  #find(id: string): Entry {
    const entry = this.#entries.find((other) => other.id === id);
    if (entry === undefined) throw new InputError('id', `there is no entry ${id}`, 'not-found');
    return entry;
  }

  #replace(entries: readonly Entry[], options: ChangeOptions): void {
    this.#entries = entries;
    this.#logs.clear();
    if (options.bump) this.#generation = (this.#generation + 1n) & 0xffffffffffffffffn;
    if (!options.aen) return;
    for (const association of this.#associations) association.logChanged();
  }
}
