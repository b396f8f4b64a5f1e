/**
 * A host that its firmware booted over NVMe/TCP: a machine of its own, whose ACPI tables have an NBFT.
 * Host and target are the two ends of a cable, so that the interface counts as on a real network.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parseNbft } from '../../src/nvme/nbft.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from '../../src/nvme/transport-id.ts';
import { encodeNbft } from '../nbft/encode.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  openLabWith,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from './lab.ts';

const HOST_ID = 'b00710ad-0000-4000-8000-000000000001';
const HOST_NQN = `nqn.2014-08.org.nvmexpress:uuid:${HOST_ID}`;
const MAC = '52:54:00:ab:cd:01';
const HOST = '192.168.77.1';
const TARGET = '192.168.77.2';
const BOOT = subsystemNqn(0);

const TABLE = encodeNbft({
  host: { nqn: HOST_NQN, id: HOST_ID },
  hfis: [{ mac: MAC, address: HOST }],
  discoveries: [{ uri: `nvme+tcp://${TARGET}:8009/`, nqn: WELL_KNOWN_DISCOVERY_NQN }],
  // libnvme 1.13 leaves out what has no list of secondary interfaces.
  subsystems: [{ nqn: BOOT, traddr: TARGET, discovery: 1, secondaryHfis: [1] }],
}).bytes;

/** Packets between the two ends go by the cable, though both addresses are the machine's own. */
const CABLE = [
  'modprobe nvme-tcp; modprobe veth',
  `ip link add nbft0 address ${MAC} type veth peer name target0`,
  `ip addr add ${HOST}/24 dev nbft0; ip addr add ${TARGET}/24 dev target0`,
  'ip link set nbft0 up; ip link set target0 up',
  'for i in all nbft0 target0; do echo 1 >/proc/sys/net/ipv4/conf/$i/accept_local; echo 0 >/proc/sys/net/ipv4/conf/$i/rp_filter; done',
  `ip route add ${HOST}/32 dev target0 table 100`,
  `ip rule add pref 5 from ${TARGET} iif lo lookup 100`,
  'ip rule add pref 10 lookup local; ip rule del pref 0',
].join('\n');

const DROP_ALL = [
  '[I/O controller connection management]',
  'disconnect-scope = all-connections-matching-disconnect-trtypes',
  '[Controllers]',
  'exclude = transport=tcp',
  '',
].join('\n');

