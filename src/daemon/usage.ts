import type { ProcessUsage } from '../runtime/process-info.ts';

const MICROSECONDS = 1e6;

/** What this process has used. */
export function processUsage(): ProcessUsage {
  const { system, user } = process.cpuUsage();
  const { heapUsed, rss } = process.memoryUsage();
  return {
    startedAt: Math.round(Date.now() / 1000 - process.uptime()),
    cpuSeconds: (system + user) / MICROSECONDS,
    residentBytes: rss,
    heapUsedBytes: heapUsed,
  };
}
