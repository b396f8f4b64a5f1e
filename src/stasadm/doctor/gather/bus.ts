/** What is asked on the system bus: of the bus, of systemd, the daemons and avahi-daemon. */
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { AVAHI_NAME, SERVER_INTERFACE, SERVER_PATH } from '../../../platform/avahi/names.ts';
import { busName, busPath, errorNames, standardInterfaces } from '../../../platform/dbus/names.ts';
import { BusError } from '../../../ports/bus.ts';
import type { Avahi, NameOwner, Reply, Unit } from '../facts.ts';
import { enabledByFiles, isPythonProcess } from './services.ts';
import { within, type CallableBus, type World } from './world.ts';

const SYSTEMD = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interfaceName: 'org.freedesktop.systemd1.Manager',
} as const;

type Request = Parameters<CallableBus['call']>[0];

/** A bus that answers in time or not at all. */
export class AskedBus {
  readonly #world: World;
  readonly #bus: CallableBus;

  constructor(world: World, bus: CallableBus) {
    this.#world = world;
    this.#bus = bus;
  }

  /** The answer, or the D-Bus error name that came instead; `NoReply` if nothing did in time. */
  async #ask(
    request: Omit<Request, 'timeoutMs'>,
  ): Promise<
    { readonly args: readonly unknown[] } | { readonly error: string; readonly why: string }
  > {
    const { timeoutMs } = this.#world;
    const asked = this.#bus.call({ ...request, timeoutMs }).then(
      (args) => ({ args }),
      (thrown: unknown) => {
        if (!(thrown instanceof BusError)) throw thrown;
        return { error: thrown.errorName, why: thrown.message };
      },
    );
    const answer = await within(this.#world, request.destination, asked);
    return answer.kind === 'known' ? answer.value : { error: errorNames.noReply, why: answer.why };
  }

  /** Unique name of the owner; undefined for nobody. */
  async #ownerOf(name: string): Promise<Answer<string | undefined>> {
    const reply = await this.#ask({
      destination: busName,
      path: busPath,
      interfaceName: busName,
      member: 'GetNameOwner',
      inSignature: 's',
      args: [name],
    });
    if ('args' in reply) return known(String(reply.args[0]));
    return reply.error === errorNames.nameHasNoOwner ? known(undefined) : unknown(reply.why);
  }

  async #replyOf(destination: string): Promise<Answer<Reply>> {
    const reply = await this.#ask({
      destination,
      path: '/',
      interfaceName: standardInterfaces.peer,
      member: 'Ping',
      inSignature: '',
      args: [],
    });
    if ('args' in reply) return known('answers');
    switch (reply.error) {
      case errorNames.accessDenied:
        return known('denied');
      case errorNames.noReply:
        return known('silent');
      default:
        return unknown(`${destination}: ${reply.why}`);
    }
  }

  async owner(name: string): Promise<Answer<NameOwner | undefined>> {
    const owner = await this.#ownerOf(name);
    if (owner.kind === 'unknown') return owner;
    if (owner.value === undefined) return known(undefined);
    const [reply, pid] = await Promise.all([
      this.#replyOf(name),
      this.#ask({
        destination: busName,
        path: busPath,
        interfaceName: busName,
        member: 'GetConnectionUnixProcessID',
        inSignature: 's',
        args: [owner.value],
      }),
    ]);
    if (reply.kind === 'unknown') return reply;
    const number = 'args' in pid ? Number(pid.args[0]) : 0;
    const isPython = number > 0 ? isPythonProcess(this.#world, number) : undefined;
    return known({ reply: reply.value, isPython });
  }

  async unit(name: string): Promise<Unit> {
    const [listed, file] = await Promise.all([
      this.#ask({ ...SYSTEMD, member: 'ListUnitsByNames', inSignature: 'as', args: [[name]] }),
      this.#ask({ ...SYSTEMD, member: 'GetUnitFileState', inSignature: 's', args: [name] }),
    ]);
    return {
      active: 'args' in listed ? activeState(listed.args[0]) : unknown(`systemd: ${listed.why}`),
      // It has an error of its own for a unit that is not there, and so has a mistake: files tell.
      enabled: 'args' in file ? known(String(file.args[0])) : enabledByFiles(this.#world, name),
    };
  }

  async avahi(): Promise<Avahi['server']> {
    const owner = await this.#ownerOf(AVAHI_NAME);
    if (owner.kind === 'unknown') return owner;
    if (owner.value === undefined) return known('absent');
    const reply = await this.#ask({
      destination: AVAHI_NAME,
      path: SERVER_PATH,
      interfaceName: SERVER_INTERFACE,
      member: 'GetState',
      inSignature: '',
      args: [],
    });
    if (!('args' in reply)) {
      return reply.error === errorNames.noReply ? known('silent') : unknown(reply.why);
    }
    // AvahiServerState: registering, running.
    return known([1, 2].includes(Number(reply.args[0])) ? 'running' : 'not-running');
  }
}

/** Of the answer of ListUnitsByNames, a(ssssssouso), for one name. */
function activeState(units: unknown): Answer<string> {
  const [unit] = Array.isArray(units) ? (units as unknown[]) : [];
  const state: unknown = Array.isArray(unit) ? unit[3] : undefined;
  return typeof state === 'string' ? known(state) : unknown('systemd gave an unexpected answer');
}
