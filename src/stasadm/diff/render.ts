/** What `stasadm diff` prints. Pure: a report in, lines out. */
import type {
  ControllerDict,
  OptionChange,
  PreviewedChange,
  PreviewedKeep,
  PreviewedRemove,
  PreviewNote,
  ReloadPreview,
} from '../../core/reload-preview.ts';
import { compareNames, json, paint, shown } from '../../ctl/text.ts';
import type { Screen, Tone } from '../../ctl/text.ts';
import { describeNamespace, losesUse, useJson, type NamespaceUse } from '../../nvme/block-use.ts';
import {
  goingDevices,
  hasChanges,
  pendingOf,
  silentOf,
  totalsOf,
  usesOf,
  type DaemonReport,
  type Report,
} from './report.ts';

/** What a daemon says instead of a device's name while there is none. */
const NO_DEVICE = 'nvme?';

const SOURCE_WORDS: ReadonlyMap<string, string> = new Map([
  ['configured', 'configuration'],
  ['log', 'discovery log'],
  ['mdns', 'mDNS'],
  ['nbft', 'boot firmware'],
  ['referral', 'referral'],
]);

/** `(transport, traddr, …) nvme3`, as logs name controllers. */
function nameOf(controller: ControllerDict): string {
  const optional = ['subsysnqn', 'host-iface', 'host-traddr']
    .map((field) => controller[field] ?? '')
    .filter((value) => value !== '');
  const address = ['transport', 'traddr', 'trsvcid'].map((field) => controller[field] ?? '');
  const device = controller['device'] ?? NO_DEVICE;
  const name = shown(`(${[...address, ...optional].join(', ')})`);
  return device === NO_DEVICE ? name : `${name} ${shown(device)}`;
}

function byName<T extends { readonly controller: ControllerDict }>(
  list: readonly T[],
): readonly T[] {
  return [...list].sort((a, b) => compareNames(nameOf(a.controller), nameOf(b.controller)));
}

function value(text: string | null): string {
  return text === null ? 'not set' : shown(text);
}

function optionText({ from, option, to }: OptionChange): string {
  return `${shown(option)} ${value(from)} → ${value(to)}`;
}

function sourcesText(sources: readonly string[]): string {
  return sources.map((source) => SOURCE_WORDS.get(source) ?? shown(source)).join(', ');
}

