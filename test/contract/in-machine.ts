/**
 * The contracts on the real thing, as a program: root, a kernel with NVMe over TCP, systemd, udevd,
 * journald, avahi-daemon and the native add-ons in a node_modules folder beside it. Bundle it, put it into the
 * virtual machine and run it there, also under `node --jitless`:
 *
 *     node in-machine.mjs            prints one line of JSON for each test, exits 1 if one failed
 *     node in-machine.mjs journal    (started by the first) logs to the journal
 *     node in-machine.mjs stdout     (started by the first) logs to standard output
 *     node in-machine.mjs notify     (started by the first) a service that notifies
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { KernelDevices } from '../../src/platform/devices.ts';
import { loadKoffi } from '../../src/platform/koffi.ts';
import { createLog } from '../../src/platform/journal.ts';
import { SystemdServiceManager } from '../../src/platform/service-manager.ts';
import type { DeviceEvent } from '../../src/ports/devices.ts';
import { MemoryLog } from '../fakes/log.ts';
import { avahiWorld } from './avahi-world.ts';
import { until } from './contract.ts';
import type { Contract } from './contract.ts';
import { devicesContract } from './devices.contract.ts';
import { realHostContracts } from './host-worlds.ts';
import { serviceBrowserContract } from './service-browser.contract.ts';
import { kernelNetworkWorld } from './network-worlds.ts';
import { networkContract } from './network.contract.ts';
import { nvmetWorld, setUpTarget, tearDownTarget } from './nvmet-world.ts';

const HOSTILE = 'first\nsecond\u0000third\u001b[31m \ud800';
const HOSTILE_LINE = 'first\\nsecond\\x00third\\x1b[31m \\u{d800}';

/** Runs this program in another mode as a transient service; returns its unit when it ended. */
function runAsService(mode: string, argument: string): string {
  const unit = `contract-${randomBytes(4).toString('hex')}.service`;
  const { status, stderr } = spawnSync(
    'systemd-run',
    [`--unit=${unit}`, '--wait', '--quiet', '--collect', ...command(mode, argument)],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return unit;
}

function command(...args: readonly string[]): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? '', ...args];
}

