/**
 * Reading log pages of a discovery controller.
 *
 * libnvme's own `nvmf_get_discovery_log` takes memory for as many entries as the controller claims
 * (a 64-bit number) and folds every failure into a null pointer. So the commands are made one by
 * one with `nvme_get_log`, and nothing that the controller says is believed before it is checked.
 *
 * How the discovery log is read whole (NVMe base 2.1, 5.1.12.3.1): header, entries, header again; if
 * the generation counter moved, all over. Every command but the last retains the asynchronous event
 * (RAE), and the last, which clears it, is the one that compares the counter: a change before it
 * shows in the counter, a change after it makes a new event. None is lost.
 */
import { randomBytes } from 'node:crypto';
import { ENTRY_SIZE } from '../nvme/discovery-log.ts';
import { PortError } from '../ports/errors.ts';
import type { DiscoveryLogSupport, RawDiscoveryLog } from '../ports/fabrics.ts';
import { commandError, statusError } from './errors.ts';
import { getLogArgsLayout, writeMembers } from './layouts.ts';
import type { Libc } from './libc.ts';
import type { Libnvme } from './libnvme.ts';
import { addressOf, callAsync, keepAlive } from './native.ts';

/** Log page identifiers. */
const LID_SUPPORTED_LOG_PAGES = 0x00;
const LID_DISCOVERY = 0x70;

/** Log specific field of Get Log Page for the discovery log: port local entries only. */
const LSP_PLEO = 1 << 1;

/** Namespace ID of commands that concern none, and all. */
const NSID_NONE = 0;
const NSID_ALL = 0xffff_ffff;

/** One Get Log Page command. */
export interface LogCommand {
  readonly lid: number;
  readonly nsid: number;
  readonly lsp: number;
  /** Byte offset into the log page, a multiple of 4. */
  readonly offset: number;
  /** Retain the asynchronous event. */
  readonly rae: boolean;
  /** Where the data goes; its length is that of the transfer, a multiple of 4. */
  readonly into: Uint8Array;
}

/** Carries out one command; rejects with a PortError. */
export type LogReader = (command: LogCommand) => Promise<void>;

/** Bytes at the end of each buffer by which a transfer that did not fill it is found out. */
const CANARY_SIZE = 4;

/**
 * Carries out one command and makes sure that its data came. The kernel's NVMe/TCP host takes a
 * transfer for complete when the controller says so, however few bytes it sent; the rest of the
 * buffer is then what it was before, and zeros would read as entries that are gone.
 */
async function transfer(read: LogReader, doing: string, command: LogCommand): Promise<void> {
  const tail = command.into.subarray(-CANARY_SIZE);
  const canary = randomBytes(CANARY_SIZE);
  tail.set(canary);
  await read(command);
  if (canary.equals(tail)) {
    throw new PortError(`${doing}: the controller sent less than was asked for`, {
      code: 'SHORT_TRANSFER',
      errorClass: 'retry',
    });
  }
}

/** Header of the discovery log page: 1024 bytes, of which the first 18 say something. */
const HEADER_SIZE = 1024;
/** Generation counter, number of records, record format; rounded up to a multiple of 4. */
const HEADER_READ = 20;

/**
 * A transfer that every controller can make, whatever its MDTS: one page (NVMe base 2.1, 5.1.13.2.1:
 * MDTS counts in units of the smallest page, 4 KiB or more).
 */
const CHUNK_SIZE = 4096;

/**
 * Entries that are read at most: 16 MiB. A fabric-wide CDC with thousands of subsystems on several
 * ports each stays well below; a controller that claims more is broken or hostile.
 */
export const MAX_ENTRIES = 16_384;

/** Readings until the generation counter has to stand still. */
const MAX_READINGS = 5;

/** Milliseconds in which the whole page has to be there, however slowly a controller answers. */
export const LOG_DEADLINE_MS = 120_000;

interface Header {
  readonly generation: bigint;
  readonly count: bigint;
  readonly format: number;
}

async function readHeader(
  read: LogReader,
  doing: string,
  lsp: number,
  rae: boolean,
): Promise<Header> {
  const bytes = new Uint8Array(HEADER_READ);
  const command = { lid: LID_DISCOVERY, nsid: NSID_NONE, lsp, offset: 0, rae, into: bytes };
  await transfer(read, doing, command);
  const view = new DataView(bytes.buffer);
  return {
    generation: view.getBigUint64(0, true),
    count: view.getBigUint64(8, true),
    format: view.getUint16(16, true),
  };
}

function refuseHeader(doing: string, { count, format }: Header): PortError | undefined {
  if (format !== 0) {
    return new PortError(`${doing}: record format ${format} is not known`, {
      code: 'EPROTO',
      errorClass: 'retry',
    });
  }
  if (count > BigInt(MAX_ENTRIES)) {
    return new PortError(
      `${doing}: the controller claims ${count} entries, more than ${MAX_ENTRIES}`,
      { code: 'LOG_TOO_LARGE', errorClass: 'retry' },
    );
  }
  return undefined;
}

