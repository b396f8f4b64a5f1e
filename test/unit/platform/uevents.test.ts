import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KernelDevices } from '../../../src/platform/devices.ts';
import { toDeviceEvents } from '../../../src/platform/uevents.ts';
import type { UdevModule } from '../../../src/platform/uevents.ts';
import type { DeviceEvent } from '../../../src/ports/devices.ts';
import { settle } from '../../fakes/clock.ts';
import { MemoryLog } from '../../fakes/log.ts';

const NVME0 = '/sys/devices/virtual/nvme-fabrics/ctl/nvme0';

describe('a uevent', () => {
  test.each(['add', 'remove'] as const)('%s of a controller', (action) => {
    const events = toDeviceEvents('nvme', action, { syspath: NVME0 });
    expect(events).toEqual([{ kind: action, device: 'nvme0' }]);
  });

  test('change with NVME_EVENT', () => {
    const properties = { syspath: NVME0, NVME_EVENT: 'connected' };
    expect(toDeviceEvents('nvme', 'change', properties)).toEqual([
      { kind: 'nvme-event', device: 'nvme0', event: 'connected' },
    ]);
  });

  test('change with NVME_AEN', () => {
    expect(toDeviceEvents('nvme', 'change', { syspath: NVME0, NVME_AEN: '0x70f002' })).toEqual([
      { kind: 'aen', device: 'nvme0', aen: 0x70f002 },
    ]);
  });

  test.each(['', 'x', '0x', '-1', '0x70f002f002'])('NVME_AEN of "%s" says nothing', (aen) => {
    expect(toDeviceEvents('nvme', 'change', { syspath: NVME0, NVME_AEN: aen })).toEqual([]);
  });

  test('change without a property of NVMe says nothing', () => {
    expect(toDeviceEvents('nvme', 'change', { syspath: NVME0 })).toEqual([]);
  });

  test('of what is no controller says nothing', () => {
    for (const syspath of ['/sys/devices/x/nvme0n1', '/sys/devices/virtual/nvme-fabrics/ctl', '']) {
      expect(toDeviceEvents('nvme', 'add', { syspath })).toEqual([]);
    }
  });

  test('of Fibre Channel names both ports', () => {
    const properties = {
      syspath: '/sys/devices/virtual/fc/fc_udev_device',
      FC_EVENT: 'nvmediscovery',
      NVMEFC_HOST_TRADDR: 'nn-0x1:pn-0x2',
      NVMEFC_TRADDR: 'nn-0x3:pn-0x4',
    };
    expect(toDeviceEvents('fc', 'change', properties)).toEqual([
      { kind: 'fc-discovery', hostTraddr: 'nn-0x1:pn-0x2', traddr: 'nn-0x3:pn-0x4' },
    ]);
    expect(toDeviceEvents('fc', 'change', { ...properties, FC_EVENT: 'other' })).toEqual([]);
    expect(toDeviceEvents('fc', 'change', { ...properties, NVMEFC_TRADDR: '' })).toEqual([]);
  });
});

/** A process directory of procfs in which each monitor has a socket, and a udev to go with it. */
class FakeUdev implements UdevModule {
  readonly proc = mkdtempSync(join(tmpdir(), 'proc-'));
  readonly monitors: { readonly subsystem: string; readonly emitter: EventEmitter }[] = [];
  readonly drops: number[] = [];

  constructor() {
    mkdirSync(join(this.proc, 'fd'));
    mkdirSync(join(this.proc, 'net'));
    this.writeTable();
  }

  failure: Error | undefined;

  monitor(subsystem: string): EventEmitter {
    if (this.failure !== undefined) throw this.failure;
    const emitter = new EventEmitter();
    symlinkSync(
      `socket:[${1000 + this.monitors.length}]`,
      join(this.proc, 'fd', String(this.monitors.length)),
    );
    this.monitors.push({ subsystem, emitter });
    this.drops.push(0);
    this.writeTable();
    return emitter;
  }