// In order, on the same connections.
describe('on a host with a boot firmware table', () => {
  const directory = mkdtempSync(join(tmpdir(), 'nbft-'));
  let here: Lab;
  /** The connection that nvme-cli made, as it does before the root file system is mounted. */
  let boot: KernelView | undefined;

  beforeAll(async () => {
    const path = join(directory, 'NBFT');
    writeFileSync(path, TABLE);
    here = await openLabWith([path], inject('debPath'));
    await here.machine.sh(CABLE);
    const port = { id: 1, transport: 'tcp', address: TARGET, service: '4420' } as const;
    await here.targets({ ports: [port], subsystems: subsystems(3) });
    await here.machine.sh('nvme connect-all --nbft');
    [boot] = liveIo(await here.kernelUntil('the boot path', (all) => liveIo(all).length === 1));
    await here.addDc({
      listen: [{ address: TARGET, port: 8009 }],
      entries: entries(2, TARGET),
    });
  });

  afterAll(async () => {
    await here.machine.stop();
    rmSync(directory, { recursive: true });
  });

  function expectBootPath(all: readonly KernelView[]): void {
    const now = all.find(({ subsysnqn }) => subsysnqn === BOOT);
    expect(now === undefined ? 'gone' : identity(now)).toBe(
      boot === undefined ? 'never there' : identity(boot),
    );
  }

  it('the table is read as libnvme reads it', async () => {
    const bytes = await here.machine.readFile('/sys/firmware/acpi/tables/NBFT');
    expect(Buffer.compare(bytes, TABLE)).toBe(0);
    const { discoveries, hfis, host, subsystems: named } = parseNbft(bytes);
    const [theirs] = JSON.parse(
      await here.machine.sh('nvme nbft show -o json'),
    ) as readonly unknown[];
    expect(theirs).toMatchObject({
      host: { nqn: host?.nqn, id: host?.id },
      hfi: hfis.map(({ address, index, mac, vlan }) => ({
        index,
        mac_addr: mac,
        vlan,
        ipaddr: address,
      })),
      discovery: discoveries.map(({ hfi, index, nqn, uri }) => ({ index, hfi, uri, nqn })),
      subsystem: named.map(({ hfis: by, index, nqn, traddr, trsvcid }) => ({
        ...{ index, subsys_nqn: nqn, traddr, trsvcid, hfis: by, num_hfis: by.length },
      })),
    });
  });

  it('its discovery controller is connected as it says, and its boot path taken over', async () => {
    await here.systemctl('start stafd stacd');
    const all = await here.kernelUntil(
      'the discovery controller and both subsystems',
      (all) => liveDc(all).length === 1 && liveIo(all).length === 2,
      120_000,
    );
    const [dc] = liveDc(all);
    expect(dc).toMatchObject({ hostnqn: HOST_NQN, hostid: HOST_ID });
    expect(dc?.address).toMatch(/traddr=192\.168\.77\.2,trsvcid=8009,.*host_iface=nbft0/);
    const [listed] = await here.listUntil('stafctl', ([only]) => only?.['connected'] === 'True');
    expect(listed).toMatchObject({
      origin: 'configured',
      'host-iface': 'nbft0',
      device: dc?.device,
    });
    // What its log lists has the same host, and is not connected twice.
    const iocs = await here.listUntil('stacctl', (each) =>
      each.every(({ connected }) => connected === 'True'),
    );
    expect(iocs.map(({ device }) => device).sort()).toEqual(
      liveIo(all)
        .map(({ device }) => device)
        .sort(),
    );
    for (const ioc of liveIo(all))
      expect(ioc).toMatchObject({ hostnqn: HOST_NQN, hostid: HOST_ID });
    expectBootPath(all);
    const status = await here.machine.sh('stafctl status -o json');
    expect(JSON.parse(status)).toMatchObject({
      nbft: { NBFT: { subsystems: [{ nqn: BOOT }], skipped: [] } },
    });
  });

  it('the boot path stays when the log no longer lists it', async () => {
    await here.dc({ op: 'set-entries', entries: [] });
    expectBootPath(await here.kernelUntil('one', (all) => liveIo(all).length === 1));
  });

  it('the boot path stays when everything is excluded and all other connections are dropped', async () => {
    await here.dc({ op: 'set-entries', entries: entries(2, TARGET) });
    await here.kernelUntil('both', (all) => liveIo(all).length === 2);
    await here.machine.sh(
      `nvme connect -t tcp -a ${TARGET} -s 4420 -n ${subsystemNqn(2)} --hostnqn ${HOST_NQN} --hostid ${HOST_ID}`,
    );
    await here.configure('stacd', DROP_ALL);
    await here.systemctl('reload stacd');
    expectBootPath(await here.kernelUntil('one', (all) => liveIo(all).length === 1, 60_000));
    expect(await here.journal('stacd')).toContain(
      'The connection stays: it is the boot path (SSNS 1 of NBFT)',
    );
  });

  it('boot path and discovery controller stay when both daemons end and are to drop theirs', async () => {
    await here.configure(
      'stafd',
      `[Discovery controller connection management]\npersistent-connections = false\n${stafdConf()}exclude = traddr=192.0.2.1\n`,
    );
    await here.systemctl('reload stafd');
    await here.machine.waitFor('journalctl -t stafd | grep -q "Configuration reloaded"');
    await here.systemctl('stop stafd stacd');
    const all = await here.kernel();
    expectBootPath(all);
    expect(liveDc(all)).toHaveLength(1);
    for (const daemon of ['stafd', 'stacd'] as const) {
      const journal = await here.journal(daemon);
      expect(journal.match(/Boot firmware table NBFT read\. Never disconnected/g)).toHaveLength(1);
    }
  });
});
