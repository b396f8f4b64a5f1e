import { expect, test } from 'vitest';
import { SystemdServiceManager } from '../../../src/platform/service-manager.ts';
import { MemoryLog } from '../../fakes/log.ts';

function manager(
  env: Readonly<Record<string, string>>,
  notify: (state: string) => number = () => 1,
): { manager: SystemdServiceManager; log: MemoryLog; loads: () => number } {
  const log = new MemoryLog();
  let loads = 0;
  return {
    manager: new SystemdServiceManager({
      log,
      env,
      pid: 42,
      loadNotify: () => {
        loads += 1;
        return notify;
      },
    }),
    log,
    loads: () => loads,
  };
}

test('outside of a service nothing is loaded and nothing is sent', () => {
  const { manager: none, log, loads } = manager({}, () => expect.fail('sent'));
  none.ready('x');
  none.watchdog();
  none.stopping();
  expect(loads()).toBe(0);
  expect(log.lines).toEqual([]);
});

test('tells each state in the protocol of sd_notify', () => {
  const sent: string[] = [];
  const { manager: systemd, log } = manager({ NOTIFY_SOCKET: '@x' }, (state) => sent.push(state));
  systemd.ready('3 controllers');
  systemd.status('4 controllers');
  const before = process.hrtime.bigint() / 1000n;
  systemd.reloading();
  const after = process.hrtime.bigint() / 1000n;
  systemd.watchdog();
  systemd.stopping();
  const [ready, status, reloading, watchdog, stopping] = sent;
  expect([ready, status, watchdog, stopping]).toEqual([
    'READY=1\nSTATUS=3 controllers',
    'STATUS=4 controllers',
    'WATCHDOG=1',
    'STOPPING=1',
  ]);
  const usec = BigInt(/^RELOADING=1\nMONOTONIC_USEC=([0-9]+)$/.exec(reloading ?? '')?.[1] ?? 0);
  expect(usec >= before && usec <= after).toBe(true);
  expect(log.lines).toEqual([]);
});

test('a status with a newline makes no assignment of its own', () => {
  const sent: string[] = [];
  const { manager: systemd } = manager({ NOTIFY_SOCKET: '@x' }, (state) => sent.push(state));
  systemd.status('fine\nMAINPID=1');
  expect(sent).toEqual(['STATUS=fine\\nMAINPID=1']);
});

test('a failure is said once', () => {
  const { manager: systemd, log } = manager({ NOTIFY_SOCKET: '/gone' }, () => -2);
  systemd.ready('x');
  systemd.watchdog();
  expect(log.messages()).toEqual(['cannot notify the service manager: errno 2']);
});

test('a library that is missing is said once, and the daemon goes on', () => {
  const log = new MemoryLog();
  const systemd = new SystemdServiceManager({
    log,
    env: { NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '2000000' },
    pid: 42,
    loadNotify: () => {
      throw new Error('libsystemd.so.0: not found');
    },
  });
  systemd.ready('x');
  expect(systemd.watchdogInterval).toBe(1000);
  expect(log.messages()).toEqual(['cannot notify the service manager: libsystemd.so.0: not found']);
});

test.each<[Readonly<Record<string, string>>, number | undefined]>([
  [{ WATCHDOG_USEC: '30000000' }, 15_000],
  [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' }, 15_000],
  [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '43' }, undefined],
  [{ WATCHDOG_USEC: '0' }, undefined],
  [{ WATCHDOG_USEC: 'soon' }, undefined],
  [{}, undefined],
])('with %j the watchdog wants a sign every %s ms', (env, expected) => {
  expect(manager(env).manager.watchdogInterval).toBe(expected);
});
