import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOCAL_PORT, stafdConf, subsystemNqn, subsystems, type Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

const ROOT = '/root/chroot';
const AREA = '/root/stasadm';
const NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const OTHER_ID = '11111111-1111-4111-8111-111111111111';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Access control list and extended attribute of a file, by the system calls: there are no tools. */
const ATTRIBUTES = String.raw`
my ($what, $path) = @ARGV;
# syscall() takes variables only.
my ($acl, $note, $mine) = ("system.posix_acl_access", "user.note", "mine");
if ($what eq 'set') {
  # One more user may read, the owning group may not.
  my $entries = pack("L(SSL)*", 2, 1, 6, 2**32 - 1, 2, 4, 65534, 4, 0, 2**32 - 1, 16, 4, 2**32 - 1, 32, 0, 2**32 - 1);
  syscall(188, $path, $acl, $entries, length $entries, 0) == 0 or die "acl: $!";
  syscall(188, $path, $note, $mine, length $mine, 0) == 0 or die "$note: $!";
} else {
  for my $name ($acl, $note) {
    my $value = "\0" x 200;
    my $size = syscall(191, $path, $name, $value, 200);
    print "$name ", $size < 0 ? "none" : unpack("H*", substr($value, 0, $size)), "\n";
  }
}
`;

interface Examination {
  readonly healthy: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly Readonly<Record<'id' | 'severity' | 'remedy', string>>[];
}

