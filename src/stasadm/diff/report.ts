/** What `stasadm diff` found out, for printing. */
import {
  changesAnything,
  type OptionChange,
  type PreviewedKeep,
  type PreviewedRemove,
  type ReloadPreview,
} from '../../core/reload-preview.ts';
import type { Tool } from '../../ctl/tools.ts';
import { losesUse, type NamespaceUse } from '../../nvme/block-use.ts';

export type DaemonName = Tool['daemon'];

/** One daemon's answer, or why there is none. */
export type DaemonAnswer =
  | { readonly kind: 'preview'; readonly preview: ReloadPreview }
  | { readonly kind: 'failed'; readonly why: string };

export interface DaemonReport {
  readonly daemon: DaemonName;
  readonly answer: DaemonAnswer;
}

export interface Report {
  readonly daemons: readonly DaemonReport[];
  /** By controller (`nvme3`); undefined if it could not be found out. */
  readonly uses: ReadonlyMap<string, readonly NamespaceUse[]> | undefined;
  /** By controller: options that its connection has otherwise, whatever the reload does. */
  readonly pending: ReadonlyMap<string, readonly OptionChange[]>;
}

/** The controllers whose connections end, of both daemons: they go together. */
export function goingDevices(daemons: readonly DaemonReport[]): ReadonlySet<string> {
  const going = new Set<string>();
  for (const { remove } of previewsOf(daemons)) {
    for (const { connection, controller } of remove) {
      const device = controller['device'];
      if (connection === 'disconnected' && device !== undefined) going.add(device);
    }
  }
  return going;
}

/** The previews of the daemons that answered. */
export function previewsOf(daemons: readonly DaemonReport[]): readonly ReloadPreview[] {
  return daemons.flatMap(({ answer }) => (answer.kind === 'preview' ? [answer.preview] : []));
}

/** What is in use of what a controller leads to, if its connection ends. */
export function usesOf(
  { uses }: Pick<Report, 'uses'>,
  { connection, controller }: PreviewedRemove,
): readonly NamespaceUse[] {
  if (connection !== 'disconnected') return [];
  return uses?.get(controller['device'] ?? '') ?? [];
}

export function pendingOf(
  { pending }: Pick<Report, 'pending'>,
  { controller }: PreviewedKeep,
): readonly OptionChange[] {
  return pending.get(controller['device'] ?? '') ?? [];
}

export interface Totals {
  readonly add: number;
  readonly remove: number;
  /** Of those removed, how many take something away that is in use. */
  readonly losing: number;
  readonly change: number;
  readonly keep: number;
  readonly settings: number;
}

export function totalsOf(report: Report): Totals {
  const previews = previewsOf(report.daemons);
  const going = goingDevices(report.daemons);
  const count = (length: (preview: ReloadPreview) => number): number =>
    previews.reduce((sum, preview) => sum + length(preview), 0);
  return {
    add: count(({ add }) => add.length),
    remove: count(({ remove }) => remove.length),
    losing: count(
      ({ remove }) =>
        remove.filter((it) => usesOf(report, it).some((use) => losesUse(use, going))).length,
    ),
    change: count(({ change }) => change.length),
    keep: count(({ keep }) => keep.length),
    settings: count(({ settings }) => settings.length),
  };
}

/** The daemons that did not answer. */
export function silentOf({ daemons }: Pick<Report, 'daemons'>): readonly DaemonName[] {
  return daemons.flatMap(({ answer, daemon }) => (answer.kind === 'failed' ? [daemon] : []));
}

/** Whether a reload would change anything; undefined if only a daemon that did not answer knows. */
export function hasChanges(report: Pick<Report, 'daemons'>): boolean | undefined {
  if (previewsOf(report.daemons).some(changesAnything)) return true;
  return silentOf(report).length === 0 ? false : undefined;
}