  writeTable(): void {
    const rows = this.drops.map((dropped, index) => row(15, dropped, 1000 + index));
    // Others' sockets: another process's monitor, and another protocol's.
    rows.push(row(15, 99, 77), row(0, 99, 1000));
    const head = 'sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode';
    writeFileSync(join(this.proc, 'net', 'netlink'), `${[head, ...rows].join('\n')}\n`);
  }

  /** The kernel found the socket of this monitor full. */
  drop(monitor: number, messages: number): void {
    this.drops[monitor] = (this.drops[monitor] ?? 0) + messages;
    this.writeTable();
  }

  send(monitor: number, action: string, properties: Readonly<Record<string, string>>): void {
    this.monitors[monitor]?.emitter.emit(action, properties);
  }
}

function row(protocol: number, dropped: number, inode: number): string {
  return `0000000018a8f869 ${protocol}  42  00000002 0        0        0     2        ${dropped}        ${inode}       `;
}

/** Adds nvme0; what is returned gives it another source address. */
function addLive(sysfs: string): (source: string) => void {
  const directory = join(sysfs, 'class', 'nvme', 'nvme0');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'state'), 'live\n');
  writeFileSync(join(directory, 'uevent'), 'NVME_TRTYPE=tcp\nNVME_TRADDR=192.0.2.1\n');
  return (source) => {
    writeFileSync(join(directory, 'address'), `traddr=192.0.2.1,src_addr=${source}\n`);
  };
}

