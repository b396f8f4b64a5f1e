/** The host's ports for their contracts: the real adapters, which run anywhere, and the fakes. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTid } from '../../src/nvme/transport-id.ts';
import type { TransportId } from '../../src/nvme/transport-id.ts';
import { AcpiTables } from '../../src/platform/acpi-tables.ts';
import { AvahiBrowser } from '../../src/platform/avahi/service-browser.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { TcpProber } from '../../src/platform/prober.ts';
import { SystemResolver } from '../../src/platform/resolver.ts';
import { DiskStateFile } from '../../src/platform/state-file.ts';
import { FakeClock } from '../fakes/clock.ts';
import { PortError } from '../../src/ports/errors.ts';
import { FakeBootFirmware, FakeProber, FakeResolver, MemoryStateFile } from '../fakes/host.ts';
import { MemoryLog } from '../fakes/log.ts';
import { bootFirmwareContract } from './boot-firmware.contract.ts';
import { FakeAvahi } from '../fakes/fake-avahi.ts';
import { FakeBusDaemon } from '../fakes/fake-bus.ts';
import { FakeServiceBrowser } from '../fakes/service-browser.ts';
import { clockContract } from './clock.contract.ts';
import type { Contract } from './contract.ts';
import { startIcServer } from './nvme-tcp-server.ts';
import { proberContract } from './prober.contract.ts';
import { resolverContract } from './resolver.contract.ts';
import { serviceBrowserContract, type ServiceBrowserWorld } from './service-browser.contract.ts';
import { stateFileContract } from './state-file.contract.ts';

/** What the adapters must do, with no more than a loopback interface and a writable /tmp. */
export function realHostContracts(): readonly Contract[] {
  return [
    clockContract('of the system', () => {
      const clock = new SystemClock();
      const pass = async (ms: number): Promise<void> => {
        const end = clock.now() + ms;
        // The clock's own timers keep no process alive, these do.
        while (clock.now() < end) await sleep(5);
      };
      return { clock, pass };
    }),
    resolverContract('of the system', () => ({
      resolver: new SystemResolver(),
      known: 'localhost',
      // RFC 1035, 2.3.4: a label is too long for any name server to be asked.
      unknown: `${'x'.repeat(64)}.invalid`,
    })),
    proberContract('on TCP', async () => {
      const server = await startIcServer();
      const unused = await startIcServer();
      await unused.close();
      const log = new MemoryLog();
      return {
        prober: new TcpProber({ log, timeLimit: 20_000 }),
        live: localTid(server.port),
        refusing: localTid(unused.port),
        close: async () => {
          await server.close();
          if (log.lines.length > 0) throw new Error(log.messages().join('\n'));
        },
      };
    }),
    stateFileContract('on disk', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'contract-'));
      return {
        file: new DiskStateFile(join(directory, 'run', 'state.json')),
        close: () => rm(directory, { recursive: true }),
      };
    }),
    bootFirmwareContract('in sysfs', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'contract-'));
      const tables = join(directory, 'tables');
      const put = async (name: string, bytes: Uint8Array): Promise<void> => {
        await mkdir(tables, { recursive: true });
        await writeFile(join(tables, 'DSDT'), 'another table', { mode: 0o400, flag: 'as' });
        await writeFile(join(tables, name), bytes, { mode: 0o400 });
      };
      return {
        firmware: new AcpiTables(tables),
        add: put,
        addUnreadable: (name) => put(name, new Uint8Array(1024 * 1024 + 1)),
        close: () => rm(directory, { recursive: true }),
      };
    }),
  ];
}

export function fakeHostContracts(): readonly Contract[] {
  return [
    clockContract('the fake', () => {
      const clock = new FakeClock();
      return { clock, pass: (ms) => clock.advance(ms) };
    }),
    resolverContract('the fake', () => {
      const resolver = new FakeResolver();
      resolver.set('dc.example.net', '192.0.2.1', '2001:db8::1');
      return { resolver, known: 'dc.example.net', unknown: 'no-such-host.invalid' };
    }),
    proberContract('the fake', () => {
      const prober = new FakeProber();
      prober.setUnreachable('127.0.0.1', '4421', 'ECONNREFUSED');
      const close = (): Promise<void> => Promise.resolve();
      return Promise.resolve({ prober, live: localTid(4420), refusing: localTid(4421), close });
    }),
    stateFileContract('the fake', () =>
      Promise.resolve({ file: new MemoryStateFile(), close: () => Promise.resolve() }),
    ),
    bootFirmwareContract('the fake', () => {
      const firmware = new FakeBootFirmware();
      return Promise.resolve({
        firmware,
        add: (name: string, bytes: Uint8Array) => {
          firmware.set(name, bytes);
          return Promise.resolve();
        },
        addUnreadable: (name: string) => {
          const details = { code: 'EIO', errorClass: 'retry' } as const;
          firmware.set(name, new PortError('cannot read it: EIO', details));
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      });
    }),
    serviceBrowserContract('the fake', () => Promise.resolve(fakeServices())),
    serviceBrowserContract('Avahi, the fake one', fakeAvahi),
  ];
}

function fakeServices(): ServiceBrowserWorld {
  const browser = new FakeServiceBrowser();
  return {
    browser,
    announce: (name, type, port, txt) => {
      const recordOf = (texts: readonly string[]) => {
        return { address: '192.0.2.1', port, txt: texts.map((text) => Buffer.from(text)) };
      };
      const rest = { interfaceName: 'eth0', family: 'ipv4' } as const;
      const announced = browser.announce({ ...rest, name, type, record: recordOf(txt) });
      return Promise.resolve({
        change: (texts) => {
          announced.change(recordOf(texts));
          return Promise.resolve();
        },
        withdraw: () => {
          announced.withdraw();
          return Promise.resolve();
        },
      });
    },
    pass: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

async function fakeAvahi(): Promise<ServiceBrowserWorld> {
  const clock = new FakeClock();
  const daemon = new FakeBusDaemon(clock);
  const avahi = await new FakeAvahi(daemon, clock).start();
  const bus = daemon.connect();
  const log = new MemoryLog();
  return {
    browser: new AvahiBrowser({ bus, clock, log, interfaceName: () => 'eth0' }),
    announce: (name, type, port, txt) => {
      const announcement = { name, type, port, txt, addresses: ['192.0.2.1'] } as const;
      const { withdraw } = avahi.announce(announcement);
      return Promise.resolve({
        change: (texts) => {
          avahi.change({ ...announcement, txt: texts });
          return Promise.resolve();
        },
        withdraw: () => {
          withdraw();
          return Promise.resolve();
        },
      });
    },
    pass: (ms) => clock.advance(ms),
    close: () => Promise.resolve(),
  };
}

function localTid(port: number): TransportId {
  return makeTid({
    transport: 'tcp',
    traddr: '127.0.0.1',
    trsvcid: String(port),
    subsysnqn: 'nqn.2014-08.org.example:contract',
  });
}
