import assert from 'node:assert/strict';
import type { IpFamily } from '../../src/nvme/ip-address.ts';
import type { AnnouncedService, ServiceBrowser } from '../../src/ports/service-browser.ts';
import { until, type Contract } from './contract.ts';

/** A service that the world announces on one link of this host or more. */
export interface WorldAnnouncement {
  /** Changes its TXT record. */
  change(txt: readonly string[]): Promise<void>;
  withdraw(): Promise<void>;
}

export interface ServiceBrowserWorld {
  readonly browser: ServiceBrowser;
  announce(
    name: string,
    type: string,
    port: number,
    txt: readonly string[],
  ): Promise<WorldAnnouncement>;
  /** Lets time pass, so that what is under way happens. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

const TYPE = '_nvme-disc._tcp';
const OTHER = '_nvme-disc._udp';
const FAMILIES: ReadonlySet<IpFamily> = new Set(['ipv4', 'ipv6']);
/** Everything that a name of DNS-SD can hold (RFC 6763, 4.1.1): UTF-8, at most 63 bytes. */
const STRANGE = 'a.b\\c "d" \n\t\u001b[31m %s, = \u202e \u{1f4be} $(x)';

function txtOf(service: AnnouncedService | undefined): readonly string[] {
  const strings = service?.record?.txt.map((bytes) => Buffer.from(bytes).toString()) ?? [];
  return strings.sort();
}

export function serviceBrowserContract(
  name: string,
  open: () => Promise<ServiceBrowserWorld>,
): Contract {
  class Watch {
    readonly world: ServiceBrowserWorld;

    constructor(world: ServiceBrowserWorld) {
      this.world = world;
    }

    browse(...types: readonly string[]): void {
      this.world.browser.browse({ types, families: FAMILIES });
    }

    /** Announcements by this name; one is heard on each link and protocol. */
    heard(wanted: string): readonly AnnouncedService[] {
      return this.world.browser.seen().services.filter((service) => service.name === wanted);
    }

    async until(what: string, condition: () => boolean): Promise<void> {
      await until(what, async () => {
        await this.world.pass(100);
        return condition();
      });
    }

    async resolved(wanted: string): Promise<readonly AnnouncedService[]> {
      await this.until(`${JSON.stringify(wanted)} is found`, () => {
        const services = this.heard(wanted);
        return services.length > 0 && services.every(({ record }) => record !== undefined);
      });
      return this.heard(wanted);
    }
  }

  const test = (title: string, body: (watch: Watch) => Promise<void>) => ({
    title,
    run: async () => {
      const world = await open();
      try {
        await body(new Watch(world));
      } finally {
        await world.close();
      }
    },
  });

  return {
    name: `service browser: ${name}`,
    tests: [
      test('finds what was announced before, with its whole record', async (watch) => {
        const txt = ['p=tcp', 'NQN=nqn.2014-08.org.example:ä', 'flag'];
        await watch.world.announce('before', TYPE, 4711, txt);
        watch.browse(TYPE, OTHER);
        for (const service of await watch.resolved('before')) {
          assert.equal(service.type, TYPE);
          assert.equal(service.record?.port, 4711);
          assert.match(service.record.address, /^[0-9a-f.:]+$/);
          assert.deepEqual(txtOf(service), [...txt].sort());
          assert.match(service.interfaceName, /^[!-~]+$/);
        }
      }),
      test('finds what is announced later, and tells so', async (watch) => {
        let changes = 0;
        watch.world.browser.onChange(() => (changes += 1));
        watch.browse(TYPE);
        await watch.world.pass(500);
        const before = changes;
        await watch.world.announce('later', TYPE, 8009, ['p=tcp']);
        await watch.resolved('later');
        assert(changes > before);
      }),
      test('forgets what is withdrawn, and takes it for another when it returns', async (watch) => {
        watch.browse(TYPE);
        const announcement = await watch.world.announce('gone', TYPE, 8009, ['p=tcp']);
        const first = await watch.resolved('gone');
        await announcement.withdraw();
        await watch.until('it is gone', () => watch.heard('gone').length === 0);
        await watch.world.announce('gone', TYPE, 8009, ['p=tcp']);
        const ids = new Set(first.map(({ id }) => id));
        assert((await watch.resolved('gone')).every(({ id }) => !ids.has(id)));
      }),
      test('shows another record of the same announcement when it changes', async (watch) => {
        watch.browse(TYPE);
        const announcement = await watch.world.announce('changing', TYPE, 8009, ['p=tcp']);
        const [before] = await watch.resolved('changing');
        const again = watch.heard('changing')[0];
        assert.equal(again?.record, before?.record);
        await announcement.change(['p=rdma']);
        const own = (): AnnouncedService | undefined =>
          watch.heard('changing').find(({ id }) => id === before?.id);
        await watch.until('the new record', () => txtOf(own()).join() === 'p=rdma');
        assert.notEqual(own()?.record, before?.record);
      }),
      test('tells types apart and leaves others alone', async (watch) => {
        await watch.world.announce('same', TYPE, 1, ['p=tcp']);
        await watch.world.announce('same', OTHER, 2, ['p=tcp']);
        await watch.world.announce('printer', '_ipp._tcp', 3, []);
        watch.browse(OTHER);
        const found = await watch.resolved('same');
        assert.deepEqual(
          [...new Set(found.map(({ record, type }) => `${type} ${String(record?.port)}`))],
          [`${OTHER} 2`],
        );
        assert.equal(watch.heard('printer').length, 0);
      }),
      test('gives names as they are, whatever they hold', async (watch) => {
        await watch.world.announce(STRANGE, TYPE, 8009, ['p=tcp']);
        watch.browse(TYPE);
        await watch.resolved(STRANGE);
      }),
      test('is complete after some time, whether there is anything or not', async (watch) => {
        const { browser } = watch.world;
        assert.equal(browser.seen().incomplete, undefined);
        watch.browse(TYPE);
        await watch.until('it is complete', () => browser.seen().incomplete === undefined);
        assert.equal(browser.wakeUpIn, undefined);
      }),
      test('ends, forgets, and begins again', async (watch) => {
        const { browser } = watch.world;
        await watch.world.announce('again', TYPE, 8009, ['p=tcp']);
        watch.browse(TYPE);
        await watch.resolved('again');
        watch.browse();
        assert.deepEqual(browser.seen(), { services: [], incomplete: undefined, missing: false });
        watch.browse(TYPE);
        await watch.resolved('again');
        browser.dispose();
      }),
      test('finds many at once', async (watch) => {
        const names = Array.from({ length: 60 }, (_, index) => `many ${String(index)}`);
        for (const one of names) await watch.world.announce(one, TYPE, 8009, ['p=tcp']);
        watch.browse(TYPE);
        for (const one of names) await watch.resolved(one);
      }),
    ],
  };
}
