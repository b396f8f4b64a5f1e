import { expect, test } from 'vitest';
import { NvmeCliInterplay, connectArguments } from '../../../src/platform/nvme-cli.ts';
import { MemoryLog } from '../../fakes/log.ts';

/** nvme-cli's part with a systemctl that ends when the test says so. */
class Scene {
  readonly log = new MemoryLog(true);
  /** Units, in the order in which systemctl was called for them. */
  readonly units: string[] = [];
  readonly #ends: ((why: string | undefined) => void)[] = [];
  readonly nvmeCli = new NvmeCliInterplay(this.log, (args, callback) => {
    this.units.push(args.at(-1) ?? '');
    this.#ends.push(callback);
  });

  end(why?: string): void {
    this.#ends.shift()?.(why);
  }
}

test('options are joined by tabs and escaped as in the name of a unit', () => {
  expect(connectArguments('nvme3', '10.0.0.1', 'eth0')).toBe(
    '--device\\x3dnvme3\\x09--host-traddr\\x3d10.0.0.1\\x09--host-iface\\x3deth0',
  );
  expect(connectArguments('nvme3', '', 'none')).toBe('--device\\x3dnvme3');
  expect(connectArguments('nvme3', 'fe80::1%é', '')).toBe(
    '--device\\x3dnvme3\\x09--host-traddr\\x3dfe80::1\\x25\\xc3\\xa9',
  );
});

test('a storm of events makes one process for a controller, and one more after it', () => {
  const { nvmeCli, units, ...scene } = new Scene();
  const one = 'nvmf-connect@--device\\x3dnvme1.service';
  for (let event = 0; event < 100; event += 1) nvmeCli.connectAll('nvme1', '', '');
  nvmeCli.connectAll('nvme2', '', '');
  expect(units).toEqual([one, 'nvmf-connect@--device\\x3dnvme2.service']);
  expect(scene.log.messages('debug')).toHaveLength(2);
});

test('what was asked for during a run is done after it, also after a failed one', () => {
  const scene = new Scene();
  const one = 'nvmf-connect@--device\\x3dnvme1.service';
  scene.nvmeCli.connectAll('nvme1', '', '');
  scene.nvmeCli.connectAll('nvme1', '', '');
  scene.end('no such unit');
  expect(scene.units).toEqual([one, one]);
  scene.end();
  expect(scene.units).toEqual([one, one]);
  scene.nvmeCli.connectAll('nvme1', '', '');
  expect(scene.units).toEqual([one, one, one]);
  expect(scene.log.messages('debug')).toContain(`${one} could not be started: no such unit`);
});
