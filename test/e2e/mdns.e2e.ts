import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referral } from './discovery-kit.ts';
import { identity, liveDc, PATIENCE_MS, type KernelView, type Lab } from './lab.ts';
import { Peer } from './mdns-peer.ts';
import { lab } from './vitest-lab.ts';

const OWN_NQN = 'nqn.2014-08.org.example:own';
/** Nothing here speaks RDMA. */
const ONE_LINK = 'exclude = host-iface=mdns-b\nexclude = transport=rdma';
const LOG = { command: 'get-log-page', lid: 0x70 };

/** The line that says so. */
function lossOf(port: number): RegExp {
  return new RegExp(`${String(port)}.*The kernel removed the controller`);
}

interface Settings {
  readonly zeroconf?: 'enabled' | 'disabled';
  readonly persistence?: string;
  readonly families?: string;
  readonly exclude?: string;
}

/** Lost connections are given up after 3 s. */
function conf({ exclude, families, persistence, zeroconf }: Settings): string {
  return `[Global]
ctrl-loss-tmo = 3
reconnect-delay = 1
ip-family = ${families ?? 'ipv4+ipv6'}
[Service Discovery]
zeroconf = ${zeroconf ?? 'enabled'}
[Discovery controller connection management]
zeroconf-connections-persistence = ${persistence ?? '-1'}
[Controllers]
${exclude ?? ''}
`;
}

const SETTINGS: Settings = { families: 'ipv4', exclude: ONE_LINK };

/** `traddr trsvcid host_iface` of each, sorted. */
function ends(controllers: readonly KernelView[]): readonly string[] {
  return controllers
    .map(({ address }) => {
      const fields = new Map(
        (address ?? '').split(',').map((pair) => pair.split('=', 2) as [string, string]),
      );
      return `${fields.get('traddr') ?? ''} ${fields.get('trsvcid') ?? ''} ${fields.get('host_iface') ?? ''}`;
    })
    .sort();
}

