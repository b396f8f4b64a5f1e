/**
 * Tables of real and emulated firmware, compared with what another parser's dump program says of
 * them. They are data of that project and not in this repository: the directory that
 * NVME_STAS_NBFT_SAMPLES names has the tables, `expected/` the dumps, and `bad/` damaged tables.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { NbftError, type NbftTable } from '../../../src/nvme/nbft-table.ts';

const directory = process.env['NVME_STAS_NBFT_SAMPLES'];
const why = directory === undefined ? ' (skipped: NVME_STAS_NBFT_SAMPLES is not set)' : '';

function samples(folder: string): readonly string[] {
  if (directory === undefined) return ['none'];
  return readdirSync(join(directory, folder)).filter((name) => name.startsWith('NBFT'));
}

function read(...path: readonly string[]): Buffer {
  return readFileSync(join(directory ?? '', ...path));
}

/** As that program prints bytes: one or two digits each. */
function loose(hex: string): string {
  const bytes = hex.replaceAll(/[-:]/g, '').match(/../g) ?? [];
  return bytes.map((byte) => parseInt(byte, 16).toString(16)).join('');
}

function dump(table: NbftTable, size: number): string {
  const lines: (readonly [string, string | number | boolean])[] = [['raw_nbft_size', size]];
  const { host } = table;
  if (host !== undefined) {
    lines.push(
      ['host.id', loose(host.id)],
      ['host.nqn', host.nqn],
      ['host.host_id_configured', host.idConfigured],
      ['host.host_nqn_configured', host.nqnConfigured],
      // It does not read this one.
      ['host.primary', 0],
    );
  }
  table.hfis.forEach((hfi, at) => {
    const add = (key: string, value: string | number | boolean): unknown =>
      lines.push([`hfi_list[${at}]->${key}`, value]);
    add('index', hfi.index);
    add('transport', 'tcp');
    add('tcp_info.pci_sbdf', hfi.pciSbdf);
    add('tcp_info.mac_addr', loose(hfi.mac));
    add('tcp_info.vlan', hfi.vlan);
    add('tcp_info.ip_origin', hfi.ipOrigin);
    add('tcp_info.ipaddr', hfi.address);
    add('tcp_info.subnet_mask_prefix', hfi.prefixLength);
    add('tcp_info.gateway_ipaddr', hfi.gateway);
    add('tcp_info.route_metric', hfi.routeMetric);
    add('tcp_info.primary_dns_ipaddr', hfi.primaryDns);
    add('tcp_info.secondary_dns_ipaddr', hfi.secondaryDns);
    add('tcp_info.dhcp_server_ipaddr', hfi.dhcpServer);
    add('tcp_info.host_name', hfi.hostName === '' ? '(null)' : hfi.hostName);
    add('tcp_info.this_hfi_is_default_route', hfi.defaultRoute);
    add('tcp_info.dhcp_override', hfi.dhcp);
  });
  table.discoveries.forEach(({ hfi, index, nqn, uri }, at) => {
    const add = (key: string, value: string | number): unknown =>
      lines.push([`discovery_list[${at}]->${key}`, value]);
    add('index', index);
    if (hfi !== 0) add('hfi->index', hfi);
    add('uri', uri);
    add('nqn', nqn);
  });
  table.subsystems.forEach((subsystem, at) => {
    const add = (key: string, value: string | number | boolean): unknown =>
      lines.push([`subsystem_ns_list[${at}]->${key}`, value]);
    add('index', subsystem.index);
    if (subsystem.discovery !== 0) add('discovery->index', subsystem.discovery);
    add('num_hfis', subsystem.hfis.length);
    subsystem.hfis.forEach((hfi, place) => add(`hfis[${place}]->index`, hfi));
    add('transport', subsystem.transport);
    add('traddr', subsystem.traddr);
    add('trsvcid', subsystem.trsvcid);
    add('subsys_port_id', subsystem.portId);
    add('nsid', subsystem.nsid);
    add('nid_type', subsystem.nidType);
    add('nid', loose(subsystem.nid));
    add('subsys_nqn', subsystem.nqn);
    add('pdu_header_digest_required', subsystem.headerDigest);
    add('data_digest_required', subsystem.dataDigest);
    add('controller_id', subsystem.controllerId);
    add('asqsz', subsystem.asqsz);
    add('dhcp_root_path_string', subsystem.dhcpRootPath === '' ? '(null)' : subsystem.dhcpRootPath);
    add('discovered', subsystem.discovered);
    add('unavailable', subsystem.unavailable);
  });
  return lines
    .map(([key, value]) => `${key}=${typeof value === 'boolean' ? Number(value) : value}\n`)
    .join('');
}

describe.skipIf(directory === undefined)(`boot firmware tables of others${why}`, () => {
  it.each(samples('.'))('%s says what its dump says', (name) => {
    const bytes = read(name);
    const table = parseNbft(bytes);
    expect(existsSync(join(directory ?? '', 'expected', name))).toBe(true);
    expect(dump(table, bytes.length)).toBe(read('expected', name).toString('utf8'));
    expect(table.problems).toEqual([]);
  });

  it.each(samples('bad'))('%s is refused', (name) => {
    expect(() => parseNbft(read('bad', name))).toThrow(NbftError);
  });
});