/**
 * Reads the discovery log page whole.
 *
 * @param checkTime called before each command; throws when the time is up.
 * @throws PortError `LOG_TOO_LARGE`, `EPROTO`, `GENERATION_MOVED`, `SHORT_TRANSFER`, or of a failed
 *   command.
 */
export async function readDiscoveryLog(
  read: LogReader,
  options: { readonly doing: string; readonly pleo: boolean; readonly checkTime: () => void },
): Promise<RawDiscoveryLog> {
  const { doing, checkTime } = options;
  const lsp = options.pleo ? LSP_PLEO : 0;
  checkTime();
  let header = await readHeader(read, doing, lsp, true);
  for (let reading = 1; reading <= MAX_READINGS; reading += 1) {
    const refused = refuseHeader(doing, header);
    if (refused !== undefined) throw refused;
    const count = Number(header.count);
    // Memory grows with what has really arrived, not with what was claimed.
    const chunks: Uint8Array[] = [];
    for (let done = 0; done < count * ENTRY_SIZE; done += CHUNK_SIZE) {
      const into = new Uint8Array(Math.min(CHUNK_SIZE, count * ENTRY_SIZE - done));
      checkTime();
      await transfer(read, doing, {
        lid: LID_DISCOVERY,
        nsid: NSID_NONE,
        lsp,
        offset: HEADER_SIZE + done,
        rae: true,
        into,
      });
      chunks.push(into);
    }
    checkTime();
    const after = await readHeader(read, doing, lsp, false);
    if (after.generation === header.generation && after.count === header.count) {
      return { generation: after.generation, entries: Buffer.concat(chunks), count };
    }
    header = after;
  }
  throw new PortError(
    `${doing}: the log changed during each of ${MAX_READINGS} readings: it is read again later`,
    { code: 'GENERATION_MOVED', errorClass: 'retry' },
  );
}

/** 256 entries of 4 bytes, by log page identifier. */
const SUPPORTED_LOG_PAGES_SIZE = 1024;

/** Bits of an entry of the Supported Log Pages log; those from 16 up are the log page's own. */
const LSUPP = 1 << 0;
const EXTDLPES = 1 << 16;
const PLEOS = 1 << 17;
const ALLSUBES = 1 << 18;

/** Asks what the controller can do with its discovery log (Supported Log Pages, LID 0). */
export async function readDiscoveryLogSupport(
  read: LogReader,
  doing: string,
): Promise<DiscoveryLogSupport> {
  const into = new Uint8Array(SUPPORTED_LOG_PAGES_SIZE);
  await transfer(read, doing, {
    lid: LID_SUPPORTED_LOG_PAGES,
    nsid: NSID_ALL,
    lsp: 0,
    offset: 0,
    rae: true,
    into,
  });
  const entry = new DataView(into.buffer).getUint32(LID_DISCOVERY * 4, true);
  const supported = (entry & LSUPP) !== 0;
  return {
    supported,
    extdlpe: supported && (entry & EXTDLPES) !== 0,
    pleo: supported && (entry & PLEOS) !== 0,
    allsube: supported && (entry & ALLSUBES) !== 0,
  };
}

/** Milliseconds that the kernel gives a controller to answer one command. */
const COMMAND_TIMEOUT_MS = 20_000;

/**
 * Opens the device, lets `operation` read from it, and closes it.
 *
 * @throws PortError if the device is not there, and whatever `operation` throws.
 */
export async function withLogReader<T>(
  libnvme: Pick<Libnvme, 'open' | 'getLog' | 'abi'>,
  libc: Pick<Libc, 'close'>,
  device: string,
  doing: string,
  operation: (read: LogReader) => Promise<T>,
): Promise<T> {
  const opened = await callAsync(libnvme.open, device);
  const fd = opened.result;
  if (fd < 0) throw commandError(doing, opened.errno);
  const layout = getLogArgsLayout(libnvme.abi);
  try {
    return await operation(async ({ into, lid, nsid, lsp, offset, rae }) => {
      const args = new Uint8Array(layout.size);
      writeMembers(
        args,
        layout,
        {
          lpo: offset,
          log: addressOf(into),
          args_size: layout.size,
          fd,
          timeout: COMMAND_TIMEOUT_MS,
          lid,
          len: into.length,
          nsid,
          lsp,
          rae,
        },
        libnvme.abi,
      );
      const { result, errno } = await callAsync(libnvme.getLog, args);
      keepAlive(into);
      if (result > 0) throw statusError(doing, result);
      if (result < 0) throw commandError(doing, errno);
    });
  } finally {
    await callAsync(libc.close, fd);
  }
}
