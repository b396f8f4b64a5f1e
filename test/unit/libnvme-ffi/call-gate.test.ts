import { describe, expect, test } from 'vitest';
import { CallGate, laneLimits, threadPoolSize } from '../../../src/libnvme-ffi/call-gate.ts';
import type { Lane, LaneLimits, OverdueCall } from '../../../src/libnvme-ffi/call-gate.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';

const LIMITS: LaneLimits = { connect: 2, admin: 1, disconnect: 1 };

/** A gate with calls that end when the test says so. */
class Scene {
  readonly clock = new FakeClock();
  readonly overdue: OverdueCall[] = [];
  readonly gate = new CallGate({
    clock: this.clock,
    limits: LIMITS,
    onOverdue: (call) => void this.overdue.push(call),
  });
  /** Names of the calls in flight, in the order in which they began. */
  readonly inFlight: string[] = [];
  readonly #ends = new Map<string, (error?: Error) => void>();

  call(lane: Lane, name: string, deadlineMs = 1000): Promise<string> {
    const outcome = this.gate.run(
      { lane, name, deadlineMs },
      () =>
        new Promise<string>((resolve, reject) => {
          this.inFlight.push(name);
          this.#ends.set(name, (error) => {
            this.inFlight.splice(this.inFlight.indexOf(name), 1);
            if (error === undefined) resolve(`${name} done`);
            else reject(error);
          });
        }),
    );
    outcome.catch(() => undefined);
    return outcome;
  }

  async end(name: string, error?: Error): Promise<void> {
    const end = this.#ends.get(name);
    if (end === undefined) throw new Error(`${name} has not begun`);
    end(error);
    await settle();
  }
}

describe('concurrency', () => {
  test('a lane takes no more calls than its limit, in the order of asking', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c', 'd']) void scene.call('connect', name);
    await settle();
    expect(scene.inFlight).toEqual(['a', 'b']);
    await scene.end('b');
    expect(scene.inFlight).toEqual(['a', 'c']);
    await scene.end('c');
    expect(scene.inFlight).toEqual(['a', 'd']);
  });

  test('a newcomer does not pass the one that waits', async () => {
    const scene = new Scene();
    void scene.call('admin', 'first').then(() => scene.call('admin', 'newcomer'));
    void scene.call('admin', 'waiting');
    await settle();
    await scene.end('first');
    expect(scene.inFlight).toEqual(['waiting']);
    await scene.end('waiting');
    expect(scene.inFlight).toEqual(['newcomer']);
  });

  test('connects that hang keep nobody from disconnecting or reading log pages', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c']) void scene.call('connect', name);
    const disconnect = scene.call('disconnect', 'disconnect');
    const read = scene.call('admin', 'read');
    await settle();
    await scene.end('disconnect');
    await scene.end('read');
    await expect(disconnect).resolves.toBe('disconnect done');
    await expect(read).resolves.toBe('read done');
    expect(scene.inFlight).toEqual(['a', 'b']);
  });

  test('a failed call gives its place away and its error to the caller', async () => {
    const scene = new Scene();
    const failing = scene.call('admin', 'failing');
    void scene.call('admin', 'next');
    await settle();
    await scene.end('failing', new Error('refused'));
    await expect(failing).rejects.toThrow('refused');
    expect(scene.inFlight).toEqual(['next']);
  });

  test('an operation that throws at once gives its place away as well', async () => {
    const scene = new Scene();
    const thrown = scene.gate.run({ lane: 'admin', name: 'x', deadlineMs: 1 }, () => {
      throw new Error('at once');
    });
    await expect(thrown).rejects.toThrow('at once');
    void scene.call('admin', 'next');
    await settle();
    expect(scene.inFlight).toEqual(['next']);
    expect(scene.clock.nextTimerIn).toBe(1000);
  });
});

