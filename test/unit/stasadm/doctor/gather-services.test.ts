import { readFileSync, symlinkSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { errorNames } from '../../../../src/platform/dbus/names.ts';
import { BusError } from '../../../../src/ports/bus.ts';
import type { RunResult } from '../../../../src/stasadm/doctor/gather/world.ts';
import overrideText from '../../../../udev/70-nvmf-autoconnect.rules';
import { at, busOf, folder, look, NEVER, put, unknownWith } from './gather-kit.ts';

describe('what the doctor finds out', () => {
  describe('of services', () => {
    beforeEach(() => {
      folder('/run/systemd/system');
      put('/proc/77/cmdline', '/usr/bin/node\0--jitless\0/usr/lib/nvme-stas-node/stafd.cjs\0');
    });

    it('who has the names of the daemons, and what systemd says of units', async () => {
      const { bus, state } = busOf();
      const facts = await look({ bus });
      expect(facts.bus.kind).toBe('known');
      expect(facts.daemons.stacd.owner).toEqual({
        kind: 'known',
        value: { reply: 'answers', isPython: false },
      });
      expect(facts.daemons.stacd.unit).toEqual({
        active: { kind: 'known', value: 'active' },
        enabled: { kind: 'known', value: 'enabled' },
      });
      expect(facts.avahi.server).toEqual({ kind: 'known', value: 'running' });
      expect(state.closed).toBe(1);
      // Nothing is started by being looked at.
      expect(state.calls.some(({ autoStart }) => autoStart === true)).toBe(false);
    });

    it('that nobody has a name, and that the Python original has it', async () => {
      put('/proc/77/cmdline', '/usr/bin/python3\0/usr/sbin/stafd\0');
      put('/usr/sbin/stacd', '#!/usr/bin/python3 -u\n');
      const { bus } = busOf(({ args, member }) => {
        if (member === 'GetNameOwner' && args[0] === 'org.nvmexpress.stac') {
          throw new BusError(errorNames.nameHasNoOwner, 'none');
        }
        return undefined;
      });
      const { daemons } = await look({ bus });
      expect(daemons.stafd.owner).toMatchObject({ value: { isPython: true } });
      expect(daemons.stacd.owner).toEqual({ kind: 'known', value: undefined });
      expect(daemons.stacd.program).toEqual({ kind: 'known', value: 'python' });
    });

    it('that a daemon, avahi-daemon or systemd does not answer', async () => {
      const { bus, state } = busOf(({ destination }) =>
        destination === 'org.freedesktop.DBus' ? undefined : NEVER,
      );
      const facts = await look({ bus });
      expect(facts.daemons.stafd.owner).toMatchObject({ value: { reply: 'silent' } });
      expect(facts.avahi.server).toEqual({ kind: 'known', value: 'silent' });
      expect(facts.units['ufw.service'].active).toEqual(unknownWith('did not answer within'));
      expect(state.closed).toBe(1);
    });

    it('that nothing is known of a daemon where the bus is lost on the way', async () => {
      const { bus } = busOf(({ member }) => {
        if (member === 'Ping') throw new BusError(errorNames.disconnected, 'the bus is gone');
        return undefined;
      });
      expect((await look({ bus })).daemons.stafd.owner).toEqual(unknownWith('the bus is gone'));
    });

    it.each([
      ['does not answer', 'never', 'did not answer within'],
      ['is not there', new BusError(errorNames.noServer, 'cannot connect'), 'cannot connect'],
    ] as const)(
      'that the bus %s, and then what the files say of units',
      async (_what, bus, why) => {
        put('/lib/systemd/system/nvmf-autoconnect.service', '');
        put('/lib/systemd/system/nvme-discoverd.service', '');
        folder('/etc/systemd/system/default.target.wants');
        symlinkSync(
          '/nowhere',
          at('/etc/systemd/system/default.target.wants/nvmf-autoconnect.service'),
        );
        symlinkSync('/dev/null', at('/etc/systemd/system/ufw.service'));
        const facts = await look({ bus });
        expect(facts.bus).toEqual(unknownWith(why));
        expect(facts.daemons.stafd.owner).toEqual(unknownWith(why));
        const enabled = Object.values(facts.units).map((unit) => unit.enabled);
        expect(enabled.map((each) => each.kind === 'known' && each.value)).toEqual([
          'disabled',
          'enabled',
          '',
          'masked',
        ]);
      },
    );

    it('what the answers of others are not', async () => {
      const { bus } = busOf(({ member }) => {
        switch (member) {
          case 'ListUnitsByNames':
            return ['nonsense'];
          case 'GetState':
            return ['x'];
          case 'Ping':
            throw new BusError(errorNames.accessDenied, 'no');
          default:
            return undefined;
        }
      });
      const facts = await look({ bus });
      expect(facts.units['ufw.service'].active).toEqual(unknownWith('unexpected answer'));
      expect(facts.avahi.server).toEqual({ kind: 'known', value: 'not-running' });
      expect(facts.daemons.stafd.owner).toMatchObject({ value: { reply: 'denied' } });
    });

    it("the bus's policy, without its comments", async () => {
      const file = '/usr/share/dbus-1/system.d/org.nvmexpress.staf.conf';
      put(file, '<busconfig><!-- <allow own="org.nvmexpress.staf"/> --></busconfig>');
      expect((await look()).daemons.stafd.policy).toEqual({
        kind: 'known',
        value: { files: [file], allowsOwning: false },
      });
      put(file, readFileSync('dbus/org.nvmexpress.staf.conf'));
      expect((await look()).daemons.stafd.policy).toMatchObject({ value: { allowsOwning: true } });
    });

    it("udev's rules in its order, and what nvme-cli connects at boot", async () => {
      const name = '70-nvmf-autoconnect.rules';
      put(`/usr/lib/udev/rules.d/${name}`, 'ACTION=="change"\n');
      put(`/run/udev/rules.d/${name}`, overrideText);
      put(`/etc/udev/rules.d/${name}`, '# off\n\n');
      put('/etc/nvme/discovery.conf', '# --transport\n');
      put('/etc/nvme/config.json', '[{}]');
      put('/usr/sbin/nvme', '');
      const facts = await look();
      expect(facts.rules).toMatchObject({
        value: [
          { file: `/etc/udev/rules.d/${name}`, empty: true },
          { isOverride: true, empty: false },
          { isOverride: false, empty: false },
        ],
      });
      expect(facts.autoconnectFiles).toEqual(['/etc/nvme/config.json']);
      expect(facts.nvmeCli).toBe('/usr/sbin/nvme');
    });
  });

  describe('of the network', () => {
    it('which interfaces could hear mDNS, which do, and which avahi-daemon leaves out', async () => {
      for (const [name, flags] of Object.entries({
        lo: '0x9',
        eth0: '0x1003',
        tun0: '0x1091',
        eth1: '0x1003',
      })) {
        put(`/sys/class/net/${name}/flags`, `${flags}\n`);
      }
      put(
        '/proc/net/igmp',
        'Idx\tDevice    : Count Querier\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n2\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n',
      );
      put(
        '/proc/net/igmp6',
        '3    eth2            ff0200000000000000000000000000fb     1 0000000C 0\n',
      );
      put(
        '/etc/avahi/avahi-daemon.conf',
        '[server]\n#deny-interfaces=eth0\ndeny-interfaces=eth1, eth9\n',
      );
      const { avahi } = await look({ interfaces: ['lo', 'eth0', 'eth0', 'tun0', 'eth1'] });
      expect(avahi.interfaces).toEqual({ kind: 'known', value: ['eth0', 'eth1'] });
      expect(avahi.listening).toEqual({ kind: 'known', value: ['eth0', 'eth2'] });
      expect(avahi.leftOut).toEqual(['eth1']);
    });

    const NFT = JSON.stringify({
      nftables: [
        { metainfo: {} },
        {
          chain: {
            family: 'inet',
            table: 'f',
            name: 'in',
            type: 'filter',
            hook: 'input',
            policy: 'accept',
          },
        },
        {
          chain: {
            family: 'inet',
            table: 'f',
            name: 'out',
            type: 'filter',
            hook: 'output',
            policy: 'drop',
          },
        },
        {
          rule: {
            family: 'inet',
            table: 'f',
            chain: 'in',
            expr: [{ match: { op: '==', left: { meta: {} }, right: 'lo' } }, { drop: null }],
          },
        },
        {
          rule: {
            family: 'inet',
            table: 'f',
            chain: 'x',
            expr: [
              {
                match: {
                  op: '==',
                  left: { payload: { protocol: 'tcp', field: 'dport' } },
                  right: { set: [22, { range: [4000, 5000] }] },
                },
              },
              { accept: null },
            ],
          },
        },
      ],
    });

    it.each([
      [
        'that nft shows',
        { nft: { kind: 'output', text: NFT } },
        {
          closedInput: false,
          closedOutput: true,
          accepted: [
            { first: 22, last: 22 },
            { first: 4000, last: 5000 },
          ],
        },
      ],
      [
        'of which there are none',
        { nft: { kind: 'output', text: '' } },
        { closedInput: false, closedOutput: false, accepted: [] },
      ],
    ] as const)(
      'rules %s',
      async (_what, results: Readonly<Record<string, RunResult>>, expected) => {
        const run = (program: string): RunResult => results[program] ?? { kind: 'absent' };
        expect((await look({ run })).packetFilter).toEqual({ kind: 'known', value: expected });
      },
    );

    it('rules of the older packet filter', async () => {
      put('/proc/net/ip_tables_names', 'filter\n');
      const text =
        '*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p udp -m udp --dport 5353 -j ACCEPT\n-A INPUT -s 192.0.2.1/32 -j DROP\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n';
      const run = (program: string): RunResult =>
        program === 'iptables-save' ? { kind: 'output', text } : { kind: 'absent' };
      expect((await look({ run })).packetFilter).toEqual({
        kind: 'known',
        value: { closedInput: true, closedOutput: false, accepted: [{ first: 5353, last: 5353 }] },
      });
    });

    it.each([
      [{ kind: 'output', text: '{"nftables": 7}' }, 'cannot be understood'],
      [{ kind: 'failed' }, 'failed'],
      [{ kind: 'given-up' }, 'did not end'],
      [{ kind: 'absent' }, 'no /sys'],
    ] as const)('that rules are not known if nft comes to %j', async (result, why) => {
      expect((await look({ run: () => result })).packetFilter).toEqual(unknownWith(why));
    });
  });
});
