import { describe, expect, test } from 'vitest';
import {
  MAX_ENTRIES,
  readDiscoveryLog,
  readDiscoveryLogSupport,
} from '../../../src/libnvme-ffi/log-page.ts';
import type { LogCommand, LogReader } from '../../../src/libnvme-ffi/log-page.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { RawDiscoveryLog } from '../../../src/ports/fabrics.ts';

/** A discovery controller's side of Get Log Page: the bytes of its log, and what was asked. */
class LogSource {
  readonly commands: LogCommand[] = [];
  generation = 7n;
  count: bigint;
  format = 0;
  /** Called after each command with how many there were. */
  after: (commands: number) => void = () => undefined;

  constructor(count: number | bigint) {
    this.count = BigInt(count);
  }

  /** Each entry is filled with the low byte of its index and of the generation. */
  static entry(index: number, generation: bigint): Uint8Array {
    const bytes = new Uint8Array(1024).fill(index & 0xff);
    bytes[0] = Number(generation & 0xffn);
    return bytes;
  }

  readonly read: LogReader = (command) => {
    const { offset, into } = command;
    this.commands.push(command);
    if (offset === 0) {
      const header = new DataView(new ArrayBuffer(1024));
      header.setBigUint64(0, this.generation, true);
      header.setBigUint64(8, this.count, true);
      header.setUint16(16, this.format, true);
      into.set(new Uint8Array(header.buffer, 0, into.length));
    } else {
      const first = offset / 1024 - 1;
      for (let i = 0; i < into.length / 1024; i += 1) {
        into.set(LogSource.entry(first + i, this.generation), i * 1024);
      }
    }
    this.after(this.commands.length);
    return Promise.resolve();
  };
}

function read(source: LogSource, checkTime = (): void => undefined): Promise<RawDiscoveryLog> {
  return readDiscoveryLog(source.read, { doing: 'read', pleo: false, checkTime });
}

