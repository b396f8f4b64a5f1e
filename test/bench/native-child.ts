/**
 * One measurement of test/bench/native.ts, in a process of its own that runs with the daemons' flags:
 * `native-child.ts SCENARIO COUNT RUNS` prints the milliseconds of CPU time of each run as JSON;
 * `native-child.ts serve COUNT ADDRESS` is stafd's object on a bus until its input ends.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processUsage } from '../../src/daemon/usage.ts';
import { decodeEntries } from '../../src/nvme/discovery-log.ts';
import { createSystemBus } from '../../src/platform/dbus/system-bus.ts';
import { SysfsControllers } from '../../src/platform/sysfs-controllers.ts';
import { STAFD_BUS_NAME, stafdObject } from '../../src/stafd/dbus-interface.ts';
import {
  logOf,
  portal,
  stacdScale,
  stafdScale,
  subsystem,
  type Scale,
  type StafdScale,
} from './scale-services.ts';
import { turns } from './scale-world.ts';

/** Makes ready, and gives what is measured: called anew for each run. */
type Scenario = (count: number) => Promise<() => Promise<void> | void>;

/** Entries in a log, where a service is to have many of them rather than many controllers. */
const LONG_LOG = 100;

async function started<T extends Scale & { readonly service: { start(): Promise<void> } }>(
  scale: T,
  count: number,
): Promise<T> {
  await scale.service.start();
  for (let second = 0; second < 1_000 && scale.connected() < count; second += 1) {
    await scale.clock.advance(1_000);
  }
  if (scale.connected() !== count) throw new Error('not all are connected');
  await scale.clock.advance(10_000);
  return scale;
}

function aPass(scale: Scale): () => Promise<void> {
  const { devices } = scale;
  return async () => {
    const lists = devices.lists;
    scale.mark();
    await scale.clock.advance(100);
    if (devices.lists !== lists + 1) throw new Error('there was not one pass');
  };
}

/** A tree as /sys has it. */
function makeSysfs(count: number): string {
  const root = mkdtempSync(join(tmpdir(), 'bench-sysfs-'));
  mkdirSync(join(root, 'class/nvme'), { recursive: true });
  for (let index = 0; index < count; index += 1) {
    const device = `nvme${String(index)}`;
    const directory = join(root, 'devices', device);
    mkdirSync(join(directory, `nvme${String(index)}c${String(index)}n1`), { recursive: true });
    const attributes = {
      transport: 'tcp',
      address: `traddr=${portal(index)},trsvcid=4420,src_addr=10.9.0.1`,
      uevent: `NVME_TRTYPE=tcp\nNVME_TRADDR=${portal(index)}\nNVME_TRSVCID=4420`,
      subsysnqn: subsystem(index),
      state: 'live',
      hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
      cntrltype: 'io',
    };
    for (const [name, text] of Object.entries(attributes)) {
      writeFileSync(join(directory, name), `${text}\n`);
    }
    symlinkSync(directory, join(root, 'class/nvme', device));
  }
  return root;
}

const stafd = (count: number): Promise<StafdScale> => started(stafdScale(count, 1), count);

const scenarios: Readonly<Record<string, Scenario>> = {
  decode: (count) => {
    const raw = logOf(count);
    return Promise.resolve(() => {
      if (decodeEntries(raw.entries, raw.count).entries.length !== count)
        throw new Error('refused');
    });
  },
  sysfs: async (count) => {
    const root = makeSysfs(count);
    process.once('exit', () => {
      rmSync(root, { recursive: true });
    });
    const sysfs = new SysfsControllers(root);
    await sysfs.list();
    return async () => {
      if ((await sysfs.list()).length !== count) throw new Error('some are missing');
    };
  },
  'stafd-pass': async (count) => aPass(await stafd(count)),
  'stacd-pass': async (count) => aPass(await started(stacdScale(count), count)),
  'stafd-events': async (count) => {
    const { clock, devices } = await stafd(count);
    const names = [...(await devices.instances()).keys()];
    return async () => {
      for (const device of names) devices.emit({ kind: 'aen', device, aen: 0x70f002 });
      await turns();
      await clock.advance(2_000);
    };
  },
  'stacd-start': (count) => {
    const scale = stacdScale(count);
    return Promise.resolve(async () => {
      await started(scale, count);
    });
  },
  'stacd-removal': async (count) => {
    const scale = await started(stacdScale(count), count);
    const { clock, devices } = scale;
    return async () => {
      scale.says(count / 2);
      await clock.advance(40_000);
      // What so many removals take: a second, younger statement.
      scale.says(count / 2);
      await clock.advance(5_000);
      if (devices.size !== count / 2) throw new Error('they are not removed');
    };
  },
  explain: async (count) => {
    const { service } = await started(stacdScale(count), count);
    return () => void service.explain();
  },
};

/** What can be done once only is made ready anew for each run. */
const ONCE: ReadonlySet<string> = new Set(['stacd-start', 'stacd-removal']);

async function measure(scenario: Scenario, count: number, runs: number, anew: boolean) {
  const took: number[] = [];
  let run = await scenario(count);
  // The first one finds its code.
  for (let at = -1; at < runs; at += 1) {
    if (anew && at >= 0) run = await scenario(count);
    const before = process.cpuUsage();
    await run();
    const { system, user } = process.cpuUsage(before);
    if (at >= 0) took.push((system + user) / 1_000);
  }
  return took;
}

async function serve(count: number, address: string): Promise<void> {
  const dcs = Math.max(1, count / LONG_LOG);
  const scale = await started(stafdScale(dcs, count / dcs), dcs);
  const { clock, service } = scale;
  const log = { tracing: false, setTracing: () => undefined };
  const none = () => undefined;
  const bus = await createSystemBus({ address });
  bus.export(
    stafdObject({
      clock,
      service,
      facts: () => ({
        lkcPath: '/run/last-known-config.json',
        usage: processUsage,
        fabricsOptions: new Set(),
        version: '1',
        libnvmeVersion: '1.13',
      }),
      log: { ...log, error: none, warning: none, notice: none, info: none, debug: none },
      present: () => ({ settings: scale.settings(''), problems: [], tracing: false }),
    }),
  );
  await bus.requestName(STAFD_BUS_NAME);
  process.stdout.write('ready\n');
  process.stdin.resume().once('end', () => process.exit());
}

const [name = '', count = '', last = ''] = process.argv.slice(2);
if (name === 'serve') {
  await serve(Number(count), last);
} else {
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const took = await measure(scenario, Number(count), Number(last), ONCE.has(name));
  process.stdout.write(JSON.stringify(took));
}
