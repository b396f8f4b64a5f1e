/**
 * Another host on two links of the machine: a network namespace with an avahi-daemon and simulated
 * discovery controllers of its own, so that multicast and addresses are real.
 *
 * Invariant: `stop` leaves nothing of it, and the machine's own avahi-daemon running.
 */
import { GUEST, PATIENCE_MS, type Lab } from './lab.ts';

const CONTROL = '/run/e2e-peer.sock';
const SERVICES = '/run/e2e-peer/services';

/** The machine's ends of the links are mdns-a and mdns-b; the peer is 192.0.2.2 and 198.51.100.2. */
const SET_UP = `
ip netns add e2e-peer
link() {
  ip link add $1 type veth peer name $2 netns e2e-peer
  # Addresses are used at once, not after a second of asking whether somebody has them.
  sysctl -q net.ipv6.conf.$1.accept_dad=0
  ip netns exec e2e-peer sysctl -q net.ipv6.conf.$2.accept_dad=0
  ip addr add $3.1/24 dev $1
  ip netns exec e2e-peer ip addr add $3.2/24 dev $2
  ip link set $1 up
  ip netns exec e2e-peer ip link set $2 up
}
link mdns-a peer-a 192.0.2
link mdns-b peer-b 198.51.100
ip netns exec e2e-peer ip link set lo up
mkdir -p ${SERVICES} /run/e2e-peer/run
printf '[server]\\nhost-name=peer\\nenable-dbus=no\\ndeny-interfaces=lo\\n' > /run/e2e-peer/avahi.conf
in_peer="systemd-run --quiet --property=NetworkNamespacePath=/run/netns/e2e-peer"
$in_peer --unit=e2e-peer-avahi --property=BindPaths=${SERVICES}:/etc/avahi/services \\
  --property=BindPaths=/run/e2e-peer/run:/run/avahi-daemon \\
  /usr/sbin/avahi-daemon -f /run/e2e-peer/avahi.conf --no-chroot --no-drop-root --no-rlimits
$in_peer --unit=e2e-peer-dc \\
  /usr/bin/node ${GUEST}/dc.mjs --config ${GUEST}/dc.json --control ${CONTROL}
`;

const TEAR_DOWN = `
systemctl stop e2e-peer-avahi e2e-peer-dc 2>/dev/null
systemctl reset-failed
ip link del mdns-a 2>/dev/null; ip link del mdns-b 2>/dev/null; ip netns del e2e-peer 2>/dev/null
rm -rf /run/e2e-peer
systemctl unmask --runtime avahi-daemon.service avahi-daemon.socket 2>/dev/null
systemctl kill -s CONT avahi-daemon 2>/dev/null
systemctl start avahi-daemon.socket avahi-daemon.service
`;

export interface PeerService {
  readonly port: number;
  readonly type?: string;
  readonly txt?: readonly string[];
}

export class Peer {
  readonly #lab: Lab;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async start(lab: Lab): Promise<Peer> {
    await lab.machine.sh(TEAR_DOWN);
    await lab.machine.sh(`set -e\n${SET_UP}`, { timeoutMs: 60_000 });
    await lab.machine.waitFor(
      `test -S ${CONTROL} || { journalctl -u e2e-peer-dc -u e2e-peer-avahi; false; }`,
      { timeoutMs: 120_000, intervalMs: 500 },
    );
    return new Peer(lab);
  }

  async stop(): Promise<void> {
    await this.#lab.machine.sh(TEAR_DOWN, { timeoutMs: 60_000 });
  }

  /** Announces a service by mDNS; the same name again changes it. */
  async announce(name: string, { port, txt = ['p=tcp'], type }: PeerService): Promise<void> {
    const records = txt.map((text) => `<txt-record>${escapeXml(text)}</txt-record>`).join('');
    await this.#lab.machine.writeFile(
      fileOf(name),
      `<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd"><service-group>` +
        `<name>${escapeXml(name)}</name><service><type>${type ?? '_nvme-disc._tcp'}</type>` +
        `<port>${String(port)}</port>${records}</service></service-group>`,
    );
  }

  /** Waits until the peer's avahi-daemon has told everybody of a service. */
  async announced(name: string): Promise<void> {
    await this.#lab.machine.waitFor(
      `journalctl -u e2e-peer-avahi | grep -q 'Service "${name}".*successfully established'`,
    );
  }

  /** Gives both links the first one's address, as networks that are mixed up do. */
  async mixLinksUp(): Promise<void> {
    await this.#lab.machine.sh(`set -e
      ip -n e2e-peer addr add 192.0.2.2/32 dev peer-b
      ip -n e2e-peer addr del 198.51.100.2/24 dev peer-b
      ip -n e2e-peer route add 198.51.100.0/24 dev peer-b src 192.0.2.2`);
  }

  /** Says goodbye. */
  async withdraw(name: string): Promise<void> {
    await this.#lab.machine.sh(`rm '${fileOf(name)}'`);
  }

  /** A simulated discovery controller on all addresses of the peer, IPv4 and IPv6. */
  async addDc(port: number, config: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const listen = ['0.0.0.0', '::'].map((address) => ({ address, port }));
    await this.dc({
      op: 'add-controller',
      config: { name: `dc${String(port)}`, listen, ...config },
    });
  }

  /** A request to the peer's simulated discovery controllers. */
  async dc(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    const { stdout } = await this.#lab.machine.exec(`${GUEST}/dc-control.sh ${CONTROL}`, {
      stdin: `${JSON.stringify(request)}\n`,
      timeoutMs: 2 * PATIENCE_MS,
    });
    const reply = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    if (reply['ok'] !== true) throw new Error(`the peer's discovery controller: ${stdout}`);
    return reply;
  }
}

function fileOf(name: string): string {
  return `${SERVICES}/${Buffer.from(name).toString('hex')}.service`;
}

function escapeXml(text: string): string {
  return text.replace(/[^A-Za-z0-9_.=: -]/gu, (character) => {
    return `&#${String(character.codePointAt(0))};`;
  });
}
