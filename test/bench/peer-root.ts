/**
 * A root of Debian with the Python original in it and what it needs, to run its commands in by
 * chroot: the host need not have Python, nor these modules of it. Kept in the cache.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, cacheKey } from '../vm/cache.ts';
import { identity } from '../vm/image.ts';
import { lock } from '../vm/lock.ts';
import { peerIngredients } from '../vm/peer.ts';
import { removeTree, Steps } from '../vm/steps.ts';

const SUITE = 'trixie';

/** Gives the root's directory, which is made first (a minute) if the cache has none. */
export async function ensurePeerRoot(log: (line: string) => void): Promise<string> {
  const { hooks, packages } = peerIngredients(SUITE);
  const cache = join(cacheDirectory(), 'peer');
  const name = `${SUITE}-${cacheKey([SUITE, ...packages, ...hooks])}`;
  const root = join(cache, name);
  mkdirSync(cache, { recursive: true });
  const release = await lock(`peer ${cache}`, () => log('waiting for another process that does'));
  try {
    if (!existsSync(root)) {
      log(`making a root of ${SUITE} with the Python original in it (once)`);
      const unfinished = join(cache, 'unfinished');
      removeTree(unfinished);
      await new Steps(cache, join(cache, 'build.log'), log).run('mmdebstrap', [
        '--mode=root',
        '--variant=minbase',
        `--include=${packages.join(',')}`,
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--dpkgopt=force-unsafe-io',
        ...hooks.map((hook) => `--customize-hook=${hook}`),
        SUITE,
        unfinished,
      ]);
      // Its stafctl asks for the host NQN before it looks at its command line.
      mkdirSync(join(unfinished, 'etc/nvme'), { recursive: true });
      writeFileSync(join(unfinished, 'etc/nvme/hostnqn'), `${identity.hostNqn}\n`);
      writeFileSync(join(unfinished, 'etc/nvme/hostid'), `${identity.hostId}\n`);
      renameSync(unfinished, root);
    }
  } finally {
    await release();
  }
  return root;
}
