import assert from 'node:assert/strict';
import { PortError } from '../../src/ports/errors.ts';
import type { StateFile } from '../../src/ports/host.ts';
import type { Contract } from './contract.ts';

export interface StateFileWorld {
  /** There is none yet, nor its directory. */
  readonly file: StateFile;
  close(): Promise<void>;
}

export function stateFileContract(name: string, open: () => Promise<StateFileWorld>): Contract {
  const test = (title: string, body: (file: StateFile) => Promise<void>) => ({
    title,
    run: async () => {
      const world = await open();
      try {
        await body(world.file);
      } finally {
        await world.close();
      }
    },
  });
  return {
    name: `state file: ${name}`,
    tests: [
      test('reads undefined where there is none', async (file) => {
        assert.equal(await file.read(), undefined);
      }),
      test('reads what was written last', async (file) => {
        for (const text of ['{"grüße": "🙂"}\n', '', 'x'.repeat(1_000_000)]) {
          await file.write(text);
          assert.equal(await file.read(), text);
        }
      }),
      test('ends with the last of several writes', async (file) => {
        await Promise.all([file.write('1'), file.write('2'), file.write('3')]);
        assert.equal(await file.read(), '3');
      }),
      test('sets a damaged file aside and starts anew', async (file) => {
        await file.write('{');
        const aside = await file.setAside();
        assert.match(aside, /damaged/);
        assert.equal(await file.read(), undefined);
        await file.write('{}');
        assert.equal(await file.read(), '{}');
      }),
      test('cannot set aside what is not there', async (file) => {
        await assert.rejects(file.setAside(), (error) => {
          assert(error instanceof PortError);
          assert.equal(error.code, 'ENOENT');
          return true;
        });
      }),
    ],
  };
}
