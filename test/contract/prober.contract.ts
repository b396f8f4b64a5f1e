import assert from 'node:assert/strict';
import { makeTid } from '../../src/nvme/transport-id.ts';
import type { TransportId } from '../../src/nvme/transport-id.ts';
import type { Prober, ProbeResult } from '../../src/ports/host.ts';
import type { Contract } from './contract.ts';

export interface ProberWorld {
  readonly prober: Prober;
  /** An NVMe/TCP target that answers. */
  readonly live: TransportId;
  /** Nobody listens there. */
  readonly refusing: TransportId;
  close(): Promise<void>;
}

function codeOf(result: ProbeResult): string {
  if (result.kind === 'reachable') return 'reachable';
  assert.equal(result.error.errorClass, 'retry');
  return result.error.code;
}

export function proberContract(name: string, open: () => Promise<ProberWorld>): Contract {
  const test = (title: string, body: (world: ProberWorld) => Promise<void>) => ({
    title,
    run: async () => {
      const world = await open();
      try {
        await body(world);
      } finally {
        await world.close();
      }
    },
  });
  return {
    name: `prober: ${name}`,
    tests: [
      test('finds a target that answers', async ({ prober, live }) => {
        assert.equal(codeOf(await prober.probe(live, 'nvme-tcp')), 'reachable');
        assert.equal(codeOf(await prober.probe(live, 'tcp')), 'reachable');
      }),
      test('says why an address is unreachable', async ({ prober, refusing }) => {
        assert.equal(codeOf(await prober.probe(refusing, 'nvme-tcp')), 'ECONNREFUSED');
        assert.equal(codeOf(await prober.probe(refusing, 'tcp')), 'ECONNREFUSED');
      }),
      test('tries nothing when the mode is disabled', async ({ prober, refusing }) => {
        assert.equal(codeOf(await prober.probe(refusing, 'disabled')), 'reachable');
      }),
      test('tries nothing on other transports', async ({ prober, refusing }) => {
        for (const transport of ['rdma', 'fc', 'loop'] as const) {
          const tid = makeTid({ ...refusing, transport });
          assert.equal(codeOf(await prober.probe(tid, 'nvme-tcp')), 'reachable');
        }
      }),
      test('ends when it is cancelled, before or after it began', async ({ prober, live }) => {
        const abort = new AbortController();
        abort.abort();
        assert.equal(codeOf(await prober.probe(live, 'nvme-tcp', abort.signal)), 'ABORTED');
        const late = new AbortController();
        assert.equal(codeOf(await prober.probe(live, 'nvme-tcp', late.signal)), 'reachable');
        late.abort();
      }),
      test('tries many addresses side by side', async ({ prober, live, refusing }) => {
        const probes = Array.from({ length: 40 }, (_, index) =>
          prober.probe(index % 2 === 0 ? live : refusing, 'nvme-tcp'),
        );
        const codes = (await Promise.all(probes)).map(codeOf);
        assert.equal(codes.filter((code) => code === 'reachable').length, 20);
        assert.equal(codes.filter((code) => code === 'ECONNREFUSED').length, 20);
      }),
    ],
  };
}