/** Entries of the journal that have this field. */
function entriesWith(field: string): readonly Readonly<Record<string, unknown>>[] {
  execFileSync('journalctl', ['--sync']);
  const text = execFileSync('journalctl', ['-o', 'json', '--no-pager', field], {
    encoding: 'utf8',
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

function show(unit: string, property: string): string {
  return execFileSync('systemctl', ['show', '-P', property, unit], { encoding: 'utf8' }).trim();
}

function logContract(): Contract {
  return {
    name: 'log: journald',
    tests: [
      {
        title: 'finds an entry by its NVMe fields, with priority and name, as one entry',
        run: () => {
          const nqn = `nqn.2014-08.org.example:${randomBytes(6).toString('hex')}`;
          runAsService('journal', nqn);
          const entries = entriesWith(`NVME_SUBSYSNQN=${nqn}`);
          const picked = entries.map((entry) => [
            entry['PRIORITY'],
            entry['MESSAGE'],
            entry['SYSLOG_IDENTIFIER'],
            entry['NVME_DEVICE'],
          ]);
          assert.deepEqual(picked, [
            ['3', 'error', 'contract', 'nvme7'],
            ['4', 'warning', 'contract', undefined],
            ['5', 'notice', 'contract', undefined],
            ['6', HOSTILE_LINE, 'contract', undefined],
            ['7', 'debug', 'contract', undefined],
          ]);
          return Promise.resolve();
        },
      },
      {
        title: 'gives the priority of lines on a standard output that is the journal',
        run: () => {
          const word = randomBytes(6).toString('hex');
          const unit = runAsService('stdout', word);
          const entries = entriesWith(`_SYSTEMD_UNIT=${unit}`).filter((entry) =>
            String(entry['MESSAGE']).startsWith(word),
          );
          const picked = entries.map((entry) => [entry['PRIORITY'], entry['MESSAGE']]);
          assert.deepEqual(picked, [
            ['3', `${word} error`],
            ['6', `${word} ${HOSTILE_LINE}`],
          ]);
          return Promise.resolve();
        },
      },
    ],
  };
}

function serviceManagerContract(): Contract {
  return {
    name: 'service manager: systemd',
    tests: [
      {
        title: 'hears that a service is ready, reloads, is alive and stops',
        run: async () => {
          const unit = `contract-${randomBytes(4).toString('hex')}.service`;
          // systemd-run returns when the service is ready: Type=notify waits for READY=1.
          execFileSync('systemd-run', [
            `--unit=${unit}`,
            '--quiet',
            ...['-p', 'Type=notify-reload', '-p', 'NotifyAccess=main', '-p', 'WatchdogSec=60'],
            ...command('notify'),
          ]);
          try {
            assert.equal(show(unit, 'ActiveState'), 'active');
            assert.match(show(unit, 'StatusText'), /^watchdog 30000.*MAINPID=1$/);
            assert.notEqual(show(unit, 'MainPID'), '1');
            const before = show(unit, 'WatchdogTimestampMonotonic');
            await until('a keep-alive', () => show(unit, 'WatchdogTimestampMonotonic') !== before);
            // Returns when the service has said RELOADING with the right time, and READY.
            execFileSync('systemctl', ['reload', unit]);
            assert.equal(show(unit, 'StatusText'), 'reloaded');
          } finally {
            execFileSync('systemctl', ['stop', unit]);
          }
          assert.notEqual(show(unit, 'Result'), 'watchdog');
        },
      },
    ],
  };
}

/** Descriptors of this process that are attributes of sysfs. */
function openAttributes(): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('/sys/')).length;
}

/** What a descriptor of this process is; empty if it was closed meanwhile. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** Makes the buffers of this process's sockets of uevents as small as the kernel lets them be. */
function shrinkUeventBuffers(): void {
  const NETLINK_KOBJECT_UEVENT = '15';
  const [SOL_SOCKET, SO_RCVBUF] = [1, 8];
  const inodes = readFileSync('/proc/self/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1] === NETLINK_KOBJECT_UEVENT)
    .map((columns) => `socket:[${columns.at(-1) ?? ''}]`);
  const setsockopt = loadKoffi()
    .load('libc.so.6')
    .func('setsockopt', 'int', ['int', 'int', 'int', 'uint8_t *', 'uint32_t']);
  let shrunk = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    if (!inodes.includes(linkOf(fd))) continue;
    const result = setsockopt(Number(fd), SOL_SOCKET, SO_RCVBUF, Buffer.alloc(4), 4) as number;
    assert.equal(result, 0);
    shrunk += 1;
  }
  assert(shrunk > 0);
}

/** What only the real sysfs and udev can show. */
function kernelContract(devices: KernelDevices): Contract {
  return {
    name: 'devices: sysfs and udev',
    tests: [
      {
        title: 'keep no descriptor of a controller that is gone',
        run: async () => {
          const world = await nvmetWorld(devices);
          try {
            await devices.list();
            assert.equal(openAttributes(), 0);
            for (let round = 0; round < 3; round += 1) {
              const device = await world.connect();
              await devices.list();
              assert.equal(openAttributes(), 1);
              await world.disconnect(device);
              await devices.list();
              assert.equal(openAttributes(), 0);
            }
          } finally {
            await world.close();
          }
        },
      },
      {
        title: 'see nothing lost as long as nothing was',
        run: async () => {
          const seen: string[] = [];
          const subscription = devices.onEvent(({ kind }) => seen.push(kind));
          const world = await nvmetWorld(devices);
          for (let round = 0; round < 3; round += 1) {
            await world.disconnect(await world.connect());
            await devices.list();
          }
          await until('the last event', () => seen.filter((kind) => kind === 'remove').length >= 3);
          subscription.dispose();
          assert(!seen.includes('resync'));
        },
      },
      {
        title: 'ask for a look at everything, and hear again, after events were lost',
        run: async () => {
          const events: DeviceEvent[] = [];
          const subscription = devices.onEvent((event) => events.push(event));
          const world = await nvmetWorld(devices);
          try {
            const device = await world.connect();
            await until('the connection', () => events.some(({ kind }) => kind === 'nvme-event'));
            // As after a storm during which this process could not read: the buffer is full.
            shrinkUeventBuffers();
            execFileSync('sh', [
              '-c',
              `for i in $(seq 40); do echo change > /sys/class/nvme/${device}/uevent; done; udevadm settle`,
            ]);
            await devices.list();
            await until('resync', () => events.some(({ kind }) => kind === 'resync'));
            events.length = 0;
            await world.disconnect(device);
            await until('remove', () => events.some(({ kind }) => kind === 'remove'));
            await devices.list();
            assert(!events.some(({ kind }) => kind === 'resync'));
          } finally {
            subscription.dispose();
            await world.close();
          }
        },
      },
      {
        title: 'leave a controller out that the kernel has not connected yet, or show it as such',
        run: async () => {
          execFileSync('ip', ['link', 'add', 'contract0', 'type', 'dummy']);
          execFileSync('ip', ['link', 'set', 'contract0', 'up']);
          execFileSync('ip', ['addr', 'add', '198.51.100.1/24', 'dev', 'contract0']);
          try {
            const pending = run('nvme', [
              ...['connect', '-t', 'tcp', '-a', '198.51.100.77', '-s', '4420'],
              ...['-n', 'nqn.2014-08.org.example:nobody'],
            ]);
            const states = new Set<string>();
            const progress = { ended: false };
            void pending.then(() => (progress.ended = true));
            while (!progress.ended) {
              for (const controller of await devices.list()) {
                states.add(controller.state);
                assert.equal(controller.traddr, '198.51.100.77');
                assert.equal(controller.subsysnqn, '');
                assert.equal(controller.model, '');
              }
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
            assert.deepEqual(await devices.list(), []);
            assert(states.has('connecting'), [...states].join(', '));
          } finally {
            execFileSync('ip', ['link', 'del', 'contract0']);
          }
        },
      },
    ],
  };
}

/** Runs a program; resolves with its exit status, whatever that is. */
function run(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    spawn(program, args, { stdio: 'ignore' }).on('close', (status) => {
      resolve(status ?? -1);
    });
  });
}