describe('the discovery log page', () => {
  test.each([0, 1, 3, 4, 5, 64, 257])('of %i entries is read whole', async (count) => {
    const source = new LogSource(count);
    const log = await read(source);
    expect(log.count).toBe(count);
    expect(log.generation).toBe(7n);
    const expected = Array.from({ length: count }, (_, i) => LogSource.entry(i, 7n));
    expect(Buffer.compare(Buffer.from(log.entries), Buffer.concat(expected))).toBe(0);
  });

  test('is read in transfers of at most 4 KiB, each a multiple of 4 bytes', async () => {
    const source = new LogSource(10);
    await read(source);
    for (const { into, offset, lid } of source.commands) {
      expect(lid).toBe(0x70);
      expect(into.length).toBeLessThanOrEqual(4096);
      expect(into.length % 4).toBe(0);
      expect(offset % 4).toBe(0);
    }
    expect(source.commands.map(({ offset }) => offset)).toEqual([0, 1024, 5120, 9216, 0]);
  });

  test('clears the asynchronous event with the last command only', async () => {
    const source = new LogSource(9);
    await read(source);
    expect(source.commands.map(({ rae }) => rae)).toEqual([true, true, true, true, false]);
  });

  test.each([
    [true, 2],
    [false, 0],
  ])('with port local entries only: %s, every command says so', async (pleo, lsp) => {
    const source = new LogSource(5);
    await readDiscoveryLog(source.read, { doing: 'read', pleo, checkTime: () => undefined });
    expect(source.commands.map((command) => command.lsp)).toEqual([lsp, lsp, lsp, lsp]);
  });

  test('is read again when it changed meanwhile, and the later one counts', async () => {
    const source = new LogSource(6);
    source.after = (commands) => {
      if (commands !== 2) return;
      source.generation = 8n;
      source.count = 2n;
    };
    const log = await read(source);
    expect(log.count).toBe(2);
    expect(log.generation).toBe(8n);
    expect([log.entries[0], log.entries[1024]]).toEqual([8, 8]);
    expect(log.entries.length).toBe(2048);
    // The repeat retains the event as well until its own last command.
    expect(source.commands.map(({ rae }) => rae)).toEqual([true, true, true, false, true, false]);
  });

  test('is not believed when its count changes without its generation', async () => {
    const source = new LogSource(1);
    source.after = (commands) => {
      if (commands === 2) source.count = 3n;
    };
    expect((await read(source)).count).toBe(3);
  });

  test('that never stands still is given up after a few readings', async () => {
    const source = new LogSource(1);
    source.after = () => {
      source.generation += 1n;
    };
    await expect(read(source)).rejects.toMatchObject({
      code: 'GENERATION_MOVED',
      errorClass: 'retry',
    });
    expect(source.commands.length).toBeLessThan(20);
  });

  test.each([BigInt(MAX_ENTRIES) + 1n, 1n << 32n, 0xffff_ffff_ffff_ffffn])(
    'that claims %d entries is refused before an entry is read',
    async (count) => {
      const source = new LogSource(count);
      await expect(read(source)).rejects.toMatchObject({
        code: 'LOG_TOO_LARGE',
        errorClass: 'retry',
      });
      expect(source.commands).toHaveLength(1);
    },
  );

  test('that grows beyond the limit while it is read is refused', async () => {
    const source = new LogSource(1);
    source.after = (commands) => {
      if (commands === 2) source.count = 1n << 40n;
    };
    await expect(read(source)).rejects.toMatchObject({ code: 'LOG_TOO_LARGE' });
  });

  test('of an unknown record format is refused', async () => {
    const source = new LogSource(1);
    source.format = 1;
    await expect(read(source)).rejects.toMatchObject({ code: 'EPROTO' });
    expect(source.commands).toHaveLength(1);
  });

  test.each([
    ['the header', 1, 0],
    ['the header, after its generation counter', 1, 8],
    ['entries', 2, 0],
    ['entries, after the first', 3, 1024],
    ['the header at the end', 4, 8],
  ])('is refused when the controller sends too little of %s', async (_, at, sent) => {
    const source = new LogSource(6);
    const short: LogReader = async (command) => {
      const before = Uint8Array.from(command.into);
      await source.read(command);
      if (source.commands.length === at) command.into.set(before.subarray(sent), sent);
    };
    const options = { doing: 'read', pleo: false, checkTime: (): void => undefined };
    await expect(readDiscoveryLog(short, options)).rejects.toMatchObject({
      code: 'SHORT_TRANSFER',
      errorClass: 'retry',
    });
    expect(source.commands).toHaveLength(at);
  });

  test('stops at the first command that fails', async () => {
    const source = new LogSource(40);
    const failing = new PortError('broken', { code: 'NVME_STATUS', errorClass: 'retry' });
    source.after = (commands) => {
      if (commands === 4) throw failing;
    };
    await expect(read(source)).rejects.toBe(failing);
    expect(source.commands).toHaveLength(4);
  });

  test('is given up when its time is over', async () => {
    const source = new LogSource(400);
    let checks = 0;
    const checkTime = (): void => {
      checks += 1;
      if (checks > 10) throw new PortError('late', { code: 'ETIMEDOUT', errorClass: 'retry' });
    };
    await expect(read(source, checkTime)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    expect(source.commands).toHaveLength(10);
  });
});

describe('what the controller supports', () => {
  function supported(entry: number): Promise<unknown> {
    return readDiscoveryLogSupport(({ into, lid }) => {
      expect(lid).toBe(0);
      expect(into.length).toBe(1024);
      // Other log pages support everything: only the entry of 70h counts.
      into.fill(0xff);
      new DataView(into.buffer).setUint32(0x70 * 4, entry, true);
      return Promise.resolve();
    }, 'read');
  }

  test('is unknown when the controller sends nothing', async () => {
    await expect(readDiscoveryLogSupport(() => Promise.resolve(), 'read')).rejects.toMatchObject({
      code: 'SHORT_TRANSFER',
    });
  });

  test.each([
    [0x0000_0000, { supported: false, extdlpe: false, pleo: false, allsube: false }],
    [0x0000_0001, { supported: true, extdlpe: false, pleo: false, allsube: false }],
    [0x0001_0001, { supported: true, extdlpe: true, pleo: false, allsube: false }],
    [0x0002_0001, { supported: true, extdlpe: false, pleo: true, allsube: false }],
    [0x0004_0001, { supported: true, extdlpe: false, pleo: false, allsube: true }],
    [0x0007_0001, { supported: true, extdlpe: true, pleo: true, allsube: true }],
    [0xfff8_fffe, { supported: false, extdlpe: false, pleo: false, allsube: false }],
    [0xffff_0000, { supported: false, extdlpe: false, pleo: false, allsube: false }],
  ])('%i in the Supported Log Pages log', async (entry, expected) => {
    await expect(supported(entry)).resolves.toEqual(expected);
  });
});
