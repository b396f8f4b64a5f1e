import { describe, expect, it } from 'vitest';
import {
  changelog,
  controlFile,
  debianVersion,
  nodeDepends,
} from '../../../tools/package/documents.ts';

describe('nodeDepends', () => {
  it('asks for the oldest Node that the programs run on', () => {
    expect(nodeDepends('20.19.2', 'trixie')).toBe('nodejs (>= 20.19), nodejs (<< 21~)');
  });

  it('keeps to the major version that the add-ons were compiled for', () => {
    expect(nodeDepends('24.4.0', 'forky')).toBe('nodejs (>= 24), nodejs (<< 25~)');
  });

  it.each([['18.20.4'], ['20.18.1']])('refuses a release with Node %s', (version) => {
    expect(() => nodeDepends(version, 'bookworm')).toThrow(
      `bookworm has Node ${version}; 20.19 or newer is needed`,
    );
  });
});

describe('debianVersion', () => {
  it('sorts a pre-release before its release', () => {
    expect(debianVersion('1.0.0-rc.1')).toBe('1.0.0~rc.1');
    expect(debianVersion('1.0.0')).toBe('1.0.0');
  });
});

describe('the documents of the package', () => {
  const addons = { udev: '', journald: '', nodeVersion: '20.19.2', depends: 'libudev1 (>= 183)' };

  it('declare what the package needs and what it takes the place of', () => {
    const text = controlFile({ version: '1.2.3', suite: 'trixie', addons, installedBytes: 2049 });
    const fields = Object.fromEntries(
      [...text.matchAll(/^([A-Z][\w-]*): (.*)$/gm)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    );
    expect(fields).toMatchObject({
      Package: 'nvme-stas-node',
      Version: '1.2.3',
      Architecture: 'amd64',
      'Installed-Size': '3',
      Provides: 'nvme-stas',
      Conflicts: 'nvme-stas',
      Replaces: 'nvme-stas',
    });
    expect(fields['Depends']?.split(', ')).toEqual(
      expect.arrayContaining([
        'nodejs (>= 20.19)',
        'nodejs (<< 21~)',
        'libudev1 (>= 183)',
        'kmod',
        'systemd',
      ]),
    );
  });

  it('date the changelog as Debian does', () => {
    expect(changelog('1.2.3', 'trixie', 0)).toMatch(
      /^nvme-stas-node \(1\.2\.3\) trixie; .*\n -- .* <.*> {2}Thu, 01 Jan 1970 00:00:00 \+0000\n$/s,
    );
  });
});
