/** The answer of `preview_reload`, checked for its shape: another process gave it. */
import {
  PREVIEW_VERSION,
  type ConnectionEnd,
  type PreviewedChange,
  type PreviewedKeep,
  type PreviewNote,
  type ReloadPreview,
} from '../../core/reload-preview.ts';
import { UnexpectedAnswer } from '../../ctl/daemon.ts';

type Fields = Readonly<Record<string, unknown>>;
type Strings = Readonly<Record<string, string>>;

const CONNECTION_ENDS: readonly ConnectionEnd[] = ['disconnected', 'stays', 'none'];
const NOTE_KINDS: readonly PreviewNote['kind'][] = ['open', 'kept', 'refused'];

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new UnexpectedAnswer('not an object');
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new UnexpectedAnswer('not a text');
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : textOf(value);
}

function listOf<T>(value: unknown, item: (value: unknown) => T): readonly T[] {
  if (Array.isArray(value)) return value.map((each: unknown) => item(each));
  throw new UnexpectedAnswer('not a list');
}

function stringsOf(value: unknown): Strings {
  return Object.fromEntries(Object.entries(fieldsOf(value)).map(([key, it]) => [key, textOf(it)]));
}

function wordOf<T extends string>(value: unknown, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw new UnexpectedAnswer('an unknown word');
  return word;
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value, textOf);
}

function keepOf(value: unknown): PreviewedKeep {
  const { controller, options } = fieldsOf(value);
  return { controller: stringsOf(controller), options: stringsOf(options) };
}

function changeOf(value: unknown): PreviewedChange {
  const { becomes, changes, sources } = fieldsOf(value);
  const told = {
    ...keepOf(value),
    ...(becomes === undefined ? {} : { becomes: stringsOf(becomes) }),
    changes: listOf(changes, (each) => {
      const { from, option, to } = fieldsOf(each);
      return { option: textOf(option), from: textOrNull(from), to: textOrNull(to) };
    }),
  };
  if (sources === undefined) return told;
  const { from, to } = fieldsOf(sources);
  return { ...told, sources: { from: textsOf(from), to: textsOf(to) } };
}

/** Throws UnexpectedAnswer for what is not of the documented shape. */
export function parsePreview(value: unknown): ReloadPreview {
  const answer = fieldsOf(value);
  if (answer['version'] !== PREVIEW_VERSION) throw new UnexpectedAnswer('of another version');
  return {
    version: PREVIEW_VERSION,
    refused: textOrNull(answer['refused']),
    problems: textsOf(answer['problems']),
    settings: listOf(answer['settings'], (each) => {
      const { from, key, section, to } = fieldsOf(each);
      const names = { section: textOf(section), key: textOf(key) };
      return { ...names, from: textOrNull(from), to: textOrNull(to) };
    }),
    add: listOf(answer['add'], (each) => {
      const { controller, sources } = fieldsOf(each);
      return { controller: stringsOf(controller), sources: textsOf(sources) };
    }),
    remove: listOf(answer['remove'], (each) => {
      const { connection, controller, follows, spared, why } = fieldsOf(each);
      return {
        controller: stringsOf(controller),
        why: textOf(why),
        connection: wordOf(connection, CONNECTION_ENDS),
        ...(spared === undefined ? {} : { spared: textOf(spared) }),
        follows: follows === true,
      };
    }),
    change: listOf(answer['change'], changeOf),
    keep: listOf(answer['keep'], keepOf),
    notes: listOf(answer['notes'], (each) => {
      const { about, kind, why } = fieldsOf(each);
      return { kind: wordOf(kind, NOTE_KINDS), about: textOf(about), why: textOf(why) };
    }),
  };
}
