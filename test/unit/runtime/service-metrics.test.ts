import { expect, it } from 'vitest';
import type { Failure, Report } from '../../../src/core/controller-model.ts';
import { metricRows, ServiceMetrics } from '../../../src/runtime/service-metrics.ts';
import { checkBody } from '../../../src/platform/dbus/values.ts';
import { processFacts } from '../service-kit.ts';

/** One of every kind, with this error. */
function reportsWith(error: Failure): Readonly<Record<Report['kind'], Report>> {
  const at = { device: 'nvme0' };
  const late = { error, first: true, delayMs: 1000 };
  return {
    connected: { kind: 'connected', ...at, adopted: false, attempts: 1 },
    'connect-failed': { kind: 'connect-failed', ...late, hungMs: undefined, stage: 'probe' },
    held: { kind: 'held', attempts: 1, error, stage: 'kernel' },
    lost: { kind: 'lost', ...at },
    interrupted: { kind: 'interrupted', ...at, state: 'connecting' },
    restored: { kind: 'restored', ...at, noticed: false },
    parting: { kind: 'parting', ...at, everyMs: 1000 },
    'op-failed': { kind: 'op-failed', ...late, op: 'read-log' },
    'op-refused': { kind: 'op-refused', op: 'register', error },
    disconnecting: { kind: 'disconnecting', ...at },
    disconnected: { kind: 'disconnected', ...at },
    spared: { kind: 'spared', ...at, why: 'the boot path' },
    'disconnect-failed': { kind: 'disconnect-failed', ...at, error },
  };
}

it('counts every report whatever it holds, without an error, and can tell it on the bus', () => {
  const metrics = new ServiceMetrics();
  const codes = ['', '__proto__', 'constructor', '\u0000"\\', 'x'.repeat(100_000), '\ud800'];
  const many = Array.from({ length: 2_000 }, (_, index) => `E${String(index)}`);
  for (const code of [...codes, ...many]) {
    const reports = reportsWith({ code, message: '', errorClass: 'retry' });
    for (const report of Object.values(reports)) {
      expect(() => {
        metrics.note(report);
      }).not.toThrow();
    }
  }
  const picture = { controllers: { all: () => [] }, queueLength: 0 };
  const families = [...metrics.common(picture, []), ...metrics.discovery()];
  const total = families
    .find(({ name }) => name === 'nvme_stas_connect_failures_total')
    ?.samples.reduce((sum, { value }) => sum + value, 0);
  // Both `connect-failed` and `held` are.
  expect(total).toBe(2 * (codes.length + many.length));
  const rows = metricRows('stacd', families, processFacts('stacd'));
  expect(rows.length).toBeGreaterThan(families.length);
  expect(() => checkBody('aa{sv}', [rows])).not.toThrow();
});
