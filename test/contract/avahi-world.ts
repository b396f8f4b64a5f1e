/**
 * The system's avahi-daemon, with services that another client of it announces on this host: needs
 * a system bus, avahi-daemon, and an interface that it uses (`lo` is one).
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { AvahiBrowser } from '../../src/platform/avahi/service-browser.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { createSystemBus } from '../../src/platform/dbus/system-bus.ts';
import { MemoryLog } from '../fakes/log.ts';
import type { ServiceBrowserWorld, WorldAnnouncement } from './service-browser.contract.ts';

const NAME = 'org.freedesktop.Avahi';
const GROUP = `${NAME}.EntryGroup`;
const ANY = -1;

export async function avahiWorld(): Promise<ServiceBrowserWorld> {
  const log = new MemoryLog();
  const bus = await createSystemBus({ log });
  const announcer = await createSystemBus();
  const browser = new AvahiBrowser({ bus, clock: new SystemClock(), log });
  const call = async (
    path: string,
    interfaceName: string,
    member: string,
    inSignature: string,
    ...args: readonly unknown[]
  ): Promise<unknown> => {
    const request = { destination: NAME, path, interfaceName, member, inSignature, args };
    return (await announcer.call({ ...request, timeoutMs: 20_000 }))[0];
  };
  const announce = async (
    name: string,
    type: string,
    port: number,
    txt: readonly string[],
  ): Promise<WorldAnnouncement> => {
    const group = String(await call('/', `${NAME}.Server`, 'EntryGroupNew', ''));
    const strings = (texts: readonly string[]) => texts.map((text) => Buffer.from(text));
    const where = [ANY, ANY, 0, name, type, ''] as const;
    const service = [...where, '', port, strings(txt)] as const;
    await call(group, GROUP, 'AddService', 'iiussssqaay', ...service);
    await call(group, GROUP, 'Commit', '');
    return {
      change: async (texts) => {
        await call(group, GROUP, 'UpdateServiceTxt', 'iiusssaay', ...where, strings(texts));
      },
      withdraw: async () => {
        await call(group, GROUP, 'Free', '');
      },
    };
  };
  return {
    browser,
    announce,
    pass: (ms) => sleep(ms),
    close: () => {
      browser.dispose();
      announcer.close();
      bus.close();
      assert.deepEqual(log.messages('error').concat(log.messages('warning')), []);
      return Promise.resolve();
    },
  };
}