function count(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? '' : 's'}`;
}

class Lines {
  readonly #screen: Screen;
  readonly lines: string[] = [];

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  add(text: string, tone: Tone = 'plain', indent = 1): void {
    this.lines.push('  '.repeat(indent) + paint(text, tone, this.#screen));
  }
}

function removeLines(
  out: Lines,
  report: Report,
  going: ReadonlySet<string>,
  removed: PreviewedRemove,
): void {
  const { connection, controller, follows, why } = removed;
  const spared = removed.spared === undefined ? '' : `, since it is ${shown(removed.spared)}`;
  const end = {
    disconnected: 'is disconnected',
    stays: `is given up, its connection stays${spared}`,
    none: 'is given up, it is not connected',
  }[connection];
  const cause = follows ? `${shown(why)} (by the reload of stafd)` : shown(why);
  out.add(`- ${nameOf(controller)} ${end}: ${cause}`, 'bad');
  if (connection !== 'disconnected') return;
  if (report.uses === undefined) out.add('what is in use there is not known', 'bad', 3);
  for (const namespace of usesOf(report, removed)) {
    const tone = losesUse(namespace, going) ? 'bad' : 'faint';
    out.add(describeNamespace(namespace, going), tone, 3);
  }
}

/** Controllers under what changes for them: [Global] changes many in the same way. */
function changeLines(out: Lines, changes: readonly PreviewedChange[]): void {
  const groups = new Map<string, PreviewedChange[]>();
  for (const change of byName(changes)) {
    for (const text of changeTexts(change)) {
      const group = groups.get(text);
      if (group === undefined) groups.set(text, [change]);
      else group.push(change);
    }
  }
  for (const [text, group] of groups) {
    out.add(`~ ${text}:`, 'waiting');
    for (const { controller } of group) out.add(nameOf(controller), 'plain', 3);
  }
}

function changeTexts({ becomes, changes, sources }: PreviewedChange): readonly string[] {
  const texts: string[] = [];
  if (becomes !== undefined) texts.push(`becomes ${nameOf(becomes)}, with its connection`);
  if (changes.length > 0) {
    const options = changes.map(optionText).join(', ');
    texts.push(`${options}, from the next connect on (a connection that is up keeps what it has)`);
  }
  if (sources !== undefined) {
    texts.push(`asked for by ${sourcesText(sources.from)} → ${sourcesText(sources.to)}`);
  }
  return texts;
}

function noteText({ about, kind, why }: PreviewNote): string {
  switch (kind) {
    case 'open':
      return `? ${shown(about)}: ${shown(why)}`;
    case 'kept':
      return `= ${shown(about)} stays, though nothing asks for it: ${shown(why)}`;
    case 'refused':
      return `x ${shown(about)} is asked for and not used: ${shown(why)}`;
  }
}

function pendingLines(out: Lines, report: Report, { change, keep }: ReloadPreview): void {
  for (const kept of byName([...keep, ...change])) {
    for (const option of pendingOf(report, kept)) {
      const text = `${optionText(option)} since before, from its next connect on`;
      out.add(`? ${nameOf(kept.controller)}: ${text}`, 'faint');
    }
  }
}

function previewLines(out: Lines, report: Report, preview: ReloadPreview): void {
  const going = goingDevices(report.daemons);
  for (const problem of preview.problems) out.add(`! ${shown(problem)}`, 'waiting');
  for (const { from, key, section, to } of preview.settings) {
    out.add(`~ [${shown(section)}] ${shown(key)}: ${value(from)} → ${value(to)}`, 'waiting');
  }
  for (const { controller, sources } of byName(preview.add)) {
    out.add(`+ ${nameOf(controller)} is connected: ${sourcesText(sources)}`, 'good');
  }
  for (const removed of byName(preview.remove)) removeLines(out, report, going, removed);
  changeLines(out, preview.change);
  for (const note of preview.notes) out.add(noteText(note), 'faint');
  pendingLines(out, report, preview);
  if (preview.keep.length > 0) {
    const kept = count(preview.keep.length, 'controller');
    out.add(
      `= ${kept} ${preview.keep.length === 1 ? 'stays as it is' : 'stay as they are'}`,
      'faint',
    );
  }
}

function daemonLines(report: Report, { answer, daemon }: DaemonReport, screen: Screen): string[] {
  const heading = paint(daemon, 'heading', screen);
  const out = new Lines(screen);
  if (answer.kind === 'failed') out.add('not known: see the message', 'faint');
  else if (answer.preview.refused !== null) {
    out.add('! the reload would be refused, and everything stays as it is:', 'bad');
    out.add(shown(answer.preview.refused), 'bad', 3);
  } else {
    previewLines(out, report, answer.preview);
  }
  if (out.lines.length === 0) out.add('nothing: no controllers, and nothing changes', 'faint');
  return [heading, ...out.lines];
}

function totalsLine(report: Report): string {
  const { add, change, losing, remove, settings } = totalsOf(report);
  const silent = silentOf(report);
  const changes = hasChanges(report);
  if (changes !== true) {
    if (silent.length === 0) return 'A reload changes nothing.';
    const answered = report.daemons.filter(({ daemon }) => !silent.includes(daemon));
    if (answered.length === 0) return 'What a reload changes is not known.';
    const known = answered.map(({ daemon }) => daemon).join(' and ');
    return `A reload changes nothing of ${known}; what it changes of ${silent.join(' and ')} is not known.`;
  }
  const parts = [
    [add, 'added'],
    [remove, losing === 0 ? 'dropped' : `dropped (${String(losing)} in use)`],
    [change, 'changed'],
    [settings, settings === 1 ? 'setting' : 'settings'],
  ] as const;
  const told = parts.flatMap(([number, what]) => (number === 0 ? [] : `${String(number)} ${what}`));
  const unknown =
    silent.length === 0 ? '' : ` What it changes of ${silent.join(' and ')} is not known.`;
  return `A reload changes this: ${told.join(', ')}. Nothing was changed by looking.${unknown}`;
}

/** For people. Ends with a newline. */
export function renderDiff(report: Report, screen: Screen): string {
  const blocks = report.daemons.map((daemon) => daemonLines(report, daemon, screen));
  return `${[...blocks.flatMap((block) => [...block, '']), totalsLine(report)].join('\n')}\n`;
}

function namespaceJson(namespace: NamespaceUse, going: ReadonlySet<string>): unknown {
  const { block, otherPaths, uses } = namespace;
  return {
    block,
    uses: uses.map(useJson),
    'other-paths': otherPaths,
    'last-path': otherPaths.every((controller) => going.has(controller)),
  };
}

function daemonJson(report: Report, { answer }: DaemonReport): unknown {
  if (answer.kind === 'failed') return { error: answer.why };
  const { preview } = answer;
  const going = goingDevices(report.daemons);
  const withPending = (kept: PreviewedKeep): unknown => ({
    ...kept,
    pending: pendingOf(report, kept),
  });
  return {
    ...preview,
    remove: preview.remove.map((removed) => ({
      ...removed,
      namespaces:
        report.uses === undefined && removed.connection === 'disconnected'
          ? null
          : usesOf(report, removed).map((namespace) => namespaceJson(namespace, going)),
    })),
    change: preview.change.map(withPending),
    keep: preview.keep.map(withPending),
  };
}

/** For programs. Ends with a newline. */
export function renderDiffJson(report: Report): string {
  const daemons: Record<string, unknown> = {};
  for (const daemon of report.daemons) daemons[daemon.daemon] = daemonJson(report, daemon);
  return `${json({ version: 1, changes: hasChanges(report) ?? null, ...daemons })}\n`;
}
