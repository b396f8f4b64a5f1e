/**
 * What the scenarios of this folder are made of: each sets options in files, looks at what the
 * kernel, the bus and the targets have of it, and has one check for each option.
 *
 * option-effects.e2e.ts runs every scenario of registry.ts and every check; a unit test holds the
 * options that they show to the option table and to the files that they set up.
 */
import type { ConfigFile } from '../../../src/config/option-table.ts';
import type { Lab } from '../lab.ts';

/** `stacd.conf [Global] kato`, or one of the forms below. */
export type OptionName = string;

export function option(file: ConfigFile, section: string, key: string): OptionName {
  return `${file}.conf [${section}] ${key}`;
}

/** One of the fields of `controller=` or `exclude=`: `stacd.conf controller= kato`. */
export function field(
  daemon: 'stafd' | 'stacd',
  key: 'controller' | 'exclude',
  name: string,
): OptionName {
  return `${daemon}.conf ${key}= ${name}`;
}

/** An option whose value is in a file of its own: `sys.conf [Host] nqn=file://`. */
export function inFile(file: ConfigFile, section: string, key: string): OptionName {
  return `${option(file, section, key)}=file://`;
}

/** The files of /etc/stas at one moment; one that is missing here stays as it was. */
export type Files = Readonly<Partial<Record<ConfigFile, string>>>;

/** What one option does, and the check that sees it. */
export interface Effect<Seen> {
  readonly of: readonly OptionName[];
  /** Continues the name of the option: "reaches the kernel". */
  readonly does: string;
  readonly check: (seen: Seen) => void;
}

export interface Scenario<Seen> {
  readonly title: string;
  /** All that `observe` puts in place, one after the other. */
  readonly files: readonly Files[];
  readonly observe: (here: Lab) => Promise<Seen>;
  readonly effects: readonly Effect<Seen>[];
}

/** A scenario with what it saw kept inside, so that those of a list need not agree about it. */
export interface RunnableScenario {
  readonly title: string;
  readonly files: readonly Files[];
  /** Once, before the checks. */
  readonly observe: (here: Lab) => Promise<void>;
  readonly effects: readonly {
    readonly title: string;
    readonly of: readonly OptionName[];
    readonly check: () => void;
  }[];
}

export function runnable<Seen>(scenario: Scenario<Seen>): RunnableScenario {
  let seen: { readonly value: Seen } | undefined;
  return {
    title: scenario.title,
    files: scenario.files,
    observe: async (here) => {
      seen = { value: await scenario.observe(here) };
    },
    effects: scenario.effects.map(({ check, does, of }) => ({
      title: `${of.join(', ')} ${does}`,
      of,
      check: () => {
        if (seen === undefined) throw new Error('the scenario did not come to its end');
        check(seen.value);
      },
    })),
  };
}

/** Puts the files in place. */
export async function install(here: Lab, files: Files): Promise<void> {
  await Promise.all(
    Object.entries(files).map(([name, text]) =>
      here.machine.writeFile(`/etc/stas/${name}.conf`, text),
    ),
  );
}

/** A section of a file from its `key = value` lines. */
export function section(name: string, ...lines: readonly string[]): string {
  return `[${name}]\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** What holds of every stafd.conf here: nothing but what the scenario names is found. */
export const NO_MDNS = section('Service Discovery', 'zeroconf = disabled');
