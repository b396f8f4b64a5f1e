import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { confText } from '../../../src/config/conf-text.ts';
import { optionsOf, type ConfigFile } from '../../../src/config/option-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { defaultServiceConfig, parseServiceConfig } from '../../../src/config/service-config.ts';
import { parseSysConfig } from '../../../src/config/sys-config.ts';

const INSTALLED: Readonly<Record<ConfigFile, string>> = {
  stafd: '../../../etc/stas/stafd.conf',
  stacd: '../../../etc/stas/stacd.conf',
  sys: '../../../etc/stas/sys.conf.doc',
};

function installed(file: ConfigFile): string {
  return readFileSync(new URL(INSTALLED[file], import.meta.url), 'utf8');
}

/** The file with every option that it shows made active. */
function active(file: ConfigFile): string {
  return installed(file).replaceAll(/^#(?=[a-z-]+=\S)/gm, '');
}

describe.each(['stafd', 'stacd', 'sys'] as const)('the installed file of %s', (file) => {
  it('is what the option table makes (vitest -u writes it)', async () => {
    await expect(confText(file)).toMatchFileSnapshot(INSTALLED[file]);
  });

  it('shows every option once, with its default', () => {
    const shown = installed(file)
      .split('\n')
      .filter((line) => /^#[a-z-]+=/.test(line));
    const options = optionsOf(file).filter((option) => option.legacyOf === undefined);
    expect(shown).toEqual(options.map(({ key, defaults }) => `#${key}=${defaults[file] ?? ''}`));
  });
});

describe.each(['stafd', 'stacd'] as const)('the defaults that %s.conf shows', (daemon) => {
  it('are those that apply without it', () => {
    const { config, problems } = parseServiceConfig(daemon, [
      { file: 'x', text: installed(daemon) },
    ]);
    expect(problems).toEqual([]);
    expect(config).toEqual(defaultServiceConfig(daemon));
  });

  it('mean the same when they are written out', () => {
    const { config, problems } = parseServiceConfig(daemon, [{ file: 'x', text: active(daemon) }]);
    expect(problems.map(formatProblem)).toEqual([]);
    // Digests are off by default, and said to be off here.
    const options = {
      ...defaultServiceConfig(daemon).options,
      hdrDigest: false,
      dataDigest: false,
    };
    expect(config).toEqual({ ...defaultServiceConfig(daemon), options });
  });

  it('stand beside examples that can be used as they are', () => {
    const examples = installed(daemon).replaceAll(/^# {3}(?=(?:controller|exclude)=)/gm, '');
    const { config, problems } = parseServiceConfig(daemon, [{ file: 'x', text: examples }]);
    expect(problems.map(formatProblem)).toEqual([]);
    expect(config.controllers.length).toBeGreaterThan(1);
    expect(config.excludes).toHaveLength(2);
  });
});

describe('the defaults that sys.conf.doc shows', () => {
  it('mean the same when they are written out', () => {
    const files: Readonly<Record<string, string>> = {
      '/etc/nvme/hostnqn': 'nqn.2014-08.org.example:host\n',
      '/etc/nvme/hostid': 'f2782346-4809-484a-9a8b-952a04b57ba4\n',
    };
    const read = (path: string): string | undefined => files[path];
    const { identity } = parseSysConfig('x', active('sys'), read);
    expect(identity).toEqual(parseSysConfig('x', undefined, read).identity);
    expect(identity?.hostid).toBe('f2782346-4809-484a-9a8b-952a04b57ba4');
  });
});
