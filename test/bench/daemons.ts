/** Both daemons' bus objects on a real bus, their services among fakes with many controllers. */
import { createSystemBus, type SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { StacdBench } from '../unit/stacd/bench.ts';
import { StafdBench } from '../unit/stafd/bench.ts';

/** Entries in the log of each discovery controller. */
export const ENTRIES = 8;

/** The first of the discovery controllers, as the commands take it. */
export const FIRST = { traddr: dcAddress(0), trsvcid: '8009', subsysnqn: 'nqn.dc' };

function dcAddress(index: number): string {
  return `10.0.${String(index >> 8)}.${String(index & 255)}`;
}

function iocAddress(index: number): string {
  return `10.1.${String(index >> 8)}.${String(index & 255)}`;
}

function subsystem(index: number): string {
  return `nqn.2024-01.org.example:storage-array-0042:subsystem-${String(index)}`;
}

function configuration(lines: readonly string[]): string {
  return `[Controllers]\n${lines.map((line) => `controller=transport=tcp;${line}\n`).join('')}`;
}

/** `count` connected controllers each. */
export async function serveDaemons(address: string, count: number): Promise<readonly SystemBus[]> {
  const all = Array.from({ length: count }, (_, index) => index);
  return [await serveStafd(address, all), await serveStacd(address, all)];
}

async function serveStafd(address: string, all: readonly number[]): Promise<SystemBus> {
  const text = configuration(all.map((index) => `traddr=${dcAddress(index)};nqn=nqn.dc`));
  const bench = new StafdBench(text);
  const entries = Array.from({ length: ENTRIES }, (_, index) => ({
    traddr: iocAddress(index),
    subnqn: subsystem(index),
  }));
  for (const index of all) bench.target(dcAddress(index), { entries });
  await bench.start();
  mustBe(all.length, bench.connected.length);
  const bus = await createSystemBus({ address });
  await bench.publish(bus, text);
  return bus;
}

async function serveStacd(address: string, all: readonly number[]): Promise<SystemBus> {
  const text = configuration(
    all.map((index) => `traddr=${iocAddress(index)};trsvcid=4420;nqn=${subsystem(index)}`),
  );
  const bench = new StacdBench(text);
  for (const index of all) bench.target(iocAddress(index), subsystem(index));
  await bench.start();
  mustBe(all.length, bench.connected.length);
  const bus = await createSystemBus({ address });
  await bench.publish(bus, text);
  return bus;
}

function mustBe(wanted: number, connected: number): void {
  if (connected === wanted) return;
  throw new Error(`${String(connected)} of ${String(wanted)} controllers are connected`);
}
