import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

describe('a prerequisite that is missing is one clear line', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
  });

  afterEach(async () => {
    await here.machine.sh(
      'rm -f /run/modprobe.d/e2e.conf; [ -e /root/hostnqn ] && mv /root/hostnqn /etc/nvme/hostnqn; modprobe nvme-tcp; systemctl stop stafd stacd; systemctl reset-failed',
    );
  });

  it.each(['stafd', 'stacd'])('%s without nvme-fabrics', async (daemon) => {
    await here.machine.sh(
      'mkdir -p /run/modprobe.d; printf "install nvme_fabrics /bin/false\\ninstall nvme_tcp /bin/false\\n" > /run/modprobe.d/e2e.conf; modprobe -r nvme-fcloop nvme-loop nvme-rdma nvme-fc nvme-tcp nvme-fabrics',
    );
    const { status, stderr, stdout } = await here.machine.exec(`/usr/sbin/${daemon}`);
    expect(status).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`^${daemon}: /dev/nvme-fabrics is missing: .*modprobe`));
    expect(stderr.trim().split('\n')).toHaveLength(1);
    // The service manager does not start it again and again.
    await here.machine.exec(`systemctl start ${daemon}`);
    await here.machine.waitFor(`systemctl is-failed ${daemon}`);
    const journal = await here.journal(daemon);
    expect(journal.match(/nvme-fabrics is missing/g)).toHaveLength(1);
  });

  it.each(['stafd', 'stacd'])('%s without a host NQN', async (daemon) => {
    await here.machine.sh('mv /etc/nvme/hostnqn /root/hostnqn');
    const { status, stderr } = await here.machine.exec(`/usr/sbin/${daemon}`);
    expect(status).toBe(78);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('/etc/nvme/hostnqn');
    expect(stderr).toContain('stasadm');
  });

  it.each(['stafd', 'stacd'])('%s as an ordinary user', async (daemon) => {
    const { status, stderr } = await here.machine.exec(
      `setpriv --reuid=65534 --regid=65534 --clear-groups /usr/sbin/${daemon}`,
    );
    expect(status).toBe(78);
    expect(stderr).toMatch(new RegExp(`^${daemon}: must be run as root`));
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it.each(['stafd', 'stacd'])('%s with a wrong command line', async (daemon) => {
    const { status, stderr } = await here.machine.exec(`/usr/sbin/${daemon} --bogus`);
    expect(status).toBe(2);
    expect(stderr).toContain('--bogus');
  });

  it('a host NQN that is missing is provisioned when a service starts', async () => {
    await here.machine.sh('mv /etc/nvme/hostnqn /root/hostnqn');
    await here.systemctl('restart stas-config@hostnqn.service');
    await here.machine.sh('modprobe -r nvme-tcp');
    await here.systemctl('start stafd');
    // Its module, too.
    await here.machine.sh('test -d /sys/module/nvme_tcp');
    const nqn = await here.machine.sh('cat /etc/nvme/hostnqn');
    expect(nqn).toMatch(/^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}\n$/);
    await here.systemctl('stop stafd');
  });

  it.each(['stafctl', 'stacctl'])('%s tells which unit to start', async (command) => {
    const { status, stderr, stdout } = await here.machine.exec(`${command} ls`);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain(`systemctl start ${command === 'stafctl' ? 'stafd' : 'stacd'}`);
  });
});
