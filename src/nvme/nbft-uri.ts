/** The URI of a discovery controller in a boot firmware table. */
import { FieldError } from './nbft-bytes.ts';
import type { NbftDiscovery } from './nbft-table.ts';
import { checkTraddr, checkTrsvcid } from './transport-address.ts';

/** `nvme+tcp://192.0.2.1:8009/`; what follows the authority says nothing about the address. */
const URI = /^nvme\+(tcp|rdma):\/\/(?:\[([^\][]*)\]|([^\][:/?#@]*))(?::([0-9]*))?(?:[/?#].*)?$/i;

/** Throws FieldError if it is not the URI of a discovery controller at an IP address. */
export function parseUri(text: string): Pick<NbftDiscovery, 'transport' | 'traddr' | 'trsvcid'> {
  const match = URI.exec(text);
  if (match === null) throw new FieldError('is not of the form nvme+tcp://ADDRESS:PORT/');
  const [, scheme = '', bracketed, plain, trsvcid = ''] = match;
  const transport = scheme.toLowerCase() === 'rdma' ? 'rdma' : 'tcp';
  const traddr = bracketed ?? plain ?? '';
  const reason =
    checkTraddr(transport, traddr) ??
    // The zone is an interface of the firmware's.
    (traddr.includes('%') ? 'names a zone' : undefined) ??
    ((bracketed !== undefined) === traddr.includes(':') ? undefined : 'is not in brackets');
  if (reason !== undefined) throw new FieldError(`has an address that ${reason}`);
  const service = trsvcid === '' ? undefined : checkTrsvcid(transport, trsvcid);
  if (service !== undefined) throw new FieldError(`has a port that ${service}`);
  return { transport, traddr, trsvcid };
}
