import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemResolver } from '../../../src/platform/resolver.ts';

type Found = readonly { readonly address: string }[];

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function systemError(code: string): Error {
  return Object.assign(new Error(`getaddrinfo ${code}`), { code, errno: -3008 });
}

test('gives each address once, in the order of the system', async () => {
  const found = ['192.0.2.1', '192.0.2.1', '2001:db8::1'].map((address) => ({ address }));
  const resolver = new SystemResolver({ lookup: () => Promise.resolve(found) });
  expect(await resolver.resolve('dc')).toEqual(['192.0.2.1', '2001:db8::1']);
});

test.each(['ENOTFOUND', 'EAI_AGAIN', 'EINVAL'])('%s is worth another try', async (code) => {
  const resolver = new SystemResolver({ lookup: () => Promise.reject(systemError(code)) });
  await expect(resolver.resolve('dc')).rejects.toMatchObject({
    name: 'PortError',
    code,
    errorClass: 'retry',
  });
});

test('a name without an address is worth another try', async () => {
  const resolver = new SystemResolver({ lookup: () => Promise.resolve([]) });
  await expect(resolver.resolve('dc')).rejects.toMatchObject({ code: 'ENODATA' });
});

test('a look-up that hangs is given up, joined by the next, and heard when it ends', async () => {
  const started: string[] = [];
  let answer: (found: Found) => void = () => undefined;
  const resolver = new SystemResolver({
    timeLimit: 1000,
    lookup: (name) => {
      started.push(name);
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  const first = expect(resolver.resolve('dc')).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  await vi.advanceTimersByTimeAsync(1000);
  await first;
  const second = resolver.resolve('dc');
  expect(started).toEqual(['dc']);
  answer([{ address: '192.0.2.1' }]);
  expect(await second).toEqual(['192.0.2.1']);

  const third = resolver.resolve('dc');
  expect(started).toEqual(['dc', 'dc']);
  answer([{ address: '192.0.2.2' }]);
  expect(await third).toEqual(['192.0.2.2']);
});