describe('deadlines', () => {
  test('a call that takes too long is reported when the deadline passes and when it ends', async () => {
    const scene = new Scene();
    const slow = scene.call('connect', 'slow', 3000);
    await scene.clock.advance(2999);
    expect(scene.overdue).toEqual([]);
    await scene.clock.advance(2);
    const report = { name: 'slow', lane: 'connect' };
    expect(scene.overdue).toEqual([{ ...report, runningMs: 3000, ended: false }]);
    await scene.clock.advance(5000);
    expect(scene.inFlight).toEqual(['slow']);
    await scene.end('slow');
    await expect(slow).resolves.toBe('slow done');
    expect(scene.overdue.at(-1)).toEqual({ ...report, runningMs: 8001, ended: true });
    expect(scene.overdue).toHaveLength(2);
  });

  test('time spent waiting for a place does not count', async () => {
    const scene = new Scene();
    void scene.call('admin', 'first', 60_000);
    void scene.call('admin', 'second', 1000);
    await scene.clock.advance(5000);
    await scene.end('first');
    await scene.clock.advance(999);
    expect(scene.overdue).toEqual([]);
    await scene.clock.advance(1);
    expect(scene.overdue.map(({ name }) => name)).toEqual(['second']);
  });

  test('a call that ends in time leaves no timer behind', async () => {
    const scene = new Scene();
    void scene.call('admin', 'quick');
    await settle();
    await scene.end('quick');
    expect(scene.clock.nextTimerIn).toBeUndefined();
    expect(scene.overdue).toEqual([]);
  });
});

describe('idle', () => {
  test('resolves at once when nothing is in flight', async () => {
    await expect(new Scene().gate.idle()).resolves.toBeUndefined();
  });

  test('waits for what is in flight and what waits, in every lane', async () => {
    const scene = new Scene();
    let idle = false;
    for (const name of ['a', 'b']) void scene.call('admin', name);
    void scene.call('disconnect', 'd');
    await settle();
    void scene.gate.idle().then(() => {
      idle = true;
    });
    await scene.end('d');
    await scene.end('a');
    expect(idle).toBe(false);
    await scene.end('b', new Error('failed'));
    expect(idle).toBe(true);
  });
});

describe('finishing', () => {
  test('refuses what waits and what comes, but for disconnects', async () => {
    const scene = new Scene();
    const [running, waiting] = ['a', 'b'].map((name) => scene.call('admin', name));
    const disconnects = ['d', 'e'].map((name) => scene.call('disconnect', name));
    await settle();
    scene.gate.finish();
    await expect(waiting).rejects.toMatchObject({ code: 'ECANCELED' });
    await expect(scene.call('connect', 'c')).rejects.toMatchObject({ code: 'ECANCELED' });
    expect(scene.inFlight).toEqual(['a', 'd']);
    await scene.end('a');
    await scene.end('d');
    await scene.end('e');
    await expect(running).resolves.toBe('a done');
    await expect(Promise.all(disconnects)).resolves.toEqual(['d done', 'e done']);
    await expect(scene.gate.idle()).resolves.toBeUndefined();
  });
});

describe('sharing the thread pool out', () => {
  test.each([
    [undefined, 4],
    ['', 4],
    ['16', 16],
    ['nonsense', 1],
    ['0', 1],
    ['100000', 1024],
  ])('UV_THREADPOOL_SIZE=%s means %i threads', (setting, threads) => {
    expect(threadPoolSize(setting)).toBe(threads);
  });

  test.each([4, 5, 6, 8, 12, 16, 32, 64, 1024])(
    'of %i threads some stay free for Node, and each lane has one at least',
    (threads) => {
      const { connect, admin, disconnect } = laneLimits(threads);
      expect(connect + admin + disconnect).toBeLessThan(threads);
      for (const limit of [connect, admin, disconnect]) expect(limit).toBeGreaterThanOrEqual(1);
    },
  );

  test('connects take few threads, as the kernel makes one connection at a time', () => {
    expect(laneLimits(1024).connect).toBe(4);
  });

  test('a pool of one thread still lets every lane work', () => {
    expect(laneLimits(1)).toEqual({ connect: 1, admin: 1, disconnect: 1 });
  });
});
