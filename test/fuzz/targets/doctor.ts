/** What `stasadm doctor` reads of the system: files and the output of programs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  blockedByCommandLine,
  blockedByModprobe,
} from '../../../src/stasadm/doctor/gather/kernel.ts';
import { identifyLibrary, pathsInCache } from '../../../src/stasadm/doctor/gather/libnvme.ts';
import {
  leftOutByAvahi,
  mdnsInIgmp,
  mdnsInIgmp6,
} from '../../../src/stasadm/doctor/gather/network.ts';
import { allowsOwning } from '../../../src/stasadm/doctor/gather/services.ts';
import { parseIptablesSave, parseNftRuleset } from '../../../src/stasadm/doctor/packet-filter.ts';
import { mutatedText } from '../mutate.ts';
import { defineTarget } from '../target.ts';

const NFT = JSON.stringify({
  nftables: [
    {
      chain: { family: 'ip', table: 't', name: 'c', type: 'filter', hook: 'input', policy: 'drop' },
    },
    {
      rule: {
        ...{ family: 'ip', table: 't', chain: 'c' },
        expr: [
          {
            match: {
              op: '==',
              left: { payload: { field: 'dport' } },
              right: { set: [1, { range: [2, 3] }] },
            },
          },
          { accept: null },
        ],
      },
    },
  ],
});

const SAVED = '*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp --dport 5353 -j ACCEPT\nCOMMIT\n';
const MODPROBE = 'blacklist nvme-tcp\ninstall nvme_fc /bin/false\noptions x y=1\n';
const IGMP = '2\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n';
const IGMP6 = '2    eth0            ff0200000000000000000000000000fb     1 0000000C 0\n';
const AVAHI = '[server]\nallow-interfaces=eth0, eth1\ndeny-interfaces=eth2\n';
const POLICY = '<policy user="root"><allow own="org.nvmexpress.staf"/></policy><!-- x -->';
const CACHE = 'libnvme.so.1\0/usr/lib/libnvme.so.1\0';
const LINE = 'ro modprobe.blacklist=nvme_tcp,x module_blacklist=y';

const NAMES = ['eth0', 'eth1', 'eth2'];

function wordsAreOf(words: readonly string[], text: string): void {
  for (const word of words) assert.ok(text.includes(word));
}

/** Each parser, with what must hold of whatever comes out. */
const PARSERS: Readonly<Record<string, (text: string) => void>> = {
  nft: (text) => {
    for (const { first, last } of parseNftRuleset(text)?.accepted ?? []) {
      assert.ok(typeof first === 'number' && typeof last === 'number');
    }
  },
  iptables: (text) => {
    for (const { first, last } of parseIptablesSave(text).accepted) {
      assert.ok(Number.isInteger(first) && Number.isInteger(last) && first <= 99_999);
    }
  },
  modprobe: (text) => {
    for (const name of blockedByModprobe(text)) assert.ok(!/[ \t\n-]/.test(name));
  },
  'command-line': (text) => {
    for (const name of blockedByCommandLine(text)) assert.ok(name !== '' && !/[\s,-]/.test(name));
  },
  igmp: (text) => {
    wordsAreOf(mdnsInIgmp(text), text);
  },
  igmp6: (text) => {
    wordsAreOf(mdnsInIgmp6(text), text);
  },
  avahi: (text) => {
    for (const name of leftOutByAvahi(text, NAMES)) assert.ok(NAMES.includes(name));
  },
  policy: (text) => {
    if (allowsOwning(text, 'org.nvmexpress.staf')) wordsAreOf(['org.nvmexpress.staf'], text);
  },
  library: (text) => {
    const bytes = Buffer.from(text);
    for (const path of pathsInCache(bytes))
      assert.ok(/^\/.*\/libnvme\.so\.1$|^\/libnvme\.so\.1$/s.test(path));
    assert.ok(identifyLibrary(text, bytes).minor >= 0);
  },
};

const seed = fc.constantFrom(NFT, SAVED, MODPROBE, IGMP, IGMP6, AVAHI, POLICY, CACHE, LINE);
const pieces = ['--dport ', '"dport"', '<!--', '-->', '<allow ', '=', ',', '\\\n', '\0'];

/** What a careless one of them would choke on. */
const REPEATED: readonly (readonly [keyof typeof PARSERS, string])[] = [
  ['nft', '['],
  ['iptables', '*filter\n-A '],
  ['iptables', '*filter\n-A INPUT --dport 1,'],
  ['modprobe', 'install x \\\n'],
  ['modprobe', ' '],
  ['command-line', 'modprobe.blacklist=,'],
  ['igmp', '1 eth0 '],
  ['igmp', '\n'],
  ['igmp6', '\t'],
  ['avahi', ' deny-interfaces'],
  ['avahi', ' \n'],
  ['policy', '<allow '],
  ['policy', '<!--'],
  ['library', '/libnvme.so.1\0'],
  ['library', '/x'],
];

const hostFiles = defineTarget<string>({
  name: 'doctor-host-files',
  cases: 15_000,
  input: mutatedText(seed, pieces),
  size: (text) => text.length,
  check: (text) => {
    for (const parse of Object.values(PARSERS)) parse(text);
  },
  families: REPEATED.map(([name, piece]) => ({
    name: `${name}: ${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = piece.repeat(n);
      return () => PARSERS[name]?.(text);
    },
  })),
});

export const doctorTargets = [hostFiles];
