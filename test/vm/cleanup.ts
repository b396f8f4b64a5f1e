/**
 * What must be undone however this process ends: processes killed, temporary files removed.
 *
 * Invariants:
 * - the handlers are installed with the first registration and removed with the last one;
 * - an undo function is called at most once, is synchronous, and never throws for what is gone;
 * - a signal undoes everything, then ends the process as that signal does.
 */

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type EndingSignal = (typeof signals)[number];

const pending = new Set<() => void>();

/**
 * Registers `undo` to be called when this process exits or is told to end by a signal.
 * Returns a function that calls `undo` now (once) and forgets it.
 */
export function undoAtExit(undo: () => void): () => void {
  if (pending.size === 0) install();
  // A function of its own, so that registering one function twice makes two entries.
  const entry = (): void => {
    undo();
  };
  pending.add(entry);
  return () => {
    if (!pending.delete(entry)) return;
    if (pending.size === 0) uninstall();
    entry();
  };
}

function install(): void {
  process.on('exit', undoAll);
  for (const signal of signals) process.on(signal, onSignal);
}

function uninstall(): void {
  process.off('exit', undoAll);
  for (const signal of signals) process.off(signal, onSignal);
}

function undoAll(): void {
  for (const undo of [...pending].reverse()) {
    pending.delete(undo);
    try {
      undo();
    } catch (error) {
      console.error(`cleaning up: ${String(error)}`);
    }
  }
}

function onSignal(signal: EndingSignal): void {
  undoAll();
  uninstall();
  // With a handler of somebody else left (a test runner's), the decision to end is theirs.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