describe('stasadm', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.machine.writeFile(`${AREA}/attributes.pl`, ATTRIBUTES);
    // What is installed, and nothing of a system that runs: no /proc, /sys, /dev, /run, no bus.
    await here.machine.sh(`
      mkdir -p ${ROOT}/usr ${ROOT}/etc
      mount --bind -o ro /usr ${ROOT}/usr
      for folder in bin sbin lib lib64; do ln -s usr/$folder ${ROOT}/$folder; done`);
  });

  afterAll(async () => {
    await here.machine.sh(`umount ${ROOT}/usr ${AREA}/full 2>/dev/null; rm -rf ${ROOT} ${AREA}`);
  });

  it('makes an identity in a chroot in which nothing runs, as a post-install script asks for it', async () => {
    const nqnOf = async (command: string): Promise<string> => {
      await here.machine.sh(
        `cd / && ${command} chroot ${ROOT} stasadm hostnqn -f /etc/nvme/hostnqn`,
      );
      return here.machine.sh(`cat ${ROOT}/etc/nvme/hostnqn`);
    };
    // No machine ID, no firmware: a random one.
    const random = await nqnOf('umask 077;');
    expect(random).toMatch(/^nqn\.2014-08\.org\.nvmexpress:uuid:.{36}\n$/);
    expect(random.trim().slice(-36)).toMatch(UUID);
    await here.machine.writeFile(`${ROOT}/etc/machine-id`, '0123456789abcdef0123456789abcdef\n');
    expect(await nqnOf('')).toBe(`${NQN}\n`);
    await here.machine.sh(`
      set -e; cd /
      chroot ${ROOT} stasadm hostid -f /etc/nvme/hostid
      chroot ${ROOT} stasadm set-symname 'Rack 7'`);
    const files = '/etc/nvme /etc/nvme/hostid /etc/nvme/hostnqn /etc/stas /etc/stas/sys.conf';
    expect(await here.machine.sh(`chroot ${ROOT} stat -c '%a %u %n' ${files}`)).toBe(
      '755 0 /etc/nvme\n644 0 /etc/nvme/hostid\n644 0 /etc/nvme/hostnqn\n' +
        '755 0 /etc/stas\n644 0 /etc/stas/sys.conf\n',
    );
    expect(await here.machine.sh(`cat ${ROOT}/etc/stas/sys.conf`)).toBe(
      '[Host]\nnqn=file:///etc/nvme/hostnqn\nid=file:///etc/nvme/hostid\nsymname=Rack 7\n',
    );
    expect((await here.machine.sh(`cat ${ROOT}/etc/nvme/hostid`)).trim()).toMatch(UUID);
    expect(await here.machine.sh(`find ${ROOT}/etc -name '.*'`)).toBe('');
  });

  it('keeps owner, permissions, access control list, attributes and links of what is there', async () => {
    const before = await here.machine.sh(`
      set -e; cd ${AREA}; mkdir -p etc data
      printf '[Host]\\nkey=x\\n' > data/sys.conf; ln -s ../data/sys.conf etc/sys.conf
      chown nobody:nogroup data/sys.conf; perl attributes.pl set data/sys.conf
      stat -c '%a %U %G' data/sys.conf; perl attributes.pl get data/sys.conf`);
    expect(before).toContain('640 nobody nogroup\n');
    expect(before).toContain('user.note 6d696e65\n');
    const inode = await here.machine.sh(`stat -c %i ${AREA}/data/sys.conf`);
    await here.machine.sh(`stasadm -c ${AREA}/etc/sys.conf hostid -f ${AREA}/etc/hostid`);
    const after = await here.machine.sh(`
      cd ${AREA}; stat -c '%a %U %G' data/sys.conf; perl attributes.pl get data/sys.conf`);
    expect(after).toBe(before);
    expect(await here.machine.sh(`stat -c %i ${AREA}/data/sys.conf`)).not.toBe(inode);
    expect(await here.machine.sh(`cat ${AREA}/data/sys.conf`)).toBe(
      `[Host]\nkey=x\nid=file://${AREA}/etc/hostid\n`,
    );
    expect(
      await here.machine.sh(`ls -A ${AREA}/etc ${AREA}/data; readlink ${AREA}/etc/sys.conf`),
    ).toBe(`${AREA}/data:\nsys.conf\n\n${AREA}/etc:\nhostid\nsys.conf\n../data/sys.conf\n`);
  });

  it('says in one line what it cannot do, and leaves what is there', async () => {
    await here.machine.sh(`
      set -e; mkdir -p ${AREA}/full ${AREA}/shared; cd ${AREA}
      mount -t tmpfs -o size=16k tmpfs full; echo old > full/hostid
      dd if=/dev/zero of=full/rest bs=1k 2>/dev/null || true
      chmod 1777 shared; setpriv --reuid=65534 ln -s ${AREA}/kept shared/link; echo old > kept`);
    const conf = `-c ${AREA}/other.conf`;
    const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups';
    const failures: readonly (readonly [string, string])[] = [
      [
        `stasadm ${conf} hostid -f ${AREA}/full/hostid`,
        `cannot write ${AREA}/full/hostid: no space left on device (ENOSPC)`,
      ],
      [`${nobody} stasadm hostid`, 'cannot write /etc/stas/sys.conf: permission denied (EACCES)'],
      [
        `stasadm ${conf} hostid -f ${AREA}/shared/link`,
        `cannot write ${AREA}/shared/link: a symbolic link of another user's`,
      ],
      [`stasadm ${conf} hostid -f /dev/null`, 'cannot write /dev/null: not a regular file'],
    ];
    const results = await Promise.all(
      failures.map(([command]) => here.machine.exec(`cd / && ${command}`)),
    );
    expect(results.map(({ status, stderr, stdout }) => [stdout, stderr, status])).toEqual(
      failures.map(([, why]) => ['', `stasadm: ${why}\n`, 1]),
    );
    expect(
      await here.machine.sh(
        `cd ${AREA}; cat full/hostid kept; ls -A full; ls other.conf 2>&1 || true; ls -l /dev/null`,
      ),
    ).toMatch(/^old\nold\nhostid\nrest\n.*No such file or directory\nc/);
  });

  it('doctor names what is wrong with this host and its remedy, and nothing when that is done', async () => {
    const { machine } = here;
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(1) });
    const examine = async () => {
      const command = 'cd / && stasadm doctor -o json';
      const { status, stdout } = await machine.exec(command, { timeoutMs: 120_000 });
      return { status, ...(JSON.parse(stdout) as Examination) };
    };
    const own = (await machine.sh('cat /etc/nvme/hostnqn')).trim();
    const dropIn = '/etc/stas/stacd.conf.d/99-doctor.conf';
    await machine.writeFile(
      dropIn,
      `[Controllers]\ncontroller=transport=rdma;traddr=192.0.2.1;nqn=nqn.x;dhchap-secret=DHHC-1:00:${'YWJj'.repeat(12)}:\nexclude=transport=rdma\n`,
    );
    await machine.writeFile(
      '/etc/systemd/system/nvme-discoverd.service',
      '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
    );
    // As other programs would: with the host's NQN, and an ID of their own.
    await machine.sh(`
      set -e; chmod 644 ${dropIn}
      nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(0)} --hostnqn=${own} --hostid=${OTHER_ID}
      modprobe -r nvme-rdma 2>/dev/null || true
      echo 'blacklist nvme-rdma' > /etc/modprobe.d/doctor.conf
      systemctl enable --now --quiet nvme-discoverd
      systemctl kill -s STOP avahi-daemon`);
    await here.configure('stafd', '[Service Discovery]\nzeroconf = enabled\n');
    const [live] = await here.kernel();
    const device = live?.device ?? '';

    const ill = await examine();
    const told = ill.findings.filter(({ severity }) => severity !== 'ok');
    expect(ill).toMatchObject({ status: 1, healthy: false, counts: { failure: 6, warning: 2 } });
    expect(told.map(({ id, severity }) => [id, severity])).toEqual([
      ['module-nvme-rdma', 'failure'],
      ['identity-connections', 'failure'],
      ['secrets', 'failure'],
      ['daemon-stafd', 'failure'],
      ['daemon-stacd', 'failure'],
      ['nvme-discoverd', 'failure'],
      ['avahi', 'warning'],
      // The machine has no network but the loopback.
      ['avahi-interfaces', 'warning'],
    ]);
    expect(told.map(({ remedy }) => remedy)).toEqual([
      'take it out of /etc/modprobe.d/doctor.conf, then: modprobe nvme-rdma',
      expect.stringContaining(`nvme disconnect -d ${device}`),
      expect.stringContaining(`chmod o= ${dropIn}`),
      'systemctl start stafd; see: journalctl -u stafd',
      'systemctl start stacd; see: journalctl -u stacd',
      'systemctl disable --now nvme-discoverd',
      'systemctl restart avahi-daemon',
      'ip link show',
    ]);
    expect(JSON.stringify(ill)).not.toContain('YWJj');

    await machine.sh(`
      set -e
      rm /etc/modprobe.d/doctor.conf; modprobe nvme-rdma
      nvme disconnect -d ${device}
      chmod o= ${dropIn}
      systemctl kill -s CONT avahi-daemon
      systemctl disable --now --quiet nvme-discoverd`);
    await here.configure('stafd', stafdConf());
    await here.systemctl('start stafd stacd');
    const well = await examine();
    await machine.sh(`
      rm ${dropIn} /etc/systemd/system/nvme-discoverd.service; systemctl daemon-reload
      systemctl stop stafd stacd`);
    expect(well.findings.filter(({ severity }) => severity !== 'ok')).toEqual([]);
    expect(well).toMatchObject({ status: 0, healthy: true });
  });
});
