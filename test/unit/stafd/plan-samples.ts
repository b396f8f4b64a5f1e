/** Pieces of snapshots for the tests of stafd's plan. */
import { defaultServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { known, unknown } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import type { DcSnapshot, LogAnswer, MdnsReport, StafdSnapshot } from '../../../src/stafd/plan.ts';

export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';

export function dcTid(traddr: string, fields: Partial<TransportId> = {}): TransportId {
  return makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST, ...fields });
}

/** A referral to the DC at `traddr`, as {@link dcTid} names it. */
export function referral(traddr: string): DiscoveryEntry {
  return {
    trtype: 'tcp',
    adrfam: 'ipv4',
    subtype: 'referral',
    treq: 0,
    portid: 1,
    trsvcid: '8009',
    subnqn: 'nqn.dc',
    traddr,
    cntlid: 65535,
    asqsz: 32,
    eflags: 0,
  };
}

export function readLog(...traddrs: readonly string[]): LogAnswer {
  return known({ generation: '1', entries: traddrs.map(referral), fresh: true });
}

export function remembered(...traddrs: readonly string[]): LogAnswer {
  return known({ generation: '1', entries: traddrs.map(referral), fresh: false });
}

/** mDNS has found these, which answer, and nothing else. */
export function found(...tids: readonly TransportId[]): MdnsReport {
  const announced = new Set(tids.map(tidKey));
  return { offered: tids, announced, incomplete: undefined, missing: false };
}

/** mDNS has found these and may have missed others. */
export function foundSoFar(why: string, ...tids: readonly TransportId[]): MdnsReport {
  return { ...found(...tids), incomplete: why };
}

/** mDNS announces these, and they do not answer. */
export function announced(...tids: readonly TransportId[]): MdnsReport {
  return { ...found(...tids), offered: [] };
}

export const UNREAD: LogAnswer = unknown('it was not read yet');

export function existing(
  traddr: string,
  sources: readonly string[],
  fields: Partial<DcSnapshot> = {},
): DcSnapshot {
  const tid = dcTid(traddr);
  return {
    key: tidKey(tid),
    tid,
    sources: new Set(sources),
    hostId: '',
    unresponsiveSince: undefined,
    silentSince: undefined,
    log: readLog(),
    answersTo: () => false,
    ...fields,
  };
}

export function config(fields: Partial<ServiceConfig> = {}): ServiceConfig {
  return { ...defaultServiceConfig('stafd'), ...fields };
}

export function snapshot(fields: Partial<StafdSnapshot> = {}): StafdSnapshot {
  return {
    now: 1_000_000,
    config: config(),
    configured: [],
    bootDoubt: undefined,
    mdns: found(),
    controllers: [],
    ...fields,
  };
}
