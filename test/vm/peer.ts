/**
 * The Python original, from its Debian package: in the machine's image, where nothing starts it but
 * a scenario.
 */
import peerHook from './image/peer.sh';
import type { Suite } from './image.ts';

/** What it is unpacked to. */
export const PEER = '/opt/nvme-stas-python';

/** Where its Python modules are: PYTHONPATH for whatever is run of it. */
export const PEER_MODULES = `${PEER}/usr/lib/python3/dist-packages`;

/** What goes into a root with it: the packages that its own depends on, and a hook for mmdebstrap. */
export interface PeerIngredients {
  readonly packages: readonly string[];
  readonly hooks: readonly string[];
}

/** Nothing for a release that does not have it. */
export function peerIngredients(suite: Suite): PeerIngredients {
  if (suite === 'bookworm') return { packages: [], hooks: [] };
  const modules = ['dasbus', 'gi', 'libnvme', 'pyudev', 'systemd'];
  return { packages: ['python3', ...modules.map((name) => `python3-${name}`)], hooks: [peerHook] };
}
