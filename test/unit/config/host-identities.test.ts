import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostIdConflicts, withHostIds } from '../../../src/config/host-identities.ts';
import type { Daemon } from '../../../src/config/option-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { namedUuid } from '../../../src/nvme/host-id.ts';

const ID1 = '11111111-1111-4111-8111-111111111111';
const ID2 = '22222222-2222-4222-8222-222222222222';
const OWN_ID = 'f2782346-4809-484a-9a8b-952a04b57ba4';
const A = 'nqn.2014-08.org.example:a';
const B = 'nqn.2014-08.org.example:b';
const UUID_NQN = `nqn.2014-08.org.nvmexpress:uuid:${ID1}`;
const OWN = { hostnqn: 'nqn.2014-08.org.example:own', hostid: OWN_ID };

/** A configuration of one controller a field list, the n-th in line n + 2. */
function config(fields: readonly string[], daemon: Daemon = 'stafd', file = 'F'): ServiceConfig {
  const lines = fields.map(
    (each, index) =>
      `controller=transport=tcp;traddr=192.0.2.${String(index + 1)};nqn=nqn.x;${each}\n`,
  );
  const parsed = parseServiceConfig(daemon, [{ file, text: `[Controllers]\n${lines.join('')}` }]);
  expect(parsed.problems).toEqual([]);
  return parsed.config;
}

function ids(...fields: readonly string[]): readonly string[] {
  return withHostIds(config(fields), OWN).config.controllers.map(({ hostId }) => hostId);
}

function problems(...fields: readonly string[]): readonly string[] {
  return withHostIds(config(fields), OWN).problems.map(formatProblem);
}

describe('the host ID of a controller', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ["is the host's own without a host-nqn", [''], ['']],
    ["is the host's own with its own NQN", [`host-nqn=${OWN.hostnqn}`], ['']],
    ['is the one it names', [`host-nqn=${A};host-id=${ID1}`], [ID1]],
    [
      'is the one that a later line names for its NQN',
      [`host-nqn=${A}`, `host-nqn=${A};host-id=${ID1}`],
      [ID1, ID1],
    ],
    ['is the UUID of its NQN', [`host-nqn=${UUID_NQN}`], [ID1]],
    ['is made of its NQN otherwise', [`host-nqn=${A}`], [namedUuid(A)]],
    [
      'may be named beside the own NQN, if it is the own one',
      [`host-id=${OWN_ID.toUpperCase()}`],
      [''],
    ],
  ])('%s', (_, fields, expected) => {
    expect(ids(...fields)).toEqual(expected);
    expect(problems(...fields)).toEqual([]);
  });

  it('is another one where the UUID of its NQN is the ID of another NQN', () => {
    const fields = [`host-nqn=${UUID_NQN}`, `host-nqn=${A};host-id=${ID1}`];
    expect(ids(...fields)).toEqual([namedUuid(UUID_NQN), ID1]);
    expect(problems(...fields)).toEqual([]);
  });

  it('is not even then what another line names', () => {
    const [made, named] = ids(`host-nqn=${A}`, `host-nqn=${B};host-id=${namedUuid(A)}`);
    expect(named).toBe(namedUuid(A));
    expect(made).not.toBe(named);
  });
});

