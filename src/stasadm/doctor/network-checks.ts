/** mDNS and packet filters: what reaches the host, and what it can reach. */
import { ifKnown, type Check } from './check.ts';
import type { Facts, OtherUnit } from './facts.ts';
import { listed, notKnown, ok, warning, type Verdict } from './finding.ts';
import { accepts } from './packet-filter.ts';

const OFF = 'mDNS is switched off in stafd.conf';

function zeroconf({ configuration }: Facts): boolean {
  // What is not known is taken to be as it is by default.
  return configuration.kind === 'unknown' || configuration.value.zeroconf;
}

function avahi(facts: Facts): Verdict | undefined {
  if (!zeroconf(facts)) return ok(OFF);
  const instead = 'or set zeroconf=disabled in /etc/stas/stafd.conf';
  return ifKnown(facts, facts.avahi.server, (server) => {
    switch (server) {
      case 'running':
        return ok('avahi-daemon runs');
      case 'absent':
        return warning(
          'avahi-daemon does not run: no discovery by mDNS',
          `install avahi-daemon, systemctl enable --now avahi-daemon; ${instead}`,
        );
      case 'silent':
        return warning('avahi-daemon does not answer', 'systemctl restart avahi-daemon');
      case 'not-running':
        return warning(
          'avahi-daemon is not ready: a collision of names, or a failure',
          'systemctl restart avahi-daemon; see: journalctl -u avahi-daemon',
        );
    }
  });
}

function avahiInterfaces(facts: Facts): Verdict | undefined {
  if (!zeroconf(facts)) return ok(OFF);
  return ifKnown(facts, facts.avahi.interfaces, (interfaces) =>
    ifKnown(facts, facts.avahi.listening, (listening) => {
      const on = interfaces.filter((name) => listening.includes(name));
      const off = interfaces.filter((name) => !listening.includes(name));
      const left = off.filter((name) => facts.avahi.leftOut.includes(name));
      const deaf = off.filter((name) => !left.includes(name));
      const conf = 'allow-interfaces= and deny-interfaces= in /etc/avahi/avahi-daemon.conf';
      if (interfaces.length === 0) {
        return warning('no network interface that could hear mDNS is up', 'ip link show');
      }
      const told = left.length === 0 ? '' : `; left out by avahi-daemon.conf: ${listed(left)}`;
      if (deaf.length > 0) {
        return warning(
          `nothing listens to mDNS on ${listed(deaf)}${told}`,
          `see ${conf}, then: systemctl restart avahi-daemon`,
        );
      }
      return on.length === 0
        ? warning(`nothing listens to mDNS${told}`, `see ${conf}`)
        : ok(`listens on ${listed(on)}${told}`);
    }),
  );
}

function active({ units }: Facts, name: OtherUnit): boolean {
  const state = units[name].active;
  return state.kind === 'known' && state.value === 'active';
}

/** How to open a port, with the tool that this host is managed with. */
function openPort(facts: Facts, ports: readonly string[], direction: 'in' | 'out'): string {
  if (active(facts, 'ufw.service')) {
    return ports.map((port) => `ufw allow ${direction} ${port}`).join('; ');
  }
  if (active(facts, 'firewalld.service') && direction === 'in') {
    return `firewall-cmd --permanent ${ports.map((port) => `--add-port=${port}`).join(' ')} && firewall-cmd --reload`;
  }
  const way = direction === 'in' ? 'arrive' : 'be sent';
  return `if it is missed, let ${listed(ports)} ${way} (${direction === 'in' ? 'input' : 'output'} chain)`;
}

function managers(facts: Facts): string {
  const names = [
    ...(active(facts, 'firewalld.service') ? ['firewalld'] : []),
    ...(active(facts, 'ufw.service') ? ['ufw'] : []),
  ];
  return names.length === 0 ? '' : `; ${listed(names)} is active`;
}

function firewallMdns(facts: Facts): Verdict {
  if (!zeroconf(facts)) return ok(OFF);
  const { packetFilter } = facts;
  if (packetFilter.kind === 'unknown') {
    return notKnown(
      `${packetFilter.why}${managers(facts)}`,
      'see that UDP port 5353 is open for what arrives',
    );
  }
  const filter = packetFilter.value;
  if (!filter.closedInput) return ok('nothing seen that keeps mDNS out');
  return accepts(filter, 5353)
    ? ok('a rule accepts UDP port 5353')
    : warning(
        `what arrives is dropped, and no rule seen accepts UDP port 5353${managers(facts)}`,
        openPort(facts, ['5353/udp'], 'in'),
      );
}

function firewallNvme(facts: Facts): Verdict {
  const { packetFilter } = facts;
  if (packetFilter.kind === 'unknown') {
    return notKnown(
      `${packetFilter.why}${managers(facts)}`,
      'see that connections to TCP ports 8009 and 4420 are not filtered',
    );
  }
  const filter = packetFilter.value;
  if (!filter.closedOutput) return ok('nothing seen that keeps connections in');
  const missing = [8009, 4420].filter((port) => !accepts(filter, port));
  return missing.length === 0
    ? ok('rules accept TCP ports 8009 and 4420')
    : warning(
        `what is sent is dropped, and no rule seen accepts TCP port ${listed(missing.map(String))}${managers(facts)}`,
        openPort(
          facts,
          missing.map((port) => `${String(port)}/tcp`),
          'out',
        ),
      );
}

export const NETWORK_CHECKS: readonly Check[] = [
  { id: 'avahi', title: 'Avahi', judge: avahi },
  { id: 'avahi-interfaces', title: 'Interfaces for mDNS', judge: avahiInterfaces },
  { id: 'firewall-mdns', title: 'Packet filter, mDNS', judge: firewallMdns },
  { id: 'firewall-nvme', title: 'Packet filter, NVMe/TCP', judge: firewallNvme },
];
