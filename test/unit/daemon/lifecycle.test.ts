import { expect, test } from 'vitest';
import { Lifecycle } from '../../../src/daemon/lifecycle.ts';
import { settle } from '../../fakes/clock.ts';

/** A daemon whose start ends when the test says so. */
class Scene {
  readonly done: string[] = [];
  endStart: (error?: Error) => void = () => undefined;
  readonly lifecycle = new Lifecycle({
    start: () =>
      new Promise<void>((resolve, reject) => {
        this.done.push('start');
        this.endStart = (error) => {
          this.done.push('started');
          if (error === undefined) resolve();
          else reject(error);
        };
      }),
    reload: () => void this.done.push('reload'),
    stop: () => {
      this.done.push('stop');
      return Promise.resolve();
    },
  });
}

test('a reload during the start is made once, after it', async () => {
  const scene = new Scene();
  const started = scene.lifecycle.start();
  scene.lifecycle.reload();
  scene.lifecycle.reload();
  scene.endStart();
  await expect(started).resolves.toBe(true);
  expect(scene.done).toEqual(['start', 'started', 'reload']);
  scene.lifecycle.reload();
  expect(scene.done).toEqual(['start', 'started', 'reload', 'reload']);
});

test('a stop during the start waits for it, and forgets the reload', async () => {
  const scene = new Scene();
  const started = scene.lifecycle.start();
  scene.lifecycle.reload();
  const stopped = scene.lifecycle.stop();
  await settle();
  expect(scene.done).toEqual(['start']);
  scene.endStart();
  await expect(started).resolves.toBe(false);
  await stopped;
  expect(scene.done).toEqual(['start', 'started', 'stop']);
});

test('a start that fails because of a stop is no failure', async () => {
  const scene = new Scene();
  const started = scene.lifecycle.start();
  const stopped = scene.lifecycle.stop();
  scene.endStart(new Error('stopped'));
  await expect(started).resolves.toBe(false);
  await stopped;
  expect(scene.done).toEqual(['start', 'started', 'stop']);
});

test('a start that fails by itself fails', async () => {
  const scene = new Scene();
  const started = scene.lifecycle.start();
  scene.endStart(new Error('no bus'));
  await expect(started).rejects.toThrow('no bus');
});

test('there is one stop, and nothing after it', async () => {
  const scene = new Scene();
  const started = scene.lifecycle.start();
  scene.endStart();
  await started;
  const stops = [scene.lifecycle.stop(), scene.lifecycle.stop()];
  scene.lifecycle.reload();
  await Promise.all(stops);
  expect(scene.done).toEqual(['start', 'started', 'stop']);
});
