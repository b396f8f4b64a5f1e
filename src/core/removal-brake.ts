/**
 * Holds removals that would hurt if the report that asks for them were wrong: too many connections
 * at once, or the last path to storage in use. Pure.
 *
 * A removal rests on a statement (a log without the entry, say) that was made at some time. One that
 * is held goes when a statement that is at least 30 s younger says the same; an explicit setting of
 * this host needs no second one. Nothing is held that is confirmed, and nothing is held twice.
 */
/** The time of what a setting of this host says: it is never asked for again. */
export const BY_SETTING = Infinity;

/** How long the first statement is doubted, milliseconds. */
export const CONFIRM_AFTER_MS = 30_000;

/**
 * How long a removal was held when a new statement is asked for, milliseconds: one that is made
 * then is taken for older than it is, by the time that the answer takes.
 */
export const ASK_AFTER_MS = CONFIRM_AFTER_MS + 1_000;

/** So few are never too many. */
const FEW = 4;

/** A limit that lets everything pass, per cent. */
export const NO_LIMIT = 100;

export interface Removal {
  readonly key: string;
  /** When the oldest of the statements that it rests on was made, milliseconds; or BY_SETTING. */
  readonly statedAt: number;
  /** Why it would take storage away that is in use; undefined: it would not. */
  readonly inUse: string | undefined;
}

export interface HeldRemoval {
  /** When it was first held, milliseconds. */
  readonly since: number;
  readonly why: string;
}

export interface BrakeInput {
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** Per cent of the connections. */
  readonly limit: number;
  /** How many connections there are, those that are to be removed included. */
  readonly connections: number;
  /** Those that would end a connection. */
  readonly removals: readonly Removal[];
  readonly held: ReadonlyMap<string, HeldRemoval>;
}

export interface BrakeVerdict {
  /** All others may go. One that is asked for no longer is forgotten. */
  readonly held: ReadonlyMap<string, HeldRemoval>;
  /** Those whose doubt is over, so that a new statement is to be asked for. */
  readonly toConfirm: readonly string[];
  /** When the doubt of the next one is over, milliseconds; Infinity: of none. */
  readonly next: number;
}

export function brake(input: BrakeInput): BrakeVerdict {
  const { connections, limit, now } = input;
  const held = new Map<string, HeldRemoval>();
  const doubtful = limit >= NO_LIMIT ? [] : input.removals.filter((each) => !settled(input, each));
  const many = doubtful.length > FEW && doubtful.length * 100 > limit * connections;
  const count = `it would be one of ${doubtful.length} of ${connections} connections`;
  for (const { inUse, key } of doubtful) {
    const before = input.held.get(key);
    const why = before?.why ?? inUse ?? (many ? count : undefined);
    if (why !== undefined) held.set(key, { since: before?.since ?? now, why });
  }
  const due = [...held].map(([key, { since }]) => ({ key, at: since + ASK_AFTER_MS }));
  return {
    held,
    toConfirm: due.filter(({ at }) => at <= now).map(({ key }) => key),
    next: due.reduce((next, { at }) => (at > now ? Math.min(next, at) : next), Infinity),
  };
}

/** Whether it needs no second statement, or has it. */
function settled({ held }: BrakeInput, { key, statedAt }: Removal): boolean {
  const before = held.get(key);
  return statedAt >= (before === undefined ? BY_SETTING : before.since + CONFIRM_AFTER_MS);
}
