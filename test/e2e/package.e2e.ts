import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystems,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';
import { readSources } from '../../tools/man/pages.ts';

const TIMEOUT = { timeoutMs: 300_000 } as const;
const OVERRIDE = '/run/udev/rules.d/70-nvmf-autoconnect.rules';

// In order, as a host goes through it: each installation under emulation takes half a minute.
describe('the package', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.addDc({ entries: entries(2) });
  });

  afterAll(async () => {
    await here.machine.sh(
      `rm -rf /etc/stas; dpkg -P nvme-stas-node; dpkg -i ${here.guestDeb}`,
      TIMEOUT,
    );
  });

  function everything() {
    return here.kernelUntil(
      'everything',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 2,
    );
  }

  it('starts both units, provisions the host NQN and ID where they are missing, and has its manual and completions found', async () => {
    await here.machine.sh(
      `dpkg -P nvme-stas-node; rm -f /etc/nvme/hostnqn /etc/nvme/hostid; dpkg -i ${here.guestDeb}`,
      TIMEOUT,
    );
    expect(await here.machine.sh('systemctl is-enabled stafd stacd')).toBe('enabled\nenabled\n');
    expect(await here.machine.sh('systemctl is-active stafd stacd')).toBe('active\nactive\n');
    expect(await here.machine.sh('cat /etc/nvme/hostnqn')).toMatch(
      /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}\n$/,
    );
    expect(await here.machine.sh('cat /etc/nvme/hostid')).toMatch(/^[0-9a-f-]{36}\n$/);
    const pages = await readSources(dirname(dirname(import.meta.dirname)), '');
    const names = pages.flatMap(({ names, section }) => names.map((name) => [section, name]));
    const found = await here.machine.sh(`man -w ${names.flat().join(' ')}`);
    expect(found.trim().split('\n')).toHaveLength(names.length);
    const shown = await here.machine.sh('LC_ALL=C MANWIDTH=80 man stafd.conf');
    expect(shown).toContain('reconnect-delay=');
    // As bash calls it: the command, the word that is replaced, and the one before.
    const call = 'COMP_LINE="stacctl tre" COMP_POINT=11 _stacctl stacctl tre stacctl';
    const complete = `${call}; echo "\${COMPREPLY[@]}"`;
    const folder = '/usr/share/bash-completion/completions';
    const completed = await here.machine.sh(
      `bash -c '. ${folder}/stacctl; ${complete}'; ls ${folder} /usr/share/zsh/vendor-completions`,
    );
    expect(completed).toMatch(/^tree\n/);
    for (const name of ['stafctl', 'stacctl', 'stasadm']) {
      expect(completed).toContain(`\n${name}\n`);
      expect(completed).toContain(`\n_${name}\n`);
    }
  });

  /** Of the running daemons, those that Node started from a snapshot. */
  async function fromSnapshot(): Promise<readonly string[]> {
    const { stdout } = await here.machine.exec(
      'for d in stafd stacd; do grep -zq -- --snapshot-blob /proc/$(systemctl show -P MainPID $d)/cmdline && echo $d; done; ls /run/sta?d/starting-from-snapshot',
    );
    return stdout.trim().split('\n');
  }

  it('has its daemons start from snapshots, and without one that is damaged, until Node is replaced', async () => {
    expect(await fromSnapshot()).toEqual(['stafd', 'stacd']);
    await here.machine.sh('truncate -s -1 /usr/lib/nvme-stas-node/snapshots/stafd');
    await here.systemctl('restart stafd');
    expect(await fromSnapshot()).toEqual(['stacd']);
    // As dpkg does when it has unpacked another Node.
    await here.machine.sh(
      'dpkg-trigger --no-await /usr/bin/node && dpkg --triggers-only --pending',
      TIMEOUT,
    );
  });

  it('is upgraded without a connection lost, and keeps the identity of the host and what the administrator changed', async () => {
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
    await here.systemctl('restart stafd stacd');
    expect(await fromSnapshot()).toEqual(['stafd', 'stacd']);
    const before = await everything();
    const nqn = await here.machine.sh('cat /etc/nvme/hostnqn');
    const pids = async (): Promise<readonly string[]> =>
      (await here.machine.sh('systemctl show -P MainPID stafd stacd')).trim().split(/\s+/);
    const old = await pids();
    await here.machine.sh(`echo '# by the old stafd' >> ${OVERRIDE}`);
    await here.machine.sh(
      [
        'set -e; rm -rf /root/next; dpkg-deb -R ' + here.guestDeb + ' /root/next',
        "sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control",
        'dpkg-deb -Znone -b /root/next /root/next.deb; rm -rf /root/next',
        'dpkg -i --force-confdef /root/next.deb; rm /root/next.deb',
      ].join('\n'),
      TIMEOUT,
    );
    expect(await here.machine.sh('dpkg-query -W -f "\\${Version}" nvme-stas-node')).toContain(
      '+next',
    );
    expect(await here.machine.sh('cat /etc/stas/stafd.conf')).toContain('traddr=127.0.0.1');
    expect(await here.machine.sh('cat /etc/nvme/hostnqn')).toBe(nqn);
    expect((await pids()).filter((pid) => pid === '0' || old.includes(pid))).toEqual([]);
    expect(await fromSnapshot()).toEqual(['stafd', 'stacd']);
    await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
    await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
    // nvme-cli's rules are overridden by the new stafd as they were by the old one.
    const rules = await here.machine.sh(`cat ${OVERRIDE}`);
    expect(rules).toContain('nvmediscovery');
    expect(rules).not.toContain('# by the old stafd');
  });

  it('leaves connections when it is removed, as the configuration says', async () => {
    const before = await everything();
    await here.machine.sh('dpkg -r nvme-stas-node', TIMEOUT);
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
    expect((await here.machine.exec("pgrep -f '[n]vme-stas-node/sta'")).status).toBe(1);
    expect(await here.machine.sh('cat /etc/stas/stafd.conf')).toContain('traddr=127.0.0.1');
    expect((await here.machine.exec(`test -e ${OVERRIDE}`)).status).toBe(1);
    expect((await here.machine.exec('test -e /usr/lib/nvme-stas-node')).status).toBe(1);
  });

  it('disconnects discovery controllers when it is removed, if the configuration says so', async () => {
    await here.configure(
      'stafd',
      `${stafdConf('transport=tcp;traddr=127.0.0.1')}[Discovery controller connection management]\npersistent-connections = false\n`,
    );
    await here.machine.sh(`dpkg -i ${here.guestDeb}`, TIMEOUT);
    const before = await everything();
    await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    await here.machine.sh('dpkg -r nvme-stas-node', TIMEOUT);
    expect((await here.kernel()).map(identity)).toEqual(liveIo(before).map(identity));
  });

  it('removes its configuration when it is purged, and never the identity of the host', async () => {
    await here.machine.sh('dpkg -P nvme-stas-node', TIMEOUT);
    expect((await here.machine.exec('ls /etc/stas')).status).not.toBe(0);
    expect((await here.machine.exec('ls /run/stafd /run/stacd')).stdout).toBe('');
    await here.machine.sh('test -s /etc/nvme/hostnqn && test -s /etc/nvme/hostid');
  });
});
