/**
 * DNS-SD services through avahi-daemon.
 *
 * Invariants:
 * - the match rules stand before anything is asked for, so that no first item is missed; there are
 *   two of them, however many services there are;
 * - what avahi-daemon told is forgotten when it leaves the bus, and asked for anew when it is back;
 * - while it is not there, does not answer or has refused something, it is asked again every
 *   WAKE_UP_MS, which also starts it where the bus can;
 * - nothing is complete before LISTEN_MS have passed: queries go out at 0, 1, 3 and 7 s, and
 *   packets are lost.
 */
import type { IpFamily } from '../../nvme/ip-address.ts';
import type { Bus } from '../../ports/bus.ts';
import type { Disposable } from '../../ports/disposable.ts';
import type { Clock } from '../../ports/host.ts';
import type { Log } from '../../ports/log.ts';
import type {
  AnnouncedService,
  ServiceBrowser,
  ServiceQuery,
  ServicesSeen,
} from '../../ports/service-browser.ts';
import { interfaceNames } from './interface-name.ts';
import { readItem } from './messages.ts';
import {
  ANY_INTERFACE,
  ANY_PROTOCOL,
  AVAHI_NAME,
  BROWSER_INTERFACE,
  DOMAIN,
  RESOLVER_INTERFACE,
  USE_MULTICAST,
} from './names.ts';
import { AvahiObjects, wakeAvahi, type HeldObject } from './objects.ts';
import { AvahiResolvers, type Resolution } from './resolvers.ts';

const WAKE_UP_MS = 60_000;
const LISTEN_MS = 10_000;
/** avahi-daemon's own cache holds 4096 records an interface and protocol. */
const MAX_SERVICES = 4096;

export interface AvahiBrowserDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  /** The name of a network interface by its index; for tests. */
  readonly interfaceName?: (index: number) => string | undefined;
}

interface Browser {
  readonly type: string;
  object: HeldObject | undefined;
  state: 'looking' | 'looked' | 'failed';
  /** Its failure was said: the same is not said again before it has worked. */
  said: boolean;
}

interface Service {
  readonly announced: Omit<AnnouncedService, 'record'>;
  readonly resolution: Resolution;
}

const NOTHING: ServiceQuery = { types: [], families: new Set() };

export class AvahiBrowser implements ServiceBrowser {
  readonly #deps: AvahiBrowserDeps;
  readonly #interfaceName: (index: number) => string | undefined;
  readonly #objects: AvahiObjects;
  readonly #resolvers: AvahiResolvers;
  readonly #listeners = new Set<() => void>();
  #query: ServiceQuery = NOTHING;
  #following: Promise<void> | undefined;
  #owner: string | undefined;
  /** What was said last of avahi-daemon. */
  #said: 'nothing' | 'there' | 'missing' | 'silent' = 'nothing';
  #browsers: readonly Browser[] = [];
  #services = new Map<string, Service>();
  #announcements = 0;
  #overflowed = false;
  #listening: Disposable | undefined;
  #wakeUp: Disposable | undefined;
  #wakeUpAt = 0;

