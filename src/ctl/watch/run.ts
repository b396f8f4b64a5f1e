/**
 * `watch`: follows a daemon's controllers until it is ended.
 *
 * Invariants:
 * - nothing is asked without a reason: the start, a signal of the daemon, a new owner of its name;
 * - at most one question is open; whatever happens meanwhile makes exactly one more;
 * - an event is the difference between two lists that follow each other, also over a restart of the
 *   daemon, so that none is told twice and what stayed connected is not told at all;
 * - on a terminal, what was entered is left before anything else is printed, whatever ends the process.
 */
import { busName, busPath, errorNames } from '../../platform/dbus/names.ts';
import { BusError, type Bus } from '../../ports/bus.ts';
import type { Disposable } from '../../ports/disposable.ts';
import type { OutputFormat } from '../command-line.ts';
import { Daemon, type Row } from '../daemon.ts';
import type { Screen } from '../text.ts';
import type { Tool } from '../tools.ts';
import { changesBetween, hasRemoved } from './changes.ts';
import { eventJson, pipeLine, type TimedEvent, type WatchEvent } from './event-text.ts';
import { pictureLines } from './frame.ts';
import type { Stage } from './stage.ts';

export interface WatchContext {
  readonly bus: Bus;
  readonly stage: Stage;
  readonly screen: Screen;
  readonly stdout: (text: string) => void;
}

/** How a watch ended: by an error, or as it was told to. */
interface Ended {
  readonly error?: Error;
}

const REDRAW_MS = 1000;
/** More than a terminal has lines. */
const KEPT_EVENTS = 500;

const ENTER = '\u001b[?1049h\u001b[?25l';
/** A terminal without another screen goes on below the picture. */
const LEAVE = '\u001b[?25h\u001b[999;1H\r\n\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('failed', { cause: thrown });
}

class Watch {
  readonly #tool: Tool;
  readonly #output: OutputFormat;
  readonly #context: WatchContext;
  readonly #daemon: Daemon;
  readonly #end: (ended: Ended) => void;
  #owner: string | undefined;
  #stoppedAt: Date | undefined;
  #rows: readonly Row[] | undefined;
  #listedAt = 0;
  #asking = false;
  #askAgain = false;
  #events: TimedEvent[] = [];
  #entered = false;
  #redraw: Disposable | undefined;
  #ended = false;

  constructor(
    tool: Tool,
    output: OutputFormat,
    context: WatchContext,
    end: (ended: Ended) => void,
  ) {
    this.#tool = tool;
    this.#output = output;
    this.#context = context;
    this.#daemon = new Daemon(context.bus, tool);
    this.#end = end;
  }

  async start(): Promise<void> {
    const { bus, stage } = this.#context;
    const { busName: name, v1Interface } = this.#tool;
    bus.onLost((why) => {
      this.end({ error: new BusError(errorNames.disconnected, why) });
    });
    await bus.subscribe({ sender: name, interfaceName: v1Interface }, ({ member }) => {
      if (member === 'controllers_changed') void this.#ask();
    });
    await bus.watchName(name, (owner) => {
      this.#owned(owner);
    });
    if (this.#owner === undefined) {
      throw new BusError(errorNames.serviceUnknown, `nobody has the name ${name}`);
    }
    stage.onResize(() => {
      // Whoever had the terminal meanwhile has left it as it is for everybody.
      this.#entered = false;
      this.#draw();
    });
    stage.onSuspend(() => {
      this.#leave();
    });
    stage.onExit(() => {
      this.#leave();
    });
  }