async function runContracts(): Promise<boolean> {
  setUpTarget();
  const log = new MemoryLog();
  const devices = new KernelDevices({ log });
  const contracts = [
    ...realHostContracts(),
    devicesContract('sysfs and udev', () => nvmetWorld(devices)),
    kernelContract(devices),
    logContract(),
    serviceManagerContract(),
    networkContract('rtnetlink', kernelNetworkWorld),
    serviceBrowserContract('avahi-daemon', avahiWorld),
  ];
  let good = true;
  for (const { name, tests } of contracts) {
    for (const test of tests) {
      const started = performance.now();
      let error: string | undefined;
      try {
        await test.run();
      } catch (thrown) {
        good = false;
        error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      }
      const ms = Math.round(performance.now() - started);
      console.log(JSON.stringify({ contract: name, test: test.title, ms, error }));
    }
  }
  tearDownTarget();
  for (const { message } of log.lines) console.log(JSON.stringify({ contract: 'log', message }));
  return good && log.lines.length === 0;
}

function logToJournal(nqn: string): void {
  const log = createLog({ identifier: 'contract', syslog: true, tracing: true });
  log.error('error', { NVME_SUBSYSNQN: nqn, NVME_DEVICE: 'nvme7' });
  log.warning('warning', { NVME_SUBSYSNQN: nqn });
  log.notice('notice', { NVME_SUBSYSNQN: nqn });
  log.info(HOSTILE, { NVME_SUBSYSNQN: nqn });
  log.debug('debug', { NVME_SUBSYSNQN: nqn });
}

function logToStdout(word: string): void {
  const log = createLog({ identifier: 'contract', syslog: false });
  log.error(`${word} error`);
  log.info(`${word} ${HOSTILE}`);
  log.debug(`${word} not wanted`);
}

function notify(): void {
  const manager = new SystemdServiceManager({ log: new MemoryLog() });
  process.on('SIGHUP', () => {
    manager.reloading();
    manager.ready('reloaded');
  });
  process.on('SIGTERM', () => {
    manager.stopping();
    process.exit(0);
  });
  setInterval(() => {
    manager.watchdog();
  }, 200);
  manager.ready(`watchdog ${String(manager.watchdogInterval)}\nMAINPID=1`);
}

const [mode, argument = ''] = process.argv.slice(2);
switch (mode) {
  case undefined:
    // udev's monitor keeps the process alive, and is not to be closed.
    process.exit((await runContracts()) ? 0 : 1);
    break;
  case 'journal':
    logToJournal(argument);
    break;
  case 'stdout':
    logToStdout(argument);
    break;
  case 'notify':
    notify();
    break;
  default:
    throw new Error(`unknown mode ${mode}`);
}
