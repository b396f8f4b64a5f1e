import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identity, liveDc, type KernelView, type Lab } from './lab.ts';
import { Peer } from './mdns-peer.ts';
import { lab } from './vitest-lab.ts';

const OWN_NQN = 'nqn.2014-08.org.example:own';
const ONE_LINK = 'exclude = host-iface=mdns-b';

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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** `traddr,host_iface` of each, sorted. */
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
    const end = Date.now() + 30_000;
    while (!condition(await services())) {
      if (Date.now() > end) {
        throw new Error(
          `${what}: not in ${JSON.stringify(await services(), null, 1)}\n${await here.journal('stafd')}`,
        );
      }
      await pause(200);
    }
  };
  const reload = async (settings: Settings): Promise<void> => {
    await here.configure('stafd', conf(settings));
    await here.systemctl('reload stafd');
  };
  const connectedTo = (...expected: readonly string[]): Promise<readonly KernelView[]> => {
    const wanted = [...expected].sort().join();
    return here.kernelUntil(wanted, (all) => ends(liveDc(all)).join() === wanted);
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

  it('are connected over every link, by IPv4 and link-local IPv6, bound to the link', async () => {
    const all = await here.kernelUntil('four connections', (seen) => liveDc(seen).length === 4);
    const link = /^fe80::[0-9a-f:]+ 8009 (mdns-.)$/;
    expect(ends(all).map((text) => text.replace(link, 'link-local 8009 $1'))).toEqual([
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
  });

  it('are dropped at once where the configuration refuses them, and only there', async () => {
    const before = (await here.kernel()).filter(({ address }) => address?.includes('192.0.2.2'));
    await reload({ families: 'ipv4', exclude: ONE_LINK });
    const after = await connectedTo('192.0.2.2 8009 mdns-a');
    expect(after.map(identity)).toEqual(before.map(identity));
  });

  it('have the NQN and transport of their TXT record, or are refused with one line', async () => {
    await peer.addDc(8010, { subnqn: OWN_NQN, wellKnown: false });
    await peer.announce('own \u202e\n"name"', { port: 8010, txt: ['P=TCP', `NQN=${OWN_NQN}`] });
    await peer.announce('strange', { port: 8009, txt: ['p=quic'] });
    await peer.announce('unnamed', { port: 8009, txt: [], type: '_nvme-disc._udp' });
    const all = await connectedTo('192.0.2.2 8009 mdns-a', '192.0.2.2 8010 mdns-a');
    expect(all.map(({ subsysnqn }) => subsysnqn)).toContain(OWN_NQN);
    await servicesUntil('all', (seen) => Object.keys(seen).length === 16);
    const journal = await here.journal('stafd');
    expect(journal.match(/mdns-a, IPv4, strange\.local.*"quic" is not known/g)).toHaveLength(1);
    expect(journal).toMatch(/unnamed\.local, _nvme-disc\._udp\) is not used/);
    expect(Object.keys(await services()).some((key) => key.includes('own \\xe2\\x80\\xae'))).toBe(
      true,
    );
    for (const name of ['strange', 'unnamed']) await peer.withdraw(name);
  });

  it('are not connected before they answer, which a reload finds out at once', async () => {
    await peer.addDc(8011, { listening: false });
    await peer.announce('late', { port: 8011 });
    const tried = (seen: Awaited<ReturnType<typeof services>>): boolean =>
      Object.values(seen).some(
        ({ reachable, trsvcid }) => trsvcid === '8011' && reachable === 'False',
      );
    await servicesUntil('the service that does not answer', tried);
    await pause(3_000);
    const listed = await here.list('stafctl');
    expect(listed.map(({ trsvcid }) => trsvcid).sort()).toEqual(['8009', '8010']);
    await peer.dc({ op: 'listen', controller: 'dc8011' });
    // Up to ten minutes lie between two tries; a reload tries at once.
    await here.systemctl('reload stafd');
    await connectedTo(...['8009', '8010', '8011'].map((port) => `192.0.2.2 ${port} mdns-a`));
  });

  it('stay connected after their goodbye, and age once they are lost', async () => {
    const before = await identities();
    await peer.withdraw('one');
    await servicesUntil('the goodbye', (seen) =>
      Object.values(seen).every(({ trsvcid }) => trsvcid !== '8009'),
    );
    await pause(2_000);
    expect(await identities()).toEqual(before);
    await peer.dc({ op: 'unlisten', controller: 'dc8009' });
    await peer.dc({ op: 'drop-connections', controller: 'dc8009' });
    await connectedTo('192.0.2.2 8010 mdns-a', '192.0.2.2 8011 mdns-a');
    await pause(3_000);
    const lost = (await here.list('stafctl')).find(({ trsvcid }) => trsvcid === '8009');
    expect(lost).toMatchObject({ connected: 'False', 'unresponsive timeout': 'forever' });
    await reload({ families: 'ipv4', exclude: ONE_LINK, persistence: '1 second' });
    await here.listUntil('stafctl', (dcs) => dcs.length === 2);
    expect(await here.journal('stafd')).toMatch(/8009.* - Removed: mDNS no longer reports it/);
    await reload({ families: 'ipv4', exclude: ONE_LINK });
  });

  it('stay connected while avahi-daemon is away, and new ones are found when it is back', async () => {
    const before = await identities();
    await here.machine.sh(
      'systemctl mask --runtime --now avahi-daemon.socket avahi-daemon.service 2>&1',
    );
    await here.machine.waitFor('! busctl status org.freedesktop.Avahi');
    await peer.dc({ op: 'listen', controller: 'dc8009' });
    await peer.announce('one', { port: 8009 });
    await pause(3_000);
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(before);
    await here.machine.sh(
      'systemctl unmask --runtime avahi-daemon.socket avahi-daemon.service 2>&1; systemctl start avahi-daemon',
    );
    await connectedTo(...['8009', '8010', '8011'].map((port) => `192.0.2.2 ${port} mdns-a`));
    expect(await identities()).toEqual(expect.arrayContaining([...before]));
  });

  it('stay connected when stafd is restarted while avahi-daemon hangs', async () => {
    const before = await identities();
    await peer.withdraw('late');
    await servicesUntil('the goodbye', (seen) =>
      Object.values(seen).every(({ trsvcid }) => trsvcid !== '8011'),
    );
    await here.machine.sh('systemctl kill -s STOP avahi-daemon');
    await here.systemctl('restart stafd');
    await here.listUntil('stafctl', (dcs) => dcs.length === 3);
    await pause(4_000);
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(before);
    await here.machine.sh('systemctl kill -s CONT avahi-daemon');
    await servicesUntil('both services', (seen) => {
      const ports = Object.values(seen).map(({ trsvcid }) => trsvcid);
      return ports.includes('8009') && ports.includes('8010');
    });
    await pause(2_000);
    expect(await identities()).toEqual(before);
  });

  it('stay connected when zeroconf is disabled; then none is looked for until it is enabled', async () => {
    const before = await identities();
    await peer.addDc(8012);
    await reload({ families: 'ipv4', exclude: ONE_LINK, zeroconf: 'disabled' });
    await peer.announce('new', { port: 8012 });
    await pause(3_000);
    expect(await services()).toEqual({});
    expect(await identities()).toEqual(before);
    await reload({ families: 'ipv4', exclude: ONE_LINK });
    await connectedTo(
      ...['8009', '8010', '8011', '8012'].map((port) => `192.0.2.2 ${port} mdns-a`),
    );
    expect(await identities()).toEqual(expect.arrayContaining([...before]));
  });

  it('are found by an avahi-daemon that stafd wakes', async () => {
    await here.machine.sh(
      'systemctl stop stafd avahi-daemon.socket avahi-daemon.service; nvme disconnect-all; rm -rf /run/stafd',
      { timeoutMs: 120_000 },
    );
    await here.systemctl('start stafd');
    await connectedTo(...['8009', '8010', '8012'].map((port) => `192.0.2.2 ${port} mdns-a`));
    const journal = await here.journal('stafd');
    expect(journal).not.toMatch(/Internal error/);
  });
});
