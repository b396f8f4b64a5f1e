import assert from 'node:assert/strict';
import { ipFamily } from '../../src/nvme/ip-address.ts';
import { PortError } from '../../src/ports/errors.ts';
import type { Resolver } from '../../src/ports/host.ts';
import type { Contract } from './contract.ts';

export interface ResolverWorld {
  readonly resolver: Resolver;
  /** A name that resolves, and one that does not. */
  readonly known: string;
  readonly unknown: string;
}

export function resolverContract(name: string, open: () => ResolverWorld): Contract {
  return {
    name: `resolver: ${name}`,
    tests: [
      {
        title: 'gives the addresses of a name, IPv4 first',
        run: async () => {
          const { resolver, known } = open();
          const families = (await resolver.resolve(known)).map((address) => ipFamily(address));
          assert(families.length > 0);
          assert(!families.includes(undefined), 'not an address');
          assert.deepEqual(families, [...families].sort());
        },
      },
      {
        title: 'gives an address back as it is',
        run: async () => {
          const { resolver } = open();
          assert.deepEqual(await resolver.resolve('127.0.0.1'), ['127.0.0.1']);
          assert.deepEqual(await resolver.resolve('::1'), ['::1']);
        },
      },
      {
        title: 'rejects a name that does not resolve, as worth another try',
        run: async () => {
          const { resolver, unknown } = open();
          await assert.rejects(resolver.resolve(unknown), (error) => {
            assert(error instanceof PortError);
            assert.equal(error.errorClass, 'retry');
            return true;
          });
        },
      },
      {
        title: 'answers all who ask at once',
        run: async () => {
          const { resolver, known, unknown } = open();
          const answers = await Promise.allSettled([
            resolver.resolve(known),
            resolver.resolve(known),
            resolver.resolve(unknown),
            resolver.resolve(unknown),
          ]);
          const statuses = answers.map(({ status }) => status);
          assert.deepEqual(statuses, ['fulfilled', 'fulfilled', 'rejected', 'rejected']);
        },
      },
    ],
  };
}
