import { describe, expect, it } from 'vitest';
import { known } from '../../../../src/core/answer.ts';
import { examine } from '../../../../src/stasadm/doctor/checks.ts';
import type { Facts, KernelModule } from '../../../../src/stasadm/doctor/facts.ts';
import { entry, HEALTHY, LOADED } from './healthy.ts';
import { IDENTITY_ROWS } from './identity-rows.ts';
import { KERNEL_ROWS } from './kernel-rows.ts';
import { NETWORK_ROWS } from './network-rows.ts';
import { NOT_SEEN, configured, stafd, tcpModule, type Row } from './row-kit.ts';
import { SERVICE_ROWS } from './service-rows.ts';

const ROWS: readonly Row[] = [...KERNEL_ROWS, ...IDENTITY_ROWS, ...SERVICE_ROWS, ...NETWORK_ROWS];

describe('stasadm doctor', () => {
  it('has nothing to say against a host that lacks nothing', () => {
    const findings = examine(HEALTHY);
    expect(findings.filter(({ severity }) => severity !== 'ok')).toEqual([]);
    expect(findings.length).toBeGreaterThan(25);
    expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length);
  });

  it.each(ROWS.map((row) => [row[0], row[1], row] as const))('%s, %s', (id, _what, row) => {
    const [, , change, severity, seen, remedy] = row;
    const findings = examine({ ...HEALTHY, ...change }).filter((finding) => finding.id === id);
    expect(findings).toMatchObject([{ severity, seen: expect.stringContaining(seen) as string }]);
    const [finding] = findings;
    if (finding === undefined || finding.severity === 'ok') expect(remedy).toBeUndefined();
    else expect(finding.remedy).toContain(remedy ?? 'a remedy that the row must name');
  });

  it('has a row for every severity but ok of every check', () => {
    const told = new Set(ROWS.map(([id]) => id.replace('stacd', 'stafd')));
    const other = ['module-nvme-fabrics', 'bus-policy-stacd', 'daemon-stacd', 'snapshot-stacd'];
    const ids = examine(HEALTHY).map(({ id }) => id);
    expect(ids.filter((id) => !told.has(id) && !other.includes(id))).toEqual([]);
  });

  it('does not speak of snapshots where there are none to be', () => {
    const told = (facts: Partial<Facts>) =>
      examine({ ...HEALTHY, ...facts }).some(({ id }) => id === 'snapshot-stafd');
    expect(told({})).toBe(true);
    expect(told({ booted: false })).toBe(false);
    expect(told(stafd({ snapshot: known(undefined) }))).toBe(false);
  });

  it('asks for the modules of other transports only where the configuration names them', () => {
    const missing: KernelModule = { ...LOADED, state: known('missing') };
    const modules = { ...HEALTHY.modules, 'nvme-rdma': missing };
    const of = (facts: Partial<Facts>) =>
      examine({ ...HEALTHY, modules, ...facts }).find(({ id }) => id === 'module-nvme-rdma');
    expect(of({})).toBeUndefined();
    expect(of(configured({ transports: new Set(['rdma']) }))).toMatchObject({
      severity: 'failure',
    });
  });

  it('speaks of authentication only where the configuration has secrets', () => {
    const ids = (usesSecrets: boolean) =>
      examine({ ...HEALTHY, ...configured({ usesSecrets }) }).map(({ id }) => id);
    expect(ids(true)).toContain('dhchap');
    expect(ids(false)).not.toContain('dhchap');
  });

  it('gives no command with a file name in it that a shell would read otherwise', () => {
    const path = "/etc/stas/stacd.conf.d/$(reboot)'.conf";
    const facts = { ...HEALTHY, confEntries: known([entry(path, { holdsSecret: true, uid: 7 })]) };
    const remedies = examine(facts).flatMap((each) =>
      each.severity === 'ok' ? [] : [each.remedy],
    );
    expect(remedies).toHaveLength(2);
    expect(remedies.join()).not.toContain('reboot');
  });

  it('takes nothing for ok of which it knows nothing', () => {
    const nobody: Facts = {
      ...HEALTHY,
      isRoot: false,
      release: '?',
      fabrics: NOT_SEEN,
      modules: {
        ...HEALTHY.modules,
        ...tcpModule({ state: NOT_SEEN }).modules,
        'nvme-fabrics': { ...LOADED, state: NOT_SEEN },
      },
      controllers: NOT_SEEN,
      libnvme: NOT_SEEN,
      configuration: NOT_SEEN,
      nvmeCliIdentity: NOT_SEEN,
      daemons: {
        stafd: {
          policy: NOT_SEEN,
          owner: NOT_SEEN,
          program: NOT_SEEN,
          snapshot: NOT_SEEN,
          unit: { active: NOT_SEEN, enabled: NOT_SEEN },
        },
        stacd: {
          policy: NOT_SEEN,
          owner: NOT_SEEN,
          program: NOT_SEEN,
          snapshot: NOT_SEEN,
          unit: { active: NOT_SEEN, enabled: NOT_SEEN },
        },
      },
      bus: NOT_SEEN,
      units: {
        'nvme-discoverd.service': { active: NOT_SEEN, enabled: NOT_SEEN },
        'nvmf-autoconnect.service': { active: NOT_SEEN, enabled: NOT_SEEN },
        'firewalld.service': { active: NOT_SEEN, enabled: NOT_SEEN },
        'ufw.service': { active: NOT_SEEN, enabled: NOT_SEEN },
      },
      avahi: { server: NOT_SEEN, interfaces: NOT_SEEN, listening: NOT_SEEN, leftOut: [] },
      rules: NOT_SEEN,
      packetFilter: NOT_SEEN,
      confEntries: NOT_SEEN,
      booted: true,
    };
    const fine = examine(nobody).filter(({ severity }) => severity === 'ok');
    expect(fine.map(({ id }) => id)).toEqual(['nvme-cli']);
  });
});