// In order, on one machine: each goes on from what the one before has left.
describe('discovery controllers that announce themselves by mDNS', () => {
  let here: Lab;
  let peer: Peer;

  const services = async (): Promise<
    Readonly<Record<string, Readonly<Record<string, string>>>>
  > => {
    const { stdout } = await here.machine.exec(
      'busctl call --json=short org.nvmexpress.staf /org/nvmexpress/staf org.nvmexpress.staf.debug process_info',
    );
    const [text] = (JSON.parse(stdout) as { data: [string] }).data;
    return (JSON.parse(text) as { avahi: { services: Awaited<ReturnType<typeof services>> } }).avahi
      .services;
  };
  /** Asks stafd until what mDNS has found fulfils a condition. */
  const servicesUntil = async (
    what: string,
    condition: (all: Awaited<ReturnType<typeof services>>) => boolean,
  ): Promise<void> => {
    const end = Date.now() + PATIENCE_MS;
    while (!condition(await services())) {
      if (Date.now() > end) {
        throw new Error(
          `${what}: not in ${JSON.stringify(await services(), null, 1)}\n${await here.journal('stafd')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const reload = async (settings: Settings): Promise<void> => {
    await here.configure('stafd', conf(settings));
    await here.systemctl('reload stafd');
  };
  /** Returns when stafd has acted on all that it knew: a reload is carried out after that. */
  const settle = async (): Promise<void> => {
    await peer.dc({ op: 'get-commands', controller: 'dc8010' });
    await here.systemctl('reload stafd');
    const timeoutMs = PATIENCE_MS;
    await peer.dc({ op: 'wait-commands', controller: 'dc8010', ...LOG, timeoutMs });
  };
  /** Milliseconds since the epoch of the last line that matches in stafd's journal. */
  const timeOf = async (line: RegExp): Promise<number> => {
    const journal = await here.machine.sh('journalctl -o short-unix -t stafd --no-pager');
    const lines = journal.split('\n').filter((each) => line.test(each));
    return 1000 * Number(lines.at(-1)?.split(' ')[0]);
  };
  /** Its connection ends, and cannot be made again. */
  const lose = async (port: number): Promise<void> => {
    const controller = `dc${String(port)}`;
    await peer.dc({ op: 'unlisten', controller });
    await peer.dc({ op: 'drop-connections', controller });
  };
  const goodbye = async (name: string, port: number): Promise<void> => {
    await peer.withdraw(name);
    await servicesUntil('the goodbye', (seen) =>
      Object.values(seen).every(({ trsvcid }) => trsvcid !== String(port)),
    );
  };
  /** The live ones, once they are these; others may still be on their way out. */
  const connectedTo = async (...expected: readonly string[]): Promise<readonly KernelView[]> => {
    const wanted = [...expected].sort().join();
    return liveDc(await here.kernelUntil(wanted, (all) => ends(liveDc(all)).join() === wanted));
  };
  const identities = async (): Promise<readonly string[]> =>
    (await here.kernel()).map(identity).sort();

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    peer = await Peer.start(here);
    await peer.addDc(8009);
    await peer.announce('one', { port: 8009 });
    await here.configure('stafd', conf({}));
    await here.systemctl('start stafd');
  });

  afterAll(async () => {
    await peer.stop();
  });

  it('are connected over every link, by IPv4 and link-local IPv6, bound to the link, and taken over after a restart', async () => {
    const all = await here.kernelUntil('four connections', (seen) => liveDc(seen).length === 4);
    const link = /^fe80::[0-9a-f:]+ 8009 (mdns-.)$/;
    // Which of the links has the lower link-local address is chance.
    expect(
      ends(all)
        .map((text) => text.replace(link, 'link-local 8009 $1'))
        .sort(),
    ).toEqual([
      '192.0.2.2 8009 mdns-a',
      '198.51.100.2 8009 mdns-b',
      'link-local 8009 mdns-a',
      'link-local 8009 mdns-b',
    ]);
    const listed = await here.listUntil('stafctl', (dcs) =>
      dcs.every(({ connected }) => connected === 'True'),
    );
    expect(listed.map(({ origin }) => origin)).toEqual(listed.map(() => 'discovered'));
    const { controllers } = (await peer.dc({ op: 'status' })) as {
      controllers: readonly { connections: readonly unknown[] }[];
    };
    expect(controllers[0]?.connections).toHaveLength(4);
    await here.systemctl('restart stafd');
    await here.listUntil('stafctl', (dcs) => dcs.every(({ connected }) => connected === 'True'));
    await servicesUntil('all of them again', (seen) => {
      const found = Object.values(seen);
      return found.length === 4 && found.every(({ reachable }) => reachable === 'True');
    });
    expect(await identities()).toEqual(all.map(identity).sort());
  });

  it('are dropped at once where the configuration refuses them, and only there', async () => {
    const before = (await here.kernel()).filter(({ address }) => address?.includes('192.0.2.2'));
    await reload(SETTINGS);
    const after = await connectedTo('192.0.2.2 8009 mdns-a');
    expect(after.map(identity)).toEqual(before.map(identity));
  });

  it('have the NQN and transport of their TXT record, or are refused with one line', async () => {
    await peer.addDc(8010, { subnqn: OWN_NQN, wellKnown: false });
    await peer.announce('own \u202e\n"name"', { port: 8010, txt: ['P=TCP', `NQN=${OWN_NQN}`] });
    await peer.announce('strange', { port: 8009, txt: ['p=quic'] });
    await peer.announce('misnamed', {
      port: 8009,
      txt: ['p=tcp', 'nqn=nqn.2024-01.org.example:a,kato=9'],
    });
    await peer.announce('unnamed', { port: 8009, txt: [], type: '_nvme-disc._udp' });
    await peer.announce('roce', { port: 4420, txt: ['p=RoCE'], type: '_nvme-disc._udp' });
    await peer.announce('iwarp', { port: 4421, txt: ['x=y', 'p=iwarp'] });
    const all = await connectedTo('192.0.2.2 8009 mdns-a', '192.0.2.2 8010 mdns-a');
    expect(all.map(({ subsysnqn }) => subsysnqn)).toContain(OWN_NQN);
    const rdma = (seen: Awaited<ReturnType<typeof services>>): readonly string[] =>
      Object.values(seen).flatMap(({ 'host-iface': iface = '', transport, trsvcid = '' }) =>
        transport === 'rdma' ? [`${trsvcid}${iface}`] : [],
      );
    await servicesUntil(
      'all',
      (seen) => Object.keys(seen).length === 28 && rdma(seen).length === 4,
    );
    expect([...new Set(rdma(await services()))].sort()).toEqual(['4420', '4421']);
    for (const line of [
      /mdns-a, IPv4, strange\.local.*"quic" is not known/g,
      /mdns-a, IPv4, misnamed\.local.*the NQN "nqn\.2024-01\.org\.example:a,kato=9"/g,
      /mdns-a, IPv4, unnamed\.local, _nvme-disc\._udp\) is not used/g,
    ]) {
      await expect
        .poll(async () => (await here.journal('stafd')).match(line), { timeout: PATIENCE_MS })
        .toHaveLength(1);
    }
    expect(Object.keys(await services()).some((key) => key.includes('own \\xe2\\x80\\xae'))).toBe(
      true,
    );
    for (const name of ['strange', 'misnamed', 'unnamed', 'roce', 'iwarp']) {
      await peer.withdraw(name);
    }
  });

  it('are tried until they answer, ever more seldom, not connected before, and at once by a reload', async () => {
    await peer.addDc(8011);
    const controller = 'dc8011';
    await peer.dc({ op: 'add-fault', controller, fault: { command: 'accept', drop: true } });
    await peer.announce('late', { port: 8011 });
    const timeoutMs = PATIENCE_MS;
    await peer.dc({ op: 'wait-commands', controller, command: 'accept', count: 3, timeoutMs });
    const listed = await here.list('stafctl');
    expect(listed.map(({ trsvcid }) => trsvcid).sort()).toEqual(['8009', '8010']);
    const { commands } = (await peer.dc({ op: 'get-commands', controller })) as {
      commands: readonly { command: string; time: number }[];
    };
    const times = commands.filter(({ command }) => command === 'accept').map(({ time }) => time);
    expect((times[1] ?? NaN) - (times[0] ?? NaN)).toBeGreaterThan(1_900);
    expect((times[2] ?? NaN) - (times[1] ?? NaN)).toBeGreaterThan(4_900);
    expect(commands.map(({ command }) => command)).not.toContain('connect');
    await peer.dc({ op: 'clear-faults', controller });
    // Up to ten minutes lie between two tries; a reload tries at once.
    await here.systemctl('reload stafd');
    await connectedTo(...['8009', '8010', '8011'].map((port) => `192.0.2.2 ${port} mdns-a`));
  });

  it('stay connected after their goodbye, and age once they are lost: for ever, a while, not at all', async () => {
    const before = await identities();
    await goodbye('one', 8009);
    await settle();
    expect(await identities()).toEqual(before);
    await lose(8009);
    await connectedTo('192.0.2.2 8010 mdns-a', '192.0.2.2 8011 mdns-a');
    await settle();
    const lost = (await here.list('stafctl')).find(({ trsvcid }) => trsvcid === '8009');
    expect(lost).toMatchObject({ connected: 'False', 'unresponsive timeout': 'forever' });
    await reload({ ...SETTINGS, persistence: '8 seconds' });
    await here.listUntil('stafctl', (dcs) => dcs.length === 2);
    const age =
      (await timeOf(/8009.* - Removed: mDNS no longer reports it/)) - (await timeOf(lossOf(8009)));
    expect(age).toBeGreaterThan(7_000);

    await reload({ ...SETTINGS, persistence: '0' });
    await goodbye('late', 8011);
    await settle();
    await connectedTo('192.0.2.2 8010 mdns-a', '192.0.2.2 8011 mdns-a');
    await lose(8011);
    await here.listUntil('stafctl', (dcs) => dcs.length === 1);
    const atOnce =
      (await timeOf(/8011.* - Removed: mDNS no longer reports it/)) - (await timeOf(lossOf(8011)));
    expect(atOnce).toBeLessThan(15_000);
    await reload(SETTINGS);
  });

  it('stay connected while avahi-daemon restarts or is missing, and new ones are found when it is back', async () => {
    const before = await identities();
    await here.machine.sh('systemctl restart avahi-daemon');
    await peer.dc({ op: 'listen', controller: 'dc8009' });
    await peer.announce('one', { port: 8009 });
    const more = await connectedTo(...['8009', '8010'].map((port) => `192.0.2.2 ${port} mdns-a`));
    expect(more.map(identity)).toEqual(expect.arrayContaining([...before]));

    await here.machine.sh(
      'systemctl mask --runtime --now avahi-daemon.socket avahi-daemon.service 2>&1',
    );
    await here.machine.waitFor('! busctl status org.freedesktop.Avahi');
    await here.systemctl('restart stafd');
    await here.listUntil('stafctl', (dcs) => dcs.every(({ connected }) => connected === 'True'));
    await peer.dc({ op: 'listen', controller: 'dc8011' });
    await peer.announce('later', { port: 8011 });
    await peer.announced('later');
    await settle();
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(more.map(identity).sort());
    await here.machine.sh(
      'systemctl unmask --runtime avahi-daemon.socket avahi-daemon.service 2>&1; systemctl start avahi-daemon',
    );
    await connectedTo(...['8009', '8010', '8011'].map((port) => `192.0.2.2 ${port} mdns-a`));
    expect(await identities()).toEqual(expect.arrayContaining(more.map(identity)));
  });

  it('stay connected when stafd is restarted while avahi-daemon hangs', async () => {
    const before = await identities();
    await goodbye('later', 8011);
    await here.machine.sh('systemctl kill -s STOP avahi-daemon');
    await here.systemctl('restart stafd');
    await here.listUntil('stafctl', (dcs) => dcs.length === 3);
    await settle();
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(before);
    await here.machine.sh('systemctl kill -s CONT avahi-daemon');
    await servicesUntil('both services', (seen) => {
      const ports = Object.values(seen).map(({ trsvcid }) => trsvcid);
      return ports.includes('8009') && ports.includes('8010');
    });
    await settle();
    expect(await identities()).toEqual(before);
  });

  it('stay connected when zeroconf is disabled; then none is looked for until it is enabled', async () => {
    const before = await identities();
    await peer.addDc(8012);
    await reload({ ...SETTINGS, zeroconf: 'disabled' });
    await peer.announce('new', { port: 8012, type: '_nvme-disc._udp' });
    await peer.announced('new');
    await settle();
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(before);
    await reload(SETTINGS);
    await connectedTo(
      ...['8009', '8010', '8011', '8012'].map((port) => `192.0.2.2 ${port} mdns-a`),
    );
    expect(await identities()).toEqual(expect.arrayContaining([...before]));
  });

  it('are found by an avahi-daemon that stafd wakes; a log or a line that names them too makes no second connection', async () => {
    await peer.dc({
      op: 'add-entries',
      controller: 'dc8010',
      entries: [referral('8009', 8009), referral('8012', 8012)].map((entry) => ({
        ...entry,
        traddr: '192.0.2.2',
      })),
    });
    await here.machine.sh(
      'systemctl stop stafd avahi-daemon.socket avahi-daemon.service; nvme disconnect-all; rm -rf /run/stafd',
      { timeoutMs: 120_000 },
    );
    await here.systemctl('start stafd');
    await connectedTo(...['8009', '8010', '8012'].map((port) => `192.0.2.2 ${port} mdns-a`));
    const before = await identities();
    await reload({
      ...SETTINGS,
      exclude: `${ONE_LINK}\ncontroller = transport=tcp;traddr=192.0.2.2;trsvcid=8012;host-iface=mdns-a`,
    });
    await here.listUntil('stafctl', (all) => all.some(({ origin }) => origin === 'configured'));
    await settle();
    const dcs = await here.list('stafctl');
    expect(dcs.map(({ origin, trsvcid }) => `${trsvcid ?? ''} ${origin ?? ''}`).sort()).toEqual([
      '8009 discovered',
      '8010 discovered',
      '8012 configured',
    ]);
    expect(await identities()).toEqual(before);
    expect(await here.journal('stafd')).not.toMatch(/Internal error/);
  });

  it('with one address on two links are reported, and connected over each', async () => {
    await peer.mixLinksUp();
    await reload({ families: 'ipv4', exclude: 'exclude = trsvcid=8012' });
    await connectedTo(
      ...['8009', '8010'].flatMap((port) =>
        ['mdns-a', 'mdns-b'].map((link) => `192.0.2.2 ${port} ${link}`),
      ),
    );
    const line = /mDNS finds the address 192\.0\.2\.2 on several interfaces: mdns-a, mdns-b/;
    expect(await here.journal('stafd')).toMatch(line);
  });
});
