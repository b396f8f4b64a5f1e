/** A boot firmware table of two paths, and what damages it. */
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { NbftError, type NbftTable } from '../../../src/nvme/nbft-table.ts';
import { encodeNbft, seal, type EncodedNbft, type NbftDescription } from '../../nbft/encode.ts';

export const ROOT = 'nqn.2024-01.org.example:root';

/** Two paths to one subsystem, found by a DC each. */
export const DESCRIPTION = {
  hfis: [
    {
      mac: '52:54:00:00:00:01',
      address: '192.0.2.10',
      prefixLength: 25,
      gateway: '192.0.2.1',
      dhcpServer: '192.0.2.2',
      hostName: 'host.example',
    },
    { mac: '52:54:00:00:00:02', vlan: 7, address: '2001:db8::10', prefixLength: 64 },
  ],
  securities: [{ authentication: 1, secureChannel: 2 }],
  discoveries: [
    { uri: 'nvme+tcp://192.0.2.20:8009/' },
    { uri: 'NVME+TCP://[2001:DB8::20]/', nqn: 'nqn.2024-01.org.example:dc', hfi: 2, security: 1 },
  ],
  subsystems: [
    { nqn: ROOT, traddr: '192.0.2.21', hfi: 1, secondaryHfis: [0, 2, 1, 2], discovery: 1 },
    { nqn: ROOT, traddr: '2001:db8::21', trsvcid: '4421', hfi: 2, unavailable: true },
  ],
} as const satisfies NbftDescription;

/** The table after `damage`, with its checksum made right again. */
export function damaged(
  damage: (view: DataView, encoded: EncodedNbft) => void,
  description: NbftDescription = DESCRIPTION,
): NbftTable {
  const encoded = encodeNbft(description);
  damage(new DataView(encoded.bytes.buffer), encoded);
  return parseNbft(seal(encoded.bytes));
}

/** The code of the error that the bytes are refused with, `none` if they are not. */
export function codeOf(bytes: Uint8Array): string {
  try {
    parseNbft(bytes);
  } catch (error) {
    if (error instanceof NbftError) return error.code;
    throw error;
  }
  return 'none';
}
