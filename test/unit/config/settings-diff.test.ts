import { describe, expect, test } from 'vitest';
import { changedOptions } from '../../../src/config/connect-option.ts';
import type { OptionKind } from '../../../src/config/option-kind.ts';
import { optionsOf, type Daemon } from '../../../src/config/option-table.ts';
import { parseServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { changedIdentity, changedSettings } from '../../../src/config/settings-diff.ts';
import { Secret } from '../../../src/nvme/secret.ts';

function config(daemon: Daemon, text: string): ServiceConfig {
  return parseServiceConfig(daemon, [{ file: 'file', text }]).config;
}

/** Two values of an option, neither of them its default. */
function values(kind: OptionKind): readonly [string, string] {
  switch (kind.kind) {
    case 'boolean':
      return ['true', 'false'];
    case 'switch':
      return ['enabled', 'disabled'];
    case 'integer':
      return [String(Math.max(kind.min, 2) + 1), String(Math.max(kind.min, 2) + 2)];
    case 'choice':
    case 'words':
      return [kind.words[0] ?? '', kind.words[1] ?? ''];
    case 'time-span':
      return ['100', kind.least === undefined ? '-1' : '200'];
    case 'controller':
    case 'exclude':
      return ['transport=tcp;traddr=10.0.0.1', 'transport=fc'];
    case 'text-or-file':
      return ['a', 'b'];
  }
}

const ELSEWHERE = ['tron', 'controller'];

describe.each(['stafd', 'stacd'] as const)('of %s', (daemon) => {
  const options = optionsOf(daemon)
    .filter(({ key, legacyOf }) => legacyOf === undefined && !ELSEWHERE.includes(key))
    .map(({ key, section, value }) => [section, key, value] as const);

  test.each(options)('[%s] %s is told, and nothing else', (section, key, kind) => {
    const [one, other] = values(kind);
    const [from, to] = [one, other].map((value) => config(daemon, `[${section}]\n${key}=${value}`));
    if (from === undefined || to === undefined) throw new Error('two were made');
    const told = changedSettings(from, to);
    if (kind.kind === 'exclude') {
      expect(told).toEqual([
        { section, key, from: one, to: null },
        { section, key, from: null, to: other },
      ]);
    } else {
      expect(told).toEqual([{ section, key, from: one, to: other }]);
    }
    expect(changedSettings(from, from)).toEqual([]);
  });
});

test('an option that was not set is null, and a flag that was not is false', () => {
  const from = config('stacd', '');
  const to = config('stacd', '[Global]\nqueue-size=64\nhdr-digest=true\ndata-digest=false');
  expect(changedSettings(from, to)).toEqual([
    { section: 'Global', key: 'hdr-digest', from: 'false', to: 'true' },
    { section: 'Global', key: 'queue-size', from: null, to: '64' },
  ]);
});

test('the same in another order or spelling is no change', () => {
  const from = config('stacd', '[Controllers]\nexclude=transport=tcp\nblacklist=traddr=10.0.0.1');
  const to = config(
    'stacd',
    '[Global]\nip-family=ipv6+ipv4\n[Controllers]\nexclude=traddr=10.0.0.1\n\nexclude=transport=tcp',
  );
  expect(changedSettings(from, to)).toEqual([]);
});

describe('secrets', () => {
  const [one, other] = ['DHHC-1:00:first:', 'DHHC-1:00:second:'];

  test('are said to change, and never shown', () => {
    const set = changedOptions({}, { dhchapSecret: new Secret(one) });
    const replaced = changedOptions(
      { dhchapCtrlSecret: new Secret(one) },
      { dhchapCtrlSecret: new Secret(other) },
    );
    const gone = changedOptions({ dhchapSecret: new Secret(one) }, {});
    expect([set, replaced, gone]).toEqual([
      [{ option: 'dhchap-secret', from: null, to: 'a secret' }],
      [{ option: 'dhchap-ctrl-secret', from: 'a secret', to: 'another secret' }],
      [{ option: 'dhchap-secret', from: 'a secret', to: null }],
    ]);
    expect(
      changedOptions({ dhchapSecret: new Secret(one) }, { dhchapSecret: new Secret(one) }),
    ).toEqual([]);
  });

  test('are the same for the key of the host', () => {
    const host = { hostnqn: 'nqn.a', hostid: '1' };
    expect(
      changedIdentity(
        { ...host, key: new Secret(one), symname: 'x' },
        { hostnqn: 'nqn.b', hostid: '2', key: new Secret(other) },
      ),
    ).toEqual([
      { section: 'Host', key: 'nqn', from: 'nqn.a', to: 'nqn.b' },
      { section: 'Host', key: 'id', from: '1', to: '2' },
      { section: 'Host', key: 'symname', from: 'x', to: null },
      { section: 'Host', key: 'key', from: 'a secret', to: 'another secret' },
    ]);
    expect(changedIdentity(host, host)).toEqual([]);
  });
});
