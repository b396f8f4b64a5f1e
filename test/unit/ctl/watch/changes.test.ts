import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../../../src/ctl/watch/changes.ts';
import { row } from '../rows.ts';

const ADDRESS = '192.168.1.20';
const REFUSED = 'connect: connection refused (ECONNREFUSED)';

const connected = row(ADDRESS, { device: 'nvme3', sources: ['configured'] });
const reconnecting = row(ADDRESS, {
  ...{ device: 'nvme3', state: 'reconnecting', why: 'the kernel lost the connection' },
  sources: ['configured'],
});
const waiting = row(ADDRESS, { state: 'waiting', why: REFUSED, sources: ['configured'] });

/** Events between two states of one controller, with their reasons. */
function between(before: ReturnType<typeof row>, after: ReturnType<typeof row>) {
  return changesBetween([before], [after], []).map(({ event, reason }) => [event, reason]);
}

describe('what has happened', () => {
  it('is that everything is there, at first', () => {
    expect(changesBetween(undefined, [connected, row('192.168.1.21', {})], [])).toMatchObject([
      { event: 'present', controller: connected, before: undefined, reason: 'configured' },
      { event: 'present', reason: '' },
    ]);
  });

  it('is nothing when nothing has changed but times and attempts', () => {
    const later = { ...waiting, 'next-in-ms': 10, 'out-of-reach-ms': 5, attempts: 9 };
    expect(between({ ...waiting, 'next-in-ms': 900 }, later)).toEqual([]);
  });

  it.each([
    [waiting, connected, 'connected', ''],
    [reconnecting, connected, 'connected', ''],
    [connected, { ...connected, device: 'nvme9' }, 'connected', ''],
    [connected, reconnecting, 'lost', 'the kernel lost the connection'],
    [connected, waiting, 'lost', REFUSED],
    [connected, { ...connected, state: 'disconnecting', why: 'excluded' }, 'state', 'excluded'],
    [connected, { ...connected, state: 'resting', device: '' }, 'state', ''],
    [reconnecting, waiting, 'state', REFUSED],
    [waiting, { ...waiting, why: 'timeout' }, 'changed', 'timeout'],
    [waiting, { ...waiting, why: '' }, 'changed', 'waiting'],
    [
      connected,
      { ...connected, sources: ['a log'], 'kept-because': 'stafd is not running' },
      'changed',
      'source: a log; no longer: configured; stays although nobody asks for it now: stafd is not running',
    ],
  ])('is told of %o to %o as %s', (before, after, event, reason) => {
    expect(between(before, after)).toEqual([[event, reason]]);
  });

  it('tells connections apart by every field of the transport ID', () => {
    const other = { ...connected, 'host-iface': 'eth1' };
    expect(changesBetween([connected], [other], [])).toMatchObject([
      { event: 'removed', controller: connected },
      { event: 'added', controller: other },
    ]);
  });

  it('says why a controller was removed, as far as that is known', () => {
    const rule = { ...row(ADDRESS, {}), rule: 'refused', why: 'excluded by stacd.conf, line 3' };
    const removed = (before: typeof connected, absent: readonly (typeof connected)[]) =>
      changesBetween([before], [], absent).map(({ event, reason }) => [event, reason]);
    expect(removed(connected, [rule])).toEqual([['removed', 'excluded by stacd.conf, line 3']]);
    const going = { ...connected, state: 'disconnecting', why: 'no log lists it' };
    expect(removed(going, [])).toEqual([['removed', 'no log lists it']]);
    expect(removed(waiting, [])).toEqual([['removed', '']]);
  });

  it('is empty for two empty lists', () => {
    expect(changesBetween([], [], [])).toEqual([]);
    expect(changesBetween(undefined, [], [])).toEqual([]);
  });
});
