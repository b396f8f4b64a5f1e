import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { differingOptions, readLiveOptions } from '../../../src/stasadm/diff/live-options.ts';

let sys: string;

beforeEach(() => {
  sys = mkdtempSync(join(tmpdir(), 'sys-'));
});

afterEach(() => {
  rmSync(sys, { recursive: true });
});

function controller(device: string, attributes: Readonly<Record<string, string>>): void {
  const directory = join(sys, 'class', 'nvme', device);
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(attributes)) {
    writeFileSync(join(directory, name), `${text}\n`);
  }
}

it('reads what the kernel shows, in the words of the files', async () => {
  controller('nvme3', { kato: '15', reconnect_delay: '7', ctrl_loss_tmo: 'off' });
  expect(await readLiveOptions('nvme3', sys)).toEqual({
    kato: '15',
    'reconnect-delay': '7',
    'ctrl-loss-tmo': '-1',
  });
});

it('knows nothing of what is not there, or makes no sense', async () => {
  controller('nvme3', { kato: '15\n30', ctrl_loss_tmo: '(null)' });
  expect(await readLiveOptions('nvme3', sys)).toEqual({});
  expect(await readLiveOptions('nvme4', sys)).toEqual({});
  expect(await readLiveOptions('nvme?', sys)).toEqual({});
  expect(await readLiveOptions('../nvme/nvme3', sys)).toEqual({});
});

it.each([
  ['the same', { kato: '15' }, { kato: '15' }, []],
  ['another', { kato: '15' }, { kato: '5' }, ['kato']],
  ['one that the files leave to the kernel', { kato: '15' }, {}, []],
  ['one that the kernel does not show', {}, { kato: '5' }, []],
  ['keep-alive off, which I/O controllers do not take', { kato: '5' }, { kato: '0' }, []],
  ['for ever', { 'ctrl-loss-tmo': '-1' }, { 'ctrl-loss-tmo': '-1' }, []],
  ['no longer for ever', { 'ctrl-loss-tmo': '-1' }, { 'ctrl-loss-tmo': '60' }, ['ctrl-loss-tmo']],
  [
    'whole attempts of what was asked for',
    { 'ctrl-loss-tmo': '602', 'reconnect-delay': '7' },
    { 'ctrl-loss-tmo': '600' },
    [],
  ],
  [
    'other attempts',
    { 'ctrl-loss-tmo': '602', 'reconnect-delay': '7' },
    { 'ctrl-loss-tmo': '610', 'reconnect-delay': '10' },
    ['reconnect-delay', 'ctrl-loss-tmo'],
  ],
])('compares %s', (_, live, asked, differing) => {
  expect(differingOptions(live, asked).map(({ option }) => option)).toEqual(differing);
});
