import { describe, expect, test } from 'vitest';
import {
  describeNamespace,
  losesUse,
  type BlockUse,
  type NamespaceUse,
} from '../../../src/nvme/block-use.ts';

const MOUNT: BlockUse = { kind: 'mount', device: 'nvme0n1p1', at: '/data', fileSystem: 'ext4' };

function namespace(uses: readonly BlockUse[], ...otherPaths: readonly string[]): NamespaceUse {
  return { block: 'nvme0n1', uses, otherPaths };
}

function described(going: readonly string[], it: NamespaceUse): string {
  return describeNamespace(it, new Set(going));
}

describe('a namespace in words', () => {
  test('has its uses and what is left of its paths', () => {
    expect(described(['nvme0'], namespace([MOUNT]))).toBe(
      'nvme0n1: mounted at /data (ext4 on nvme0n1p1); this is the last path',
    );
    expect(described(['nvme0'], namespace([{ kind: 'swap', device: 'nvme0n1p2' }], 'nvme4'))).toBe(
      'nvme0n1: swap (nvme0n1p2); 1 other live path stays (nvme4)',
    );
    expect(described(['nvme0', 'nvme4'], namespace([MOUNT], 'nvme4', 'nvme5', 'nvme6'))).toBe(
      'nvme0n1: mounted at /data (ext4 on nvme0n1p1); 2 other live paths stay (nvme5, nvme6)',
    );
    expect(described([], namespace([{ ...MOUNT, process: 42 }], 'nvme4'))).toContain(
      'nvme0n1: mounted at /data for process 42 (ext4 on nvme0n1p1); 1 other',
    );
    expect(described(['nvme0'], namespace([], 'nvme4'))).toBe('nvme0n1: not in use');
  });

  test('names what is made of it', () => {
    const holders: readonly BlockUse[] = [
      { kind: 'holder', device: 'dm-1', holder: 'LVM', name: 'vg-data' },
      { kind: 'holder', device: 'md0', holder: 'RAID', name: '' },
      { kind: 'holder', device: 'bcache0', holder: 'other', name: '' },
    ];
    expect(described([], namespace(holders))).toBe(
      'nvme0n1: part of LVM vg-data (dm-1), part of RAID md0, part of bcache0; this is the last path',
    );
  });

  test('is one short line whatever a mount point is called', () => {
    const bad = '/x\n+ forged \u001b[31m\u202e';
    const many = Array.from({ length: 50 }, () => ({ ...MOUNT, at: `${bad}${'y'.repeat(5000)}` }));
    const line = described([], namespace(many));
    expect(line).not.toMatch(/[\p{C}]/u);
    expect(line).toContain('/x\\x0a+ forged \\x1b[31m');
    expect(line).toContain('and 42 more');
    expect(line.length).toBeLessThan(4000);
  });
});

test('a use is lost with the last path to it, and only if there is one', () => {
  expect(losesUse(namespace([MOUNT]), new Set(['nvme0']))).toBe(true);
  expect(losesUse(namespace([MOUNT], 'nvme4'), new Set(['nvme0']))).toBe(false);
  expect(losesUse(namespace([MOUNT], 'nvme4'), new Set(['nvme0', 'nvme4']))).toBe(true);
  expect(losesUse(namespace([]), new Set(['nvme0']))).toBe(false);
});