describe('a conflict', () => {
  const allowed = '(allowed: one host-id for a host-nqn, one host-nqn for a host-id)';

  it('of two IDs for one NQN is decided by the first line', () => {
    const fields = [`host-nqn=${A};host-id=${ID1}`, '', `host-nqn=${A};host-id=${ID2}`];
    expect(ids(...fields)).toEqual([ID1, '', ID1]);
    expect(problems(...fields)).toEqual([
      `F:4: [Controllers] controller: "host-id=${ID2}" is not the host ID that line 2 has for the ` +
        `same host NQN ${allowed}; ${ID1} is used`,
    ]);
  });

  it('of one ID for two NQNs is decided by the first line', () => {
    const fields = [`host-nqn=${A};host-id=${ID1}`, `host-nqn=${B};host-id=${ID1}`];
    expect(ids(...fields)).toEqual([ID1, namedUuid(B)]);
    expect(problems(...fields)).toEqual([
      `F:3: [Controllers] controller: "host-id=${ID1}" is the host ID that line 2 has for another ` +
        `host NQN ${allowed}; one that is made of the host NQN is used`,
    ]);
  });

  it.each<[string, string, string]>([
    ['its ID', `host-nqn=${A};host-id=${OWN_ID}`, namedUuid(A)],
    ['its NQN', `host-nqn=${OWN.hostnqn};host-id=${ID1}`, ''],
    ['its NQN, not named', `host-id=${ID1}`, ''],
  ])("with the host's own identity is decided by that: %s", (_, field, expected) => {
    expect(ids(field)).toEqual([expected]);
    expect(problems(field)).toHaveLength(1);
    expect(problems(field)[0]).toContain("this host's own identity");
  });

  it('between the lines is found also where the host has no identity', () => {
    const named = config([
      `host-id=${ID2}`,
      `host-nqn=${A};host-id=${ID1}`,
      `host-nqn=${B};host-id=${ID1}`,
    ]);
    expect(withHostIds(named, undefined).problems).toHaveLength(1);
  });
});

describe('two configurations', () => {
  function between(stafd: string, stacd: string): readonly string[] {
    const first = withHostIds(config([stafd], 'stafd', 'S'), OWN).config;
    const second = withHostIds(config([stacd], 'stacd', 'I'), OWN).config;
    return hostIdConflicts(first, second, OWN).map(formatProblem);
  }

  it('that say the same have no conflict', () => {
    expect(between(`host-nqn=${A};host-id=${ID1}`, `host-nqn=${A};host-id=${ID1}`)).toEqual([]);
    expect(between(`host-nqn=${A}`, `host-nqn=${A}`)).toEqual([]);
    expect(between('', '')).toEqual([]);
  });

  it.each([
    [`host-nqn=${A};host-id=${ID1}`, `host-nqn=${A};host-id=${ID2}`],
    [`host-nqn=${A};host-id=${ID1}`, `host-nqn=${B};host-id=${ID1}`],
    [`host-nqn=${A};host-id=${ID1}`, `host-nqn=${A}`],
    [`host-nqn=${A}`, `host-nqn=${A};host-id=${ID1}`],
  ])('conflict: %s and %s', (stafd, stacd) => {
    const lines = between(stafd, stacd);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^I:2: .* S, line 2 .*; the kernel refuses whichever is connected later$/,
    );
  });
});

it('gives every NQN one ID and every ID one NQN, whatever the lines say', () => {
  const nqn = fc.constantFrom('', A, B, UUID_NQN, OWN.hostnqn);
  const id = fc.constantFrom('', ID1, ID2, OWN_ID);
  fc.assert(
    fc.property(fc.array(fc.tuple(nqn, id), { maxLength: 8 }), (lines) => {
      const fields = lines.map(
        ([hostNqn, hostId]) =>
          (hostNqn === '' ? '' : `host-nqn=${hostNqn};`) +
          (hostId === '' ? '' : `host-id=${hostId}`),
      );
      const resolved = withHostIds(config(fields), OWN).config;
      const pairs = resolved.controllers.map(({ hostId, tid }) => {
        const own = tid.hostNqn === '' || tid.hostNqn === OWN.hostnqn;
        expect(hostId === '').toBe(own);
        return own ? [OWN.hostnqn, OWN_ID] : [tid.hostNqn, hostId];
      });
      const distinct = new Set([...pairs, [OWN.hostnqn, OWN_ID]].map((pair) => pair.join(' ')));
      const nqns = new Set([...distinct].map((pair) => pair.split(' ')[0]));
      const all = new Set([...distinct].map((pair) => pair.split(' ')[1]));
      expect(nqns.size).toBe(distinct.size);
      expect(all.size).toBe(distinct.size);
      // What is resolved is resolved: the same again changes nothing and finds nothing.
      expect(withHostIds(resolved, OWN).problems).toEqual([]);
    }),
  );
});
