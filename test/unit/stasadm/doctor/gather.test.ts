import { symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../../../src/stasadm/doctor/gather/world.ts';
import { at, folder, library, look, put, RELEASE, unknownWith } from './gather-kit.ts';
import { ID, NQN, OTHER_ID } from './healthy.ts';

const SECRET = `DHHC-1:00:${'YWJj'.repeat(12)}:`;

describe('what the doctor finds out', () => {
  it('of an empty root: that nothing is known of what runs', async () => {
    const facts = await look({ isRoot: false });
    expect(facts.booted).toBe(false);
    expect(facts.fabrics).toEqual(unknownWith('no /dev'));
    expect(facts.controllers).toEqual(unknownWith('no /sys'));
    expect(facts.modules['nvme-tcp'].state).toEqual(unknownWith('no /sys'));
    expect(facts.bus).toEqual(unknownWith('no systemd'));
    expect(facts.daemons.stafd.owner).toEqual(unknownWith('no systemd'));
    expect(facts.avahi.server).toEqual(unknownWith('no systemd'));
    expect(facts.avahi.interfaces).toEqual(unknownWith('no /sys'));
    expect(facts.avahi.listening).toEqual(unknownWith('no /proc'));
    expect(facts.packetFilter).toEqual(unknownWith('root only'));
    expect(facts.libnvme).toEqual({ kind: 'known', value: undefined });
  });

  describe('of the kernel', () => {
    it('which options it tells, by a program of its own', async () => {
      put('/dev/nvme-fabrics', '');
      const run = (program: string): RunResult =>
        program === 'cat'
          ? { kind: 'output', text: 'instance=-1,cntlid=-1,host_iface=%s,discovery' }
          : { kind: 'absent' };
      expect((await look({ run })).fabrics).toEqual({
        kind: 'known',
        value: { kind: 'options', options: new Set(['host_iface', 'discovery']) },
      });
    });

    it.each([
      ['is refused', 'failed', { kind: 'known', value: { kind: 'silent' } }],
      ['does not end', 'given-up', unknownWith('busy with a connect')],
      ['has no program', 'absent', unknownWith('no cat')],
    ] as const)('that reading %s', async (_what, kind, expected) => {
      put('/dev/nvme-fabrics', '');
      expect((await look({ run: () => ({ kind }) })).fabrics).toEqual(expected);
    });

    it('that there is no device, where there are devices', async () => {
      put('/dev/null', '');
      expect((await look()).fabrics).toEqual({ kind: 'known', value: { kind: 'missing' } });
    });

    it('which modules are loaded, could be, and are kept from it', async () => {
      folder('/sys/module/nvme_fabrics');
      put(`/lib/modules/${RELEASE}/modules.dep`, 'kernel/drivers/nvme/host/nvme-tcp.ko.xz: x\n');
      put(`/lib/modules/${RELEASE}/modules.builtin`, 'kernel/drivers/nvme/host/nvme-fc.ko\n');
      put('/etc/modprobe.d/a.conf', '# blacklist nvme_fc\nblacklist nvme-tcp\n');
      put('/etc/modprobe.d/b.conf.bak', 'blacklist nvme-fc\n');
      put(
        '/usr/lib/modprobe.d/c.conf',
        'install nvme_rdma \\\n /bin/false\ninstall nvme-fc modprobe x\n',
      );
      put('/proc/cmdline', 'ro quiet modprobe.blacklist=foo,nvme_fabrics\n');
      const { modules } = await look();
      expect(modules).toEqual({
        'nvme-fabrics': {
          state: { kind: 'known', value: 'loaded' },
          blockedBy: "the kernel's command line",
        },
        'nvme-tcp': {
          state: { kind: 'known', value: 'available' },
          blockedBy: '/etc/modprobe.d/a.conf',
        },
        'nvme-rdma': {
          state: { kind: 'known', value: 'missing' },
          blockedBy: '/usr/lib/modprobe.d/c.conf',
        },
        'nvme-fc': { state: { kind: 'known', value: 'available' }, blockedBy: undefined },
      });
    });

    it('its connections, from sysfs', async () => {
      const device = '/sys/class/nvme/nvme0';
      for (const [name, text] of Object.entries({
        state: 'live',
        transport: 'tcp',
        hostnqn: NQN,
        hostid: ID,
      })) {
        put(`${device}/${name}`, `${text}\n`);
      }
      expect((await look()).controllers).toMatchObject({
        kind: 'known',
        value: [{ device: 'nvme0', hostnqn: NQN, hostid: ID }],
      });
    });
  });

  describe('of libnvme', () => {
    const path = '/usr/lib/x86_64-linux-gnu/libnvme.so.1';
    const cache = Buffer.from(
      `glibc-ld.so.cache1.1\0libnvme.so.1\0/opt/32/libnvme.so.1\0libnvme.so.1\0${path}\0`,
    );

    it('the one that the loader would take, by the name of its file', async () => {
      put('/etc/ld.so.cache', cache);
      put(
        '/opt/32/libnvme.so.1',
        Buffer.concat([Buffer.from('\x7fELF\x01\x01'), Buffer.alloc(40)]),
      );
      put(`${path}.13.2`, library('nvme_get_version', 'nvme_subsystem_get_fw_rev'));
      symlinkSync('libnvme.so.1.13.2', at(path));
      expect((await look()).libnvme).toEqual({
        kind: 'known',
        value: { path, version: '1.13', minor: 13 },
      });
    });

    it('its version by its functions, where its name says less', async () => {
      put('/lib64/libnvme.so.1', library('nvme_get_version', 'nvme_subsystem_get_fw_rev'));
      expect((await look()).libnvme).toMatchObject({ value: { minor: 13 } });
      put('/lib64/libnvme.so.1', 'no library');
      expect((await look()).libnvme).toEqual({ kind: 'known', value: undefined });
    });
  });

  describe('of the configuration', () => {
    it('who the host is, whom its files name besides, and what they ask for', async () => {
      put('/etc/nvme/hostnqn', `${NQN}\n`);
      put('/etc/nvme/hostid', `${ID}\n`);
      const line = `controller=transport=rdma;traddr=192.0.2.1;nqn=nqn.x;host-nqn=nqn.a;host-id=${OTHER_ID}`;
      put('/etc/stas/stacd.conf', `[Controllers]\n${line};dhchap-secret=${SECRET}\nx=1\n`);
      put('/etc/stas/stafd.conf.d/off.conf', '[Service Discovery]\nzeroconf=disabled\n');
      const { configuration, nvmeCliIdentity } = await look();
      expect(configuration).toEqual({
        kind: 'known',
        value: {
          errors: 1,
          warnings: 0,
          hostnqn: { kind: 'found', value: NQN, source: '/etc/nvme/hostnqn' },
          hostid: { kind: 'found', value: ID, source: '/etc/nvme/hostid' },
          identities: [
            { hostnqn: NQN, hostid: ID, by: 'this host' },
            { hostnqn: 'nqn.a', hostid: OTHER_ID, by: 'stacd.conf' },
          ],
          zeroconf: false,
          transports: new Set(['rdma']),
          usesSecrets: true,
        },
      });
      expect(nvmeCliIdentity).toEqual({ kind: 'known', value: { hostnqn: NQN, hostid: ID } });
    });

    it('what is missing of an identity, and what is there', async () => {
      put('/etc/nvme/hostid', ID);
      expect((await look()).configuration).toMatchObject({
        value: {
          hostnqn: { kind: 'unusable', why: 'is in /etc/nvme/hostnqn, which does not exist' },
          hostid: { kind: 'found', value: ID },
          identities: [],
        },
      });
    });

    it('that files which cannot be read are not known', async () => {
      folder('/etc/stas/stafd.conf');
      expect((await look()).configuration).toEqual(unknownWith('is a directory'));
    });

    it('which files hold secrets, and their permissions', async () => {
      put('/etc/stas/stafd.conf', '# dhchap-secret=x\n', 0o640);
      put(
        '/etc/stas/stacd.conf.d/10.conf',
        `[Controllers]\ncontroller=dhchap-ctrl-secret=${SECRET}\n`,
      );
      put('/etc/stas/stacd.conf.d/10.conf~', SECRET);
      put('/etc/stas/sys.conf', '[Host]\nkey=file:///etc/nvme/my key\n');
      put('/etc/nvme/my key', SECRET, 0o604);
      const { confEntries } = await look();
      const own = { uid: process.geteuid?.(), gid: process.getegid?.() };
      expect(
        confEntries.kind === 'known' && confEntries.value.filter(({ kind }) => kind === 'file'),
      ).toEqual([
        { path: '/etc/stas/stafd.conf', kind: 'file', mode: 0o640, ...own, holdsSecret: false },
        {
          path: '/etc/stas/stacd.conf.d/10.conf',
          kind: 'file',
          mode: 0o644,
          ...own,
          holdsSecret: true,
        },
        { path: '/etc/stas/sys.conf', kind: 'file', mode: 0o644, ...own, holdsSecret: false },
        { path: '/etc/nvme/my key', kind: 'file', mode: 0o604, ...own, holdsSecret: true },
      ]);
    });
  });
});
