/** Services as a test says they are announced. */
import type { ServiceRecord } from '../../src/nvme/mdns-service.ts';
import type { Disposable } from '../../src/ports/disposable.ts';
import type {
  AnnouncedService,
  ServiceBrowser,
  ServiceQuery,
  ServicesSeen,
} from '../../src/ports/service-browser.ts';

export type Announcement = Omit<AnnouncedService, 'id'>;

/** Sees what is announced at once, while it browses. */
export class FakeServiceBrowser implements ServiceBrowser {
  readonly #listeners = new Set<() => void>();
  #services = new Map<number, Announcement>();
  #count = 0;
  #incomplete: string | undefined;
  missing = false;
  query: ServiceQuery = { types: [], families: new Set() };
  wakeUpIn: number | undefined;
  disposed = false;

  browse(query: ServiceQuery): void {
    this.query = query;
    this.#changed();
  }

  seen(): ServicesSeen {
    const { types } = this.query;
    const services = [...this.#services]
      .map(([id, announcement]) => ({ id, ...announcement }))
      .filter(({ type }) => types.includes(type));
    const wanted = types.length > 0;
    return {
      services,
      incomplete: wanted ? this.#incomplete : undefined,
      missing: wanted && this.missing,
    };
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  dispose(): void {
    this.disposed = true;
    this.#listeners.clear();
  }

  /** Somebody announces a service; returns how it ends or changes. */
  announce(announcement: Announcement): {
    withdraw(): void;
    change(record: ServiceRecord): void;
  } {
    this.#count += 1;
    const id = this.#count;
    this.#services.set(id, announcement);
    this.#changed();
    return {
      withdraw: () => {
        this.#services.delete(id);
        this.#changed();
      },
      change: (record) => {
        this.#services.set(id, { ...announcement, record });
        this.#changed();
      },
    };
  }

  /** Says why services may be missing; undefined: none are. */
  set incomplete(why: string | undefined) {
    this.#incomplete = why;
    this.#changed();
  }

  /** As after the loss of avahi-daemon. */
  forget(why: string): void {
    this.#services = new Map();
    this.incomplete = why;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