  /** Ends the watch; the first call counts. */
  end(ended: Ended): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#leave();
    this.#end(ended);
  }

  #owned(owner: string | undefined): void {
    const [was, first] = [this.#owner, this.#rows === undefined];
    this.#owner = owner;
    if (owner === undefined) {
      if (was === undefined) return;
      this.#stoppedAt = this.#context.stage.clock.wallTime();
      this.#tell([{ kind: 'daemon', event: 'daemon-stopped' }]);
      this.#draw();
      return;
    }
    if (this.#stoppedAt !== undefined || !first) {
      this.#stoppedAt = undefined;
      this.#tell([{ kind: 'daemon', event: 'daemon-started' }]);
      this.#draw();
    }
    void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#askAgain = true;
    if (this.#asking) return;
    this.#asking = true;
    while (this.#askAgain && !this.#ended) {
      this.#askAgain = false;
      const owner = this.#owner;
      try {
        await this.#list();
      } catch (error) {
        // A daemon that ends leaves questions open; its name tells when the next one is there.
        if (owner !== undefined && (await this.#isOwner(owner))) {
          this.end({ error: asError(error) });
        }
      }
    }
    this.#asking = false;
  }

  async #list(): Promise<void> {
    const rows = await this.#daemon.controllers();
    const absent = hasRemoved(this.#rows, rows) ? (await this.#daemon.explain()).absent : [];
    if (this.#ended) return;
    const changes = changesBetween(this.#rows, rows, absent);
    this.#rows = rows;
    this.#listedAt = this.#context.stage.clock.now();
    this.#tell(changes.map((change) => ({ kind: 'controller', ...change })));
    this.#draw();
  }

  /** Whether a process has the daemon's name still. The bus tells in order: its loss came before. */
  async #isOwner(owner: string): Promise<boolean> {
    try {
      const [current] = await this.#context.bus.call({
        destination: busName,
        path: busPath,
        interfaceName: busName,
        member: 'GetNameOwner',
        inSignature: 's',
        args: [this.#tool.busName],
        timeoutMs: 25_000,
      });
      return current === owner;
    } catch {
      return false;
    }
  }

  get #isPicture(): boolean {
    return this.#output === 'table' && this.#context.stage.size() !== undefined;
  }

  #tell(events: readonly WatchEvent[]): void {
    const { screen, stage, stdout } = this.#context;
    const at = stage.clock.wallTime();
    const timed = events.map((event) => ({ at, event }));
    if (this.#isPicture) {
      const news = timed.filter(({ event }) => event.event !== 'present');
      this.#events = [...this.#events, ...news].slice(-KEPT_EVENTS);
      return;
    }
    for (const event of timed) {
      stdout(
        this.#output === 'json'
          ? eventJson(this.#tool, event)
          : pipeLine(this.#tool, event, screen),
      );
    }
  }

  #draw(): void {
    const { screen, stage, stdout } = this.#context;
    const size = stage.size();
    if (this.#ended || this.#rows === undefined || size === undefined || !this.#isPicture) return;
    const lines = pictureLines({
      tool: this.#tool,
      rows: this.#rows,
      ageMs: stage.clock.now() - this.#listedAt,
      events: this.#events,
      stoppedAt: this.#stoppedAt,
      now: stage.clock.wallTime(),
      // After a character in the last column, to erase the rest of the line would erase it.
      size: { ...size, columns: Math.max(1, size.columns - 1) },
      colour: screen.colour,
    });
    const enter = this.#entered ? '' : ENTER;
    const text = lines.map((line) => line + CLEAR_LINE).join('\r\n');
    this.#entered = true;
    stdout(`${enter}${HOME}${text}${CLEAR_BELOW}`);
    // Running times: the only thing that changes by itself.
    this.#redraw?.dispose();
    this.#redraw = stage.clock.setTimer(REDRAW_MS, () => {
      this.#draw();
    });
  }

  #leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#redraw?.dispose();
    this.#context.stdout(LEAVE);
  }
}

/**
 * Watches until the stage says to end. Rejects with BusError (nobody has the daemon's name at the
 * start, the bus is lost) and UnexpectedAnswer.
 */
export async function runWatch(
  tool: Tool,
  output: OutputFormat,
  context: WatchContext,
): Promise<void> {
  const ended = await new Promise<Ended>((resolve) => {
    const watch = new Watch(tool, output, context, resolve);
    context.stage.onEnd(() => {
      watch.end({});
    });
    watch.start().catch((error: unknown) => {
      watch.end({ error: asError(error) });
    });
  });
  if (ended.error !== undefined) throw ended.error;
}
