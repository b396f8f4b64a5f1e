import { describe, expect, test } from 'vitest';
import { PortError } from '../../../src/ports/errors.ts';
import { LastKnownConfig } from '../../../src/runtime/last-known-config.ts';
import * as stacd from '../../../src/stacd/last-known-config.ts';
import * as stafd from '../../../src/stafd/last-known-config.ts';
import { settle } from '../../fakes/clock.ts';
import { MemoryStateFile } from '../../fakes/host.ts';
import { MemoryLog } from '../../fakes/log.ts';

function bench(text?: string) {
  const file = new MemoryStateFile(text);
  const log = new MemoryLog();
  const lkc = new LastKnownConfig({ file, log, daemon: 'stafd', version: 1 }, (content) =>
    typeof content === 'number' ? content : undefined,
  );
  return { file, lkc, log };
}

const full = { code: 'ENOSPC', errorClass: 'retry' } as const;

describe('loading', () => {
  test('gives back what was saved', async () => {
    const { file, lkc } = bench();
    lkc.save(7);
    await lkc.flush();
    expect(await bench(file.text).lkc.load()).toBe(7);
  });

  test('gives nothing, without a word, where nothing was saved', async () => {
    const { lkc, log } = bench();
    expect(await lkc.load()).toBeUndefined();
    expect(log.lines).toEqual([]);
  });

  test.each([
    ['no JSON', 'garbage'],
    ['cut short', '{"daemon":"stafd","version":1,"content":7'],
    ['null', 'null'],
    ['another version', '{"daemon":"stafd","version":2,"content":7}'],
    ["the other daemon's", '{"daemon":"stacd","version":1,"content":7}'],
    ['without content', '{"daemon":"stafd","version":1}'],
    ['content of another form', '{"daemon":"stafd","version":1,"content":"7"}'],
    ['nested without end', '['.repeat(200_000)],
  ])('sets aside with one warning what is %s', async (_, text) => {
    const { file, lkc, log } = bench(text);
    expect(await lkc.load()).toBeUndefined();
    expect(file.setAsides).toEqual([text]);
    expect(log.messages('warning')).toHaveLength(1);
  });

  test('sets aside what cannot be read, and goes on', async () => {
    const { file, lkc, log } = bench('x');
    file.reads.failNext(new PortError('no', full));
    expect(await lkc.load()).toBeUndefined();
    expect(file.setAsides).toEqual(['x']);
    expect(log.messages('warning')[0]).toContain('Cannot read');
  });
});

describe('saving', () => {
  test('writes one at a time, and in the end what was saved last', async () => {
    const { file, lkc } = bench();
    file.writes.hold();
    for (const value of [1, 2, 3]) lkc.save(value);
    await settle();
    expect(file.writes.pending).toHaveLength(1);
    file.writes.release();
    await lkc.flush();
    expect(file.writes.calls).toHaveLength(2);
    expect(JSON.parse(file.text ?? '')).toMatchObject({ content: 3 });
  });

  test('writes again what was on disk before the write at hand', async () => {
    const { file, lkc } = bench();
    lkc.save(1);
    await lkc.flush();
    file.writes.hold();
    lkc.save(2);
    lkc.save(1);
    file.writes.release();
    await lkc.flush();
    expect(JSON.parse(file.text ?? '')).toMatchObject({ content: 1 });
  });

  test('does not write what is on disk already', async () => {
    const { file, lkc } = bench();
    lkc.save(1);
    await lkc.flush();
    lkc.save(1);
    await lkc.flush();
    expect(file.writes.calls).toHaveLength(1);
  });

  test('warns once of a spell of failures, and writes when it can again', async () => {
    const { file, lkc, log } = bench();
    const spell = file.writes.failAlways(new PortError('disk full', full));
    for (const value of [1, 2, 2]) {
      lkc.save(value);
      await lkc.flush();
    }
    expect(file.writes.calls).toHaveLength(3);
    expect(log.messages('warning')).toHaveLength(1);
    spell.dispose();
    lkc.save(2);
    await lkc.flush();
    expect(JSON.parse(file.text ?? '')).toMatchObject({ content: 2 });
  });

  test('sets aside what was written before when it cannot be replaced', async () => {
    const { file, lkc, log } = bench();
    lkc.save(1);
    await lkc.flush();
    file.writes.failNext(new PortError('disk full', full));
    lkc.save(2);
    await lkc.flush();
    expect(file.text).toBeUndefined();
    expect(log.messages('warning')).toHaveLength(1);
    lkc.save(2);
    await lkc.flush();
    expect(JSON.parse(file.text ?? '')).toMatchObject({ content: 2 });
  });
});

const TID = { transport: 'tcp', traddr: '10.0.0.1', trsvcid: '8009', subsysnqn: 'nqn.dc' };
const DC = { tid: TID, origin: 'configured', sources: ['mdns'], log: null };

describe('a remembered controller', () => {
  test('of the form that is written is taken', () => {
    expect(stafd.parseLkc({ settled: true, controllers: [DC] })?.controllers).toHaveLength(1);
    expect(stacd.parseLkc([{ tid: TID, sources: ['log:x'] }])).toHaveLength(1);
  });

  test.each([
    [{ tid: null }],
    [{ tid: { ...TID, transport: 'pcie' } }],
    [{ tid: { ...TID, traddr: '10.0.0.1,reconnect_delay=1' } }],
    [{ tid: { ...TID, traddr: 'dc.example' } }],
    [{ tid: { ...TID, trsvcid: '8009,tls' } }],
    [{ tid: { ...TID, subsysnqn: 'nqn\n' } }],
    [{ tid: { ...TID, 'host-iface': '../eth0' } }],
    [{ tid: { ...TID, 'host-nqn': 'nqn.a,b' } }],
    [{ sources: [] }],
    [{ sources: [1] }],
    [{ sources: 'mdns' }],
  ])('with %j is not trusted, nor is what stands beside it', (change) => {
    const item = { ...DC, ...change };
    expect(stafd.parseLkc({ settled: true, controllers: [DC, item] })).toBeUndefined();
    expect(stacd.parseLkc([item])).toBeUndefined();
  });

  test.each([
    [{ origin: 'guessed' }],
    [{ log: {} }],
    [{ log: { generation: '1', entries: [null] } }],
    [{ log: { generation: '1', entries: [{ trtype: 'tcp' }] } }],
  ])('with %j is not trusted by stafd', (change) => {
    const item = { ...DC, ...change };
    expect(stafd.parseLkc({ settled: true, controllers: [item] })).toBeUndefined();
  });
});

describe('saving what is made of parts', () => {
  function counted() {
    const world = bench();
    const made: number[] = [];
    const save = (parts: readonly unknown[], content: number): void => {
      world.lkc.saveParts(parts, () => {
        made.push(content);
        return content;
      });
    };
    return { ...world, made, save };
  }

  test('looks at nothing while all parts are the same ones', async () => {
    const { file, lkc, made, save } = counted();
    const [one, other] = [{}, {}];
    save([one, other], 1);
    save([one, other], 2);
    save([one], 3);
    save([other], 4);
    save([other], 5);
    await lkc.flush();
    expect(made).toEqual([1, 3, 4]);
    expect(file.text).toContain('"content":4');
  });

  test('tries again with the same parts what could not be written', async () => {
    const { file, lkc, save } = counted();
    const part = {};
    file.writes.failNext(new PortError('no', full));
    save([part], 1);
    await lkc.flush();
    save([part], 2);
    await lkc.flush();
    expect(file.text).toContain('"content":2');
  });
});
