/**
 * What a reload of the present files would do: the answer of the method `preview_reload`, whose JSON
 * has these very names. Documented for others in dbus/org.nvmexpress.staf.xml.
 */
import type { OptionChange } from '../config/connect-option.ts';
import type { SettingChange } from '../config/settings-diff.ts';

export type { OptionChange, SettingChange };

/** A reader refuses another one; members may be added within a version. */
export const PREVIEW_VERSION = 1;

/** The seven strings of a TID, and mostly the device (`nvme?` while there is none). */
export type ControllerDict = Readonly<Record<string, string>>;

/** What becomes of the connection of a controller that the daemon gives up. */
export type ConnectionEnd =
  | 'disconnected'
  /** disconnect-scope says so, or it is spared. */
  | 'stays'
  /** There is none now. */
  | 'none';

/** Who asks for a controller: `configured`, `nbft`, `mdns`, `referral`, `log`. */
export type SourceKinds = readonly string[];

export interface PreviewedAdd {
  readonly controller: ControllerDict;
  readonly sources: SourceKinds;
}

export interface PreviewedRemove {
  readonly controller: ControllerDict;
  readonly why: string;
  readonly connection: ConnectionEnd;
  /** Why it stays although the scope would let it go, as words that continue "it is …". */
  readonly spared?: string;
  /** It happens because stafd's reload removes its discovery controller. */
  readonly follows: boolean;
}

export interface PreviewedKeep {
  readonly controller: ControllerDict;
  /** Of its next connect; what it is connected with stays as it is until then. */
  readonly options: Readonly<Record<string, string>>;
}

export interface PreviewedChange extends PreviewedKeep {
  /** Another TID that leads to the same connection, which is passed on to it. */
  readonly becomes?: ControllerDict;
  /** Options that differ from those of the running configuration. */
  readonly changes: readonly OptionChange[];
  /** Who asks for it, where that differs. */
  readonly sources?: { readonly from: SourceKinds; readonly to: SourceKinds };
}

/** Something to know that is no change. */
export interface PreviewNote {
  /**
   * `open`: it cannot be known before; `kept`: nothing asks for it now, and it stays; `refused`: it
   * is configured, and another setting forbids it.
   */
  readonly kind: 'open' | 'kept' | 'refused';
  readonly about: string;
  readonly why: string;
}

/** What happens to controllers. */
export interface PreviewedActions {
  readonly add: readonly PreviewedAdd[];
  readonly remove: readonly PreviewedRemove[];
  readonly change: readonly PreviewedChange[];
  readonly keep: readonly PreviewedKeep[];
  readonly notes: readonly PreviewNote[];
}

export interface ReloadPreview extends PreviewedActions {
  readonly version: typeof PREVIEW_VERSION;
  /** Why the reload would be refused, so that everything stays as it is; null if it is not. */
  readonly refused: string | null;
  /** What is wrong in the files, a line each. */
  readonly problems: readonly string[];
  readonly settings: readonly SettingChange[];
}

/** Whether anything would be different after the reload. */
export function changesAnything(preview: ReloadPreview): boolean {
  const { add, change, remove, settings } = preview;
  return [add, change, remove, settings].some((list) => list.length > 0);
}
