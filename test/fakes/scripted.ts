/**
 * The part that every asynchronous fake shares: a call answers at once by the fake's own behaviour,
 * fails as the test asked for, or, while held, waits until the test completes it.
 *
 * Invariants: a call settles once; a behaviour runs when its call is completed, not when it is
 * made, so that it sees the world of that moment; calls are kept in the order they were made.
 */
import type { Disposable } from '../../src/ports/disposable.ts';

export type CallStatus = 'pending' | 'resolved' | 'rejected';

/** One call that was made, for the test to look at or to complete. */
export interface ScriptedCall<Request, Result> {
  readonly request: Request;
  readonly status: CallStatus;
  /** Settles it as it would have been without the hold. */
  complete(): void;
  /** Settles it with this result, whatever the world looks like. */
  resolve(result: Result): void;
  reject(error: Error): void;
}

class Call<Request, Result> implements ScriptedCall<Request, Result> {
  readonly request: Request;
  readonly promise: Promise<Result>;
  status: CallStatus = 'pending';
  readonly #behaviour: (request: Request) => Result;
  #settle: { resolve(result: Result): void; reject(error: Error): void } | undefined;

  constructor(request: Request, behaviour: (request: Request) => Result) {
    this.request = request;
    this.#behaviour = behaviour;
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  complete(): void {
    if (this.status !== 'pending') throw new Error('this call has been settled before');
    let result: Result;
    try {
      result = this.#behaviour(this.request);
    } catch (thrown) {
      this.reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      return;
    }
    this.resolve(result);
  }

  resolve(result: Result): void {
    this.#finish('resolved')?.resolve(result);
  }

  reject(error: Error): void {
    this.#finish('rejected')?.reject(error);
  }

  #finish(
    status: CallStatus,
  ): { resolve(result: Result): void; reject(error: Error): void } | undefined {
    if (this.status !== 'pending') throw new Error('this call has been settled before');
    this.status = status;
    return this.#settle;
  }
}

interface Failure<Request> {
  readonly error: Error;
  readonly matches: (request: Request) => boolean;
  remaining: number;
}

export class ScriptedOperation<Request, Result> {
  readonly #behaviour: (request: Request) => Result;
  readonly #calls: Call<Request, Result>[] = [];
  readonly #failures = new Set<Failure<Request>>();
  #held = false;

  constructor(behaviour: (request: Request) => Result) {
    this.#behaviour = behaviour;
  }

  /** What the fake's port method returns. */
  call(request: Request): Promise<Result> {
    const call = new Call<Request, Result>(request, (made) => this.#answer(made));
    this.#calls.push(call);
    if (!this.#held) call.complete();
    return call.promise;
  }

  /** Every call ever made, in order. */
  get calls(): readonly ScriptedCall<Request, Result>[] {
    return this.#calls;
  }

  /** Forgets the calls that are settled: for tests that measure memory. */
  forget(): void {
    this.#calls.splice(0, Infinity, ...this.#calls.filter((call) => call.status === 'pending'));
  }

  get pending(): readonly ScriptedCall<Request, Result>[] {
    return this.#calls.filter((call) => call.status === 'pending');
  }

  /** The calls' requests, in order: for assertions. */
  get requests(): readonly Request[] {
    return this.#calls.map((call) => call.request);
  }

  /** Calls made from now on stay pending. */
  hold(): void {
    this.#held = true;
  }

  /** Completes what is pending, in order; calls made from now on answer at once again. */
  release(): void {
    this.#held = false;
    for (const call of this.pending) call.complete();
  }

  /** The one pending call that `matches`; throws if there is none or more than one. */
  pendingCall(matches: (request: Request) => boolean = () => true): ScriptedCall<Request, Result> {
    const found = this.pending.filter((call) => matches(call.request));
    const [first] = found;
    if (first === undefined || found.length > 1) {
      throw new Error(`expected one such pending call, there are ${found.length}`);
    }
    return first;
  }

  /** The next calls that match, `times` of them, fail. */
  failNext(error: Error, matches: (request: Request) => boolean = () => true, times = 1): void {
    this.#failures.add({ error, matches, remaining: times });
  }

  /** All calls that match fail until it is disposed of. */
  failAlways(error: Error, matches: (request: Request) => boolean = () => true): Disposable {
    const failure = { error, matches, remaining: Infinity };
    this.#failures.add(failure);
    return { dispose: () => void this.#failures.delete(failure) };
  }

  #answer(request: Request): Result {
    for (const failure of this.#failures) {
      if (!failure.matches(request)) continue;
      failure.remaining -= 1;
      if (failure.remaining <= 0) this.#failures.delete(failure);
      throw failure.error;
    }
    return this.#behaviour(request);
  }
}