  constructor(deps: AvahiBrowserDeps) {
    this.#deps = deps;
    this.#interfaceName = deps.interfaceName ?? interfaceNames();
    this.#objects = new AvahiObjects({
      bus: deps.bus,
      answeringChanged: (answering) => {
        this.#say(answering ? 'there' : 'silent');
        if (!answering) this.#armWakeUp();
        this.#changed();
      },
    });
    this.#resolvers = new AvahiResolvers({
      ...deps,
      objects: this.#objects,
      changed: () => {
        this.#changed();
      },
      refused: () => {
        this.#armWakeUp();
      },
    });
  }

  get wakeUpIn(): number | undefined {
    return this.#wakeUp === undefined ? undefined : this.#wakeUpAt - this.#deps.clock.now();
  }

  browse(query: ServiceQuery): void {
    if (sameQuery(query, this.#query)) return;
    this.#query = query;
    this.#close();
    this.#disarmWakeUp();
    if (this.#wanted) this.#open();
    else this.#said = 'nothing';
    this.#changed();
  }

  seen(): ServicesSeen {
    const services = [...this.#services.values()].map(({ announced, resolution }) => ({
      ...announced,
      record: resolution.record,
    }));
    const missing = this.#wanted && this.#owner === undefined;
    return { services, incomplete: this.#incomplete(), missing };
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  dispose(): void {
    this.#listeners.clear();
    this.browse(NOTHING);
  }

  get #wanted(): boolean {
    return this.#query.types.length > 0;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #incomplete(): string | undefined {
    if (!this.#wanted) return undefined;
    if (this.#owner === undefined) return 'avahi-daemon is not running';
    if (!this.#objects.answering) return 'avahi-daemon does not answer';
    if (this.#browsers.some(({ state }) => state === 'failed')) return 'avahi-daemon cannot browse';
    const looking = this.#browsers.some(({ state }) => state === 'looking');
    if (looking || this.#listening !== undefined) return 'services are still being looked for';
    if (this.#overflowed) return 'there are more services than are looked at';
    return this.#resolvers.unsettled > 0 ? 'services are still being resolved' : undefined;
  }

  /** Begins, or asks for what is missing to begin. */
  #open(): void {
    if (this.#owner === undefined) {
      void this.#wake();
      return;
    }
    // Whether it answers again meanwhile: nothing else would ask.
    if (!this.#objects.answering) void this.#wake();
    this.#listening = this.#deps.clock.setTimer(LISTEN_MS, () => {
      this.#listening = undefined;
      this.#changed();
    });
    this.#browsers = this.#query.types.map((type) => ({
      type,
      object: undefined,
      state: 'looking',
      said: false,
    }));
    for (const browser of this.#browsers) this.#look(browser);
  }

  /** Gives everything up that was made or found. */
  #close(): void {
    this.#listening?.dispose();
    this.#listening = undefined;
    this.#resolvers.clear();
    for (const { object } of this.#browsers) object?.free();
    this.#browsers = [];
    this.#services = new Map();
    this.#overflowed = false;
  }

  async #follow(): Promise<void> {
    try {
      for (const interfaceName of [BROWSER_INTERFACE, RESOLVER_INTERFACE]) {
        await this.#deps.bus.subscribe({ sender: AVAHI_NAME, interfaceName }, (signal) => {
          this.#objects.receive(signal);
        });
      }
      await this.#deps.bus.watchName(AVAHI_NAME, (owner) => {
        this.#ownerChanged(owner);
      });
    } catch (thrown) {
      this.#following = undefined;
      throw thrown;
    }
  }

  #ownerChanged(owner: string | undefined): void {
    if (owner === this.#owner) return;
    this.#close();
    this.#owner = owner;
    this.#objects.setOwner(owner);
    if (!this.#wanted) return;
    this.#say(owner === undefined ? 'missing' : 'there');
    this.#disarmWakeUp();
    if (owner === undefined) this.#armWakeUp();
    else this.#open();
    this.#changed();
  }

  /** One line when it comes, goes, falls silent. */
  #say(what: 'there' | 'missing' | 'silent'): void {
    if (this.#said === what || !this.#wanted) return;
    this.#said = what;
    const { log } = this.#deps;
    switch (what) {
      case 'there':
        log.info('avahi-daemon is there: discovery controllers are looked for by mDNS');
        return;
      case 'missing':
        log.warning('avahi-daemon is not running: mDNS finds nothing; connections stay');
        return;
      case 'silent':
        log.warning('avahi-daemon does not answer: mDNS finds nothing; connections stay');
        return;
    }
  }

  #armWakeUp(): void {
    if (this.#wakeUp !== undefined || !this.#wanted) return;
    this.#wakeUpAt = this.#deps.clock.now() + WAKE_UP_MS;
    this.#wakeUp = this.#deps.clock.setTimer(WAKE_UP_MS, () => {
      this.#wakeUp = undefined;
      void this.#wake();
    });
  }

  #disarmWakeUp(): void {
    this.#wakeUp?.dispose();
    this.#wakeUp = undefined;
  }

  async #wake(): Promise<void> {
    const owner = this.#owner;
    try {
      await (this.#following ??= this.#follow());
      await wakeAvahi(this.#deps.bus);
    } catch (thrown) {
      this.#deps.log.debug(`avahi-daemon cannot be reached: ${String(thrown)}`);
      if (this.#owner === undefined) this.#say('missing');
      this.#armWakeUp();
      return;
    }
    // Where it had no owner, the bus tells who it is now.
    if (!this.#wanted || owner === undefined || this.#owner !== owner) return;
    this.#objects.answered();
    for (const browser of this.#browsers) {
      if (browser.state === 'failed') this.#look(browser);
    }
    this.#resolvers.retry();
    this.#changed();
  }

  #look(browser: Browser): void {
    browser.state = 'looking';
    const failed = (why: string): void => {
      const text = `avahi-daemon cannot browse ${browser.type}: ${why}`;
      if (browser.said) this.#deps.log.debug(text);
      else this.#deps.log.error(text);
      browser.said = true;
      browser.state = 'failed';
      browser.object?.free();
      browser.object = undefined;
      for (const [key, { announced }] of this.#services) {
        if (announced.type === browser.type) this.#remove(key);
      }
      this.#armWakeUp();
      this.#changed();
    };
    browser.object = this.#objects.make({
      member: 'ServiceBrowserNew',
      signature: 'iissu',
      args: [ANY_INTERFACE, ANY_PROTOCOL, browser.type, DOMAIN, USE_MULTICAST],
      refused: (error) => {
        failed(error.message);
      },
      signal: (member, args) => {
        switch (member) {
          case 'ItemNew':
            this.#itemNew(browser, args);
            return;
          case 'ItemRemove':
            this.#itemRemove(args);
            return;
          case 'AllForNow':
            browser.state = 'looked';
            browser.said = false;
            this.#changed();
            return;
          case 'Failure':
            failed(String(args[0]));
            return;
        }
      },
    });
  }

  #itemNew({ type }: Browser, args: readonly unknown[]): void {
    const item = readItem(args);
    if (item === undefined || this.#services.has(item.key)) return;
    const interfaceName = this.#interfaceName(item.interfaceIndex);
    // Without a name it has gone meanwhile, and so will the announcement.
    if (interfaceName === undefined) return;
    if (this.#services.size >= MAX_SERVICES) {
      if (!this.#overflowed) {
        this.#deps.log.warning(
          `mDNS announces more than ${String(MAX_SERVICES)} services: not all are looked at`,
        );
      }
      this.#overflowed = true;
      return;
    }
    this.#announcements += 1;
    const { family, key, name } = item;
    const other: IpFamily = family === 'ipv4' ? 'ipv6' : 'ipv4';
    // Asked for any family, avahi-daemon gives now an address of the one and now of the other.
    const families = [family, other].filter((candidate) => this.#query.families.has(candidate));
    this.#services.set(key, {
      announced: { id: this.#announcements, interfaceName, family, name, type },
      resolution: this.#resolvers.add(item, families),
    });
    this.#changed();
  }

  #itemRemove(args: readonly unknown[]): void {
    const key = readItem(args)?.key;
    if (key === undefined || !this.#remove(key)) return;
    if (this.#overflowed && this.#services.size < MAX_SERVICES / 2) {
      // What was left out is told again to a new browser.
      this.#close();
      this.#open();
    }
    this.#changed();
  }

  #remove(key: string): boolean {
    this.#services.get(key)?.resolution.remove();
    return this.#services.delete(key);
  }
}

function sameQuery(a: ServiceQuery, b: ServiceQuery): boolean {
  return (
    a.types.length === b.types.length &&
    a.types.every((type, index) => type === b.types[index]) &&
    a.families.size === b.families.size &&
    [...a.families].every((family) => b.families.has(family))
  );
}
