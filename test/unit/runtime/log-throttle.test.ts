import { expect, test } from 'vitest';
import { LogThrottle } from '../../../src/runtime/log-throttle.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { MemoryLog } from '../../fakes/log.ts';

test('a stranger can cause some twenty lines in ten minutes, each once', async () => {
  const clock = new FakeClock();
  const log = new MemoryLog();
  const lines = new LogThrottle(clock, log, 'complaints');
  for (let round = 0; round < 3; round += 1) {
    for (let count = 0; count < 500; count += 1) lines.say('error', `line ${String(count)}`);
  }
  expect(log.messages('error')).toHaveLength(20);
  expect(log.messages('warning')).toHaveLength(1);
  expect(log.messages('warning')[0]).toContain('more complaints');
  await clock.advance(600_000);
  lines.say('error', 'line 0');
  expect(log.messages('error')).toHaveLength(21);
});

test('tracing shows all', () => {
  const log = new MemoryLog(true);
  const lines = new LogThrottle(new FakeClock(), log, 'complaints');
  for (let count = 0; count < 500; count += 1) lines.say('error', `line ${String(count)}`);
  const shown = new Set(log.messages().filter((message) => message.startsWith('line')));
  expect(shown.size).toBe(500);
});
