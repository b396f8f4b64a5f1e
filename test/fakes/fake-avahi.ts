/**
 * avahi-daemon on the fake bus: browsers, resolvers, what strangers announce.
 *
 * Invariants:
 * - signals of an object come after it was asked for, and, as from the real one, may come before
 *   the reply with its path (`early`);
 * - while it hangs, nothing is answered and nothing said; all of it is when it goes on;
 * - a client has at most `maxObjects` objects; asking for more is refused.
 */
import { BusError, type ExportedObject } from '../../src/ports/bus.ts';
import type { Disposable } from '../../src/ports/disposable.ts';
import type { FakeBus, FakeBusDaemon } from './fake-bus.ts';
import type { FakeClock } from './clock.ts';

const NAME = 'org.freedesktop.Avahi';
const SERVER = `${NAME}.Server`;
const BROWSER = `${NAME}.ServiceBrowser`;
const RESOLVER = `${NAME}.ServiceResolver`;

function args(direction: string, signature: string): string {
  const types = signature.match(/aay|[a-z]/g) ?? [];
  return types
    .map((type, index) => `<arg name="a${String(index)}" ${direction} type="${type}"/>`)
    .join('');
}

function method(name: string, input: string, output: string): string {
  const [before, after] = [args('direction="in"', input), args('direction="out"', output)];
  return `<method name="${name}">${before}${after.replaceAll('name="a', 'name="r')}</method>`;
}

function signal(name: string, signature: string): string {
  return `<signal name="${name}">${args('', signature)}</signal>`;
}

const SERVER_XML = `<node><interface name="${SERVER}">${[
  method('GetVersionString', '', 's'),
  method('ServiceBrowserNew', 'iissu', 'o'),
  method('ServiceResolverNew', 'iisssiu', 'o'),
].join('')}</interface></node>`;

const BROWSER_XML = `<node><interface name="${BROWSER}">${[
  method('Free', '', ''),
  signal('ItemNew', 'iisssu'),
  signal('ItemRemove', 'iisssu'),
  signal('AllForNow', ''),
  signal('CacheExhausted', ''),
  signal('Failure', 's'),
].join('')}</interface></node>`;

const RESOLVER_XML = `<node><interface name="${RESOLVER}">${[
  method('Free', '', ''),
  signal('Found', 'iissssisqaayu'),
  signal('Failure', 's'),
].join('')}</interface></node>`;

/** What somebody announces on one interface by one protocol. */
export interface FakeAnnouncement {
  readonly name: string;
  readonly type: string;
  /** An index, 2 by default. */
  readonly interfaceIndex?: number;
  /** 0: IPv4 (default), 1: IPv6. */
  readonly protocol?: 0 | 1;
  /** Addresses by protocol; none: nobody answers for it. */
  readonly addresses?: readonly [ipv4: string | undefined, ipv6?: string];
  readonly port?: number;
  readonly txt?: readonly (string | Uint8Array)[];
}

interface Resolver {
  readonly path: string;
  readonly wanted: readonly unknown[];
}

export class FakeAvahi {
  readonly #clock: FakeClock;
  readonly #daemon: FakeBusDaemon;
  #bus: FakeBus | undefined;
  /** By what a resolver asks for. */
  readonly #announced = new Map<string, FakeAnnouncement>();
  #browsers = new Map<string, string>();
  #resolvers = new Map<string, Resolver>();
  #exported = new Map<string, Disposable>();
  #made = 0;
  #hung: (() => void)[] | undefined;
  maxObjects = 1024;
  /** Says what it has to say before it answers with the object's path. */
  early = false;
  /** Refuses browsers and resolvers with this error. */
  refusal: string | undefined;
  /** Calls that it was sent, answered or not. */
  readonly calls: string[] = [];
  /** The most objects it ever had. */
  mostObjects = 0;

  constructor(daemon: FakeBusDaemon, clock: FakeClock) {
    this.#daemon = daemon;
    this.#clock = clock;
  }

