import { describe, expect, it } from 'vitest';
import { nvmeStatusText } from '../../../src/nvme/nvme-status.ts';

describe('nvmeStatusText', () => {
  it.each([
    [0x184, /host is not allowed.*0x184/],
    [0x4184, /host is not allowed.*0x184/],
    [0x1fe, /^command specific error \(NVMe status 0x1fe\)$/],
    [0x0ff, /^generic error \(NVMe status 0x0ff\)$/],
    [0x7ff, /^vendor specific error \(NVMe status 0x7ff\)$/],
    [0x401, /^reserved error \(NVMe status 0x401\)$/],
  ])('has words for %i', (status, words) => {
    expect(nvmeStatusText(status)).toMatch(words);
  });
});
