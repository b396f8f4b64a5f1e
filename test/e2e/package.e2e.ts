import { dirname } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
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

describe('the package', () => {
  let here: Lab;

  beforeEach(async () => {
    here = await lab();
    await here.machine.sh(
      `[ "$(dpkg-query -W -f '\${db:Status-Status}' nvme-stas-node)" = installed ] || dpkg -i --force-confnew ${here.guestDeb}`,
      TIMEOUT,
    );
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
    await here.addDc({ entries: entries(2) });
    await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  });

  afterAll(async () => {
    await here.machine.sh(
      `rm -rf /etc/stas; dpkg -P nvme-stas-node; dpkg -i ${here.guestDeb}`,
      TIMEOUT,
    );
  });

  async function connectAll() {
    await here.systemctl('start stafd stacd');
    return here.kernelUntil(
      'everything',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 2,
    );
  }

  it('starts both units, provisions the host NQN and ID where they are missing, and has its manual found', async () => {
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
  });

  it('keeps a host NQN that is there', async () => {
    const nqn = await here.machine.sh('cat /etc/nvme/hostnqn');
    await here.machine.sh(`dpkg -i ${here.guestDeb}`, TIMEOUT);
    expect(await here.machine.sh('cat /etc/nvme/hostnqn')).toBe(nqn);
  });

  it('is upgraded without a connection lost, and keeps what the administrator changed', async () => {
    const before = await connectAll();
    await here.machine.sh(`echo '# by the old stafd' >> ${OVERRIDE}`);
    await here.machine.sh(
      [
        'set -e; rm -rf /root/next; dpkg-deb -R ' + here.guestDeb + ' /root/next',
        "sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control",
        'dpkg-deb -Zgzip -z1 -b /root/next /root/next.deb',
        'dpkg -i --force-confdef /root/next.deb',
      ].join('\n'),
      TIMEOUT,
    );
    expect(await here.machine.sh('dpkg-query -W -f "\\${Version}" nvme-stas-node')).toContain(
      '+next',
    );
    expect(await here.machine.sh('cat /etc/stas/stafd.conf')).toContain('traddr=127.0.0.1');
    await here.listUntil('stacctl', (all) => all.every(({ connected }) => connected === 'True'));
    await here.listUntil('stafctl', (all) => all[0]?.['connected'] === 'True');
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
    // nvme-cli's rules are overridden by the new stafd as they were by the old one.
    const rules = await here.machine.sh(`cat ${OVERRIDE}`);
    expect(rules).toContain('nvmediscovery');
    expect(rules).not.toContain('# by the old stafd');
  });

  it('leaves connections when it is removed, as the configuration says', async () => {
    const before = await connectAll();
    await here.machine.sh('dpkg -r nvme-stas-node', TIMEOUT);
    expect((await here.kernel()).map(identity).sort()).toEqual(before.map(identity).sort());
    expect((await here.machine.exec("pgrep -f '[n]vme-stas-node/sta'")).status).toBe(1);
    expect(await here.machine.sh('cat /etc/stas/stafd.conf')).toContain('traddr=127.0.0.1');
    expect((await here.machine.exec(`test -e ${OVERRIDE}`)).status).toBe(1);
  });

  it('disconnects discovery controllers when it is removed, if the configuration says so', async () => {
    await here.configure(
      'stafd',
      `${stafdConf('transport=tcp;traddr=127.0.0.1')}[Discovery controller connection management]\npersistent-connections = false\n`,
    );
    await connectAll();
    await here.machine.sh('dpkg -r nvme-stas-node', TIMEOUT);
    const after = await here.kernel();
    expect(liveDc(after)).toHaveLength(0);
    expect(liveIo(after)).toHaveLength(2);
  });

  it('removes its configuration when it is purged, and never the identity of the host', async () => {
    await here.machine.sh('dpkg -P nvme-stas-node', TIMEOUT);
    expect((await here.machine.exec('ls /etc/stas')).status).not.toBe(0);
    expect((await here.machine.exec('ls /run/stafd /run/stacd')).stdout).toBe('');
    await here.machine.sh('test -s /etc/nvme/hostnqn && test -s /etc/nvme/hostid');
  });
});