  async start(): Promise<this> {
    const bus = this.#daemon.connect();
    this.#bus = bus;
    bus.export({
      path: '/',
      introspectionXml: SERVER_XML,
      methods: {
        [`${SERVER}.GetVersionString`]: async () => {
          await this.#turn('GetVersionString');
          return ['avahi 0.8'];
        },
        [`${SERVER}.ServiceBrowserNew`]: async (...wanted: never[]) => {
          await this.#turn('ServiceBrowserNew');
          return [this.#makeBrowser(String(wanted[2]))];
        },
        [`${SERVER}.ServiceResolverNew`]: async (...wanted: never[]) => {
          await this.#turn('ServiceResolverNew');
          return [this.#makeResolver(wanted)];
        },
      },
      properties: {},
    });
    await bus.requestName(NAME);
    return this;
  }

  /** Leaves the bus; what it had is gone. */
  stop(): void {
    this.#bus?.close();
    this.#bus = undefined;
    this.#hung = undefined;
    this.#browsers = new Map();
    this.#resolvers = new Map();
    this.#exported = new Map();
  }

  /** As SIGSTOP. */
  hang(): void {
    this.#hung ??= [];
  }

  /** As SIGCONT. */
  resume(): void {
    const waiting = this.#hung ?? [];
    this.#hung = undefined;
    for (const act of waiting) act();
  }

  get objects(): number {
    return this.#exported.size;
  }

  get browsers(): readonly string[] {
    return [...this.#browsers.values()];
  }

  get resolvers(): number {
    return this.#resolvers.size;
  }

  /** Somebody announces it, until it is withdrawn. */
  announce(announcement: FakeAnnouncement): { readonly withdraw: () => void } {
    const key = keyOf(item(announcement));
    this.#announced.set(key, announcement);
    this.#item('ItemNew', announcement);
    return {
      withdraw: () => {
        if (this.#announced.delete(key)) this.#item('ItemRemove', announcement);
      },
    };
  }

  /** What is announced under the same name has another record now. */
  change(after: FakeAnnouncement): void {
    const key = keyOf(item(after));
    this.#announced.set(key, after);
    for (const resolver of this.#resolvers.values()) {
      if (keyOf(resolver.wanted) === key) this.#tell(resolver);
    }
  }

  /** A browser of this type fails. */
  fail(type: string): void {
    for (const [path, own] of this.#browsers) {
      if (own === type) this.#emit(path, BROWSER, 'Failure', ['no more']);
    }
  }

  async #turn(member: string): Promise<void> {
    this.calls.push(member);
    const hung = this.#hung;
    if (hung !== undefined) await new Promise<void>((resolve) => hung.push(resolve));
    if (!member.endsWith('New')) return;
    if (this.refusal !== undefined) throw new BusError(this.refusal, 'refused');
  }

  #makeBrowser(type: string): string {
    const path = this.#export('ServiceBrowser', BROWSER, BROWSER_XML, (own) => {
      this.#browsers.delete(own);
    });
    this.#browsers.set(path, type);
    this.#soon(() => {
      if (!this.#browsers.has(path)) return;
      for (const announcement of this.#announced.values()) {
        if (announcement.type === type) this.#emit(path, BROWSER, 'ItemNew', item(announcement));
      }
      this.#emit(path, BROWSER, 'CacheExhausted', []);
      this.#clock.setTimer(1_000, () => {
        this.#emit(path, BROWSER, 'AllForNow', []);
      });
    });
    return path;
  }

  #makeResolver(wanted: readonly unknown[]): string {
    const path = this.#export('ServiceResolver', RESOLVER, RESOLVER_XML, (own) => {
      this.#resolvers.delete(own);
    });
    const resolver: Resolver = { path, wanted };
    this.#resolvers.set(path, resolver);
    this.#soon(() => {
      if (this.#tell(resolver)) return;
      this.#clock.setTimer(5_000, () => {
        this.#emit(path, RESOLVER, 'Failure', [`${NAME}.TimeoutError`]);
      });
    });
    return path;
  }

  #soon(act: () => void): void {
    if (this.early) act();
    else this.#clock.setTimer(10, act);
  }

  #export(
    kind: string,
    interfaceName: string,
    introspectionXml: string,
    freed: (path: string) => void,
  ): string {
    if (this.#exported.size >= this.maxObjects) {
      throw new BusError(`${NAME}.TooManyObjectsError`, 'too many objects');
    }
    this.#made += 1;
    const path = `/Client0/${kind}${String(this.#made)}`;
    const methods: ExportedObject['methods'] = {
      [`${interfaceName}.Free`]: async () => {
        await this.#turn('Free');
        this.#exported.get(path)?.dispose();
        this.#exported.delete(path);
        freed(path);
        return [];
      },
    };
    const published = this.#bus?.export({ path, introspectionXml, methods, properties: {} });
    if (published !== undefined) this.#exported.set(path, published);
    this.mostObjects = Math.max(this.mostObjects, this.#exported.size);
    return path;
  }

  #item(member: 'ItemNew' | 'ItemRemove', announcement: FakeAnnouncement): void {
    for (const [path, type] of this.#browsers) {
      if (type === announcement.type) this.#emit(path, BROWSER, member, item(announcement));
    }
  }

  /** False if nobody answers. */
  #tell({ path, wanted }: Resolver): boolean {
    const announcement = this.#announced.get(keyOf(wanted));
    const family = wanted[5] as 0 | 1;
    const address = announcement?.addresses?.[family];
    if (announcement === undefined || address === undefined) return false;
    const txt = (announcement.txt ?? []).map((text) => Buffer.from(text));
    this.#emit(path, RESOLVER, 'Found', [
      ...[...wanted.slice(0, 5), 'dc.local', family, address],
      ...[announcement.port ?? 8009, txt, 0],
    ]);
    return true;
  }

  #emit(path: string, interfaceName: string, member: string, values: readonly unknown[]): void {
    const say = (): void => {
      if (this.#exported.has(path)) this.#bus?.emitSignal(path, interfaceName, member, values);
    };
    if (this.#hung === undefined) say();
    else this.#hung.push(say);
  }
}

function item({ interfaceIndex = 2, name, protocol = 0, type }: FakeAnnouncement) {
  return [interfaceIndex, protocol, name, type, 'local', 4] as const;
}

/** Interface, protocol, name, type, domain. */
function keyOf(item: readonly unknown[]): string {
  return JSON.stringify(item.slice(0, 5));
}