describe('the devices of the kernel', () => {
  let udev: FakeUdev;
  let log: MemoryLog;
  let events: DeviceEvent[];
  let devices: KernelDevices;
  /** Lines of the log. */
  let expected: readonly string[] = [];

  beforeEach(() => {
    udev = new FakeUdev();
    log = new MemoryLog();
    events = [];
    devices = new KernelDevices({ log, loadUdev: () => udev, proc: udev.proc, sysfs: udev.proc });
  });

  afterEach(() => {
    rmSync(udev.proc, { recursive: true });
    expect(log.messages()).toEqual(expected);
    expected = [];
  });

  test('are not listened to before somebody asks', () => {
    expect(udev.monitors).toEqual([]);
    devices.onEvent(() => undefined);
    expect(udev.monitors.map(({ subsystem }) => subsystem)).toEqual(['nvme', 'fc']);
    devices.onEvent(() => undefined);
    expect(udev.monitors).toHaveLength(2);
  });

  test('tell their events in order, from the event loop and not from inside the add-on', async () => {
    devices.onEvent((event) => void events.push(event));
    udev.send(0, 'add', { syspath: NVME0 });
    udev.send(0, 'change', { syspath: NVME0, NVME_EVENT: 'connected', NVME_AEN: '0x70f002' });
    udev.send(0, 'remove', { syspath: NVME0 });
    expect(events).toEqual([]);
    await settle();
    expect(events.map(({ kind }) => kind)).toEqual(['add', 'nvme-event', 'aen', 'remove']);
  });

  test('have their source address read again when they were connected anew, or events were lost', async () => {
    const use = addLive(udev.proc);
    use('192.0.2.7');
    await devices.list();
    // An event may have been missed.
    use('192.0.2.8');
    devices.onEvent(() => undefined);
    await devices.list();
    use('192.0.2.9');
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.8' }]);
    udev.send(0, 'change', { syspath: NVME0, NVME_EVENT: 'connected' });
    await settle();
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.9' }]);
    use('192.0.2.10');
    udev.drop(0, 1);
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.10' }]);
    use('192.0.2.11');
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.10' }]);
  });

  test('have it read again once a minute while events cannot be listened to', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const use = addLive(udev.proc);
      use('192.0.2.8');
      devices.onEvent(() => undefined);
      await devices.list();
      udev.failure = new Error('too many open files');
      udev.drop(0, 1);
      use('192.0.2.9');
      expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.9' }]);
      use('192.0.2.10');
      vi.advanceTimersByTime(59_999);
      expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.9' }]);
      vi.advanceTimersByTime(1);
      expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.10' }]);
      udev.failure = undefined;
      use('192.0.2.11');
      expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.11' }]);
    } finally {
      vi.useRealTimers();
    }
    expected = ['no device events, changes are found by looking every minute: too many open files'];
  });

  test('tell nothing to a listener that was disposed of', async () => {
    const subscription = devices.onEvent((event) => void events.push(event));
    devices.onEvent(() => undefined);
    udev.send(0, 'add', { syspath: NVME0 });
    subscription.dispose();
    subscription.dispose();
    await settle();
    expect(events).toEqual([]);
  });

  test('ask for a look at everything, and listen anew, when events were lost', async () => {
    devices.onEvent((event) => void events.push(event));
    await devices.list();
    await settle();
    expect(events).toEqual([]);

    udev.drop(0, 3);
    await devices.list();
    await settle();
    expect(events).toEqual([{ kind: 'resync', why: '3 uevents were lost' }]);
    expect(udev.monitors).toHaveLength(4);

    // The old monitors are deaf or drained late: only the new ones count.
    udev.send(0, 'add', { syspath: NVME0 });
    udev.send(2, 'remove', { syspath: NVME0 });
    await devices.list();
    await settle();
    expect(events.slice(1)).toEqual([{ kind: 'remove', device: 'nvme0' }]);
    expect(udev.monitors).toHaveLength(4);

    udev.drop(3, 1);
    await devices.list();
    await settle();
    expect(events.at(-1)).toEqual({ kind: 'resync', why: '1 uevents were lost' });
    expect(udev.monitors).toHaveLength(6);
  });

  test('are listed also while listening anew fails, which is tried again', async () => {
    devices.onEvent((event) => void events.push(event));
    udev.drop(0, 3);
    udev.failure = new Error('too many open files');
    expect(await devices.list()).toEqual([]);
    expect(await devices.list()).toEqual([]);
    // The one of Fibre Channel has lost nothing and goes on.
    const properties = { FC_EVENT: 'nvmediscovery', NVMEFC_HOST_TRADDR: 'a', NVMEFC_TRADDR: 'b' };
    udev.send(1, 'change', properties);
    await settle();
    expect(events.map(({ kind }) => kind)).toEqual(['resync', 'resync', 'fc-discovery']);

    udev.failure = undefined;
    await devices.list();
    udev.send(2, 'add', { syspath: NVME0 });
    await settle();
    expect(events.at(-1)).toEqual({ kind: 'add', device: 'nvme0' });
    expected = ['no device events, changes are found by looking every minute: too many open files'];
  });

  test('do not take ever more monitors, however often events are lost', async () => {
    devices.onEvent((event) => void events.push(event));
    for (let loss = 0; loss < 300; loss += 1) {
      udev.drop(udev.monitors.length - 1, 1);
      expect(await devices.list()).toEqual([]);
    }
    expect(udev.monitors).toHaveLength(256);
    expected = [
      'no device events, changes are found by looking every minute: ' +
        'too many uevents were lost to listen anew once more',
    ];
  });
});

test('without udev, there is one warning, and the list', async () => {
  const log = new MemoryLog();
  const devices = new KernelDevices({
    log,
    sysfs: '/nonexistent',
    loadUdev: () => {
      throw new Error('libudev.so.1: cannot open');
    },
  });
  devices.onEvent(() => undefined);
  devices.onEvent(() => undefined);
  expect(log.messages()).toEqual([
    'no device events, changes are found by looking every minute: libudev.so.1: cannot open',
  ]);
  expect(await devices.list()).toEqual([]);
});

test('without udev, the source address is read again once a minute', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const sysfs = mkdtempSync(join(tmpdir(), 'sysfs-'));
  try {
    const use = addLive(sysfs);
    const loadUdev = (): never => {
      throw new Error('libudev.so.1: cannot open');
    };
    const devices = new KernelDevices({ log: new MemoryLog(), sysfs, loadUdev });
    devices.onEvent(() => undefined);
    use('192.0.2.8');
    await devices.list();
    use('192.0.2.9');
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.8' }]);
    vi.advanceTimersByTime(60_000);
    expect(await devices.list()).toMatchObject([{ srcAddr: '192.0.2.9' }]);
  } finally {
    vi.useRealTimers();
    rmSync(sysfs, { recursive: true });
  }
});
