/** The operations of the control socket; README.md documents them for the writers of tests. */
import { describeEntry } from './entry.ts';
import { asArray, Fields, InputError, isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { flatten } from './recorder.ts';
import type { RecordFilter } from './recorder.ts';
import type { HostConnection } from './connection.ts';
import type { ChangeOptions } from './controller.ts';
import type { Hosted, SimulatedControllers } from './server.ts';
import { readController } from './settings.ts';
import type { Timers } from './timers.ts';

export interface ControlContext {
  readonly controllers: SimulatedControllers;
  readonly timers: Timers;
  /** Ends the process once the reply is out. */
  shutdown(): void;
}

/**
 * Reads the members of a request and returns what then carries it out: a request with a mistake
 * anywhere changes nothing.
 */
type Operation = (
  fields: Fields,
  context: ControlContext,
) => () => JsonObject | Promise<JsonObject>;

const MAX_WAIT = 3_600_000;

/** `controller` may be left out where there is only one. */
function target(fields: Fields, { controllers }: ControlContext): Hosted {
  const name = fields.optionalString('controller');
  if (name !== undefined) return controllers.get(name);
  const [only, ...more] = controllers.all;
  if (only === undefined || more.length > 0) {
    throw new InputError('controller', 'is needed, as there is not exactly one controller');
  }
  return only;
}

function change(fields: Fields): ChangeOptions {
  return { bump: fields.boolean('bump', true), aen: fields.boolean('aen', true) };
}

function strings(value: unknown, path: string): string[] {
  return asArray(value, path).map((item) => {
    if (typeof item !== 'string') throw new InputError(path, 'holds something not a string');
    return item;
  });
}

function logState({ controller }: Hosted): JsonObject {
  return { generation: Number(controller.generation), entries: controller.entries.length };
}

function filter(fields: Fields): RecordFilter {
  return {
    command: fields.optionalString('command'),
    lid: fields.optionalInteger('lid', 0, 255),
    hostnqn: fields.optionalString('hostnqn'),
    connection: fields.optionalInteger('connection', 0, Number.MAX_SAFE_INTEGER),
    after: fields.optionalInteger('after', 0, Number.MAX_SAFE_INTEGER),
  };
}

function listeners(hosted: Hosted): JsonObject[] {
  return hosted.listeners.map(({ listen, port, server }) => ({
    address: listen.address,
    port,
    portid: listen.portid,
    listening: server !== null,
  }));
}

function describe(hosted: Hosted): JsonObject {
  const { controller } = hosted;
  return {
    name: controller.name,
    listen: listeners(hosted),
    generation: Number(controller.generation),
    entries: controller.entries.map(describeEntry),
    settings: controller.settingsSource,
    faults: controller.faults.list(),
    registrations: Object.fromEntries(controller.registrations),
    connections: [...hosted.connections].map((connection) => connection.status()),
    recordsLost: controller.recorder.lost,
  };
}

function chosenConnections(fields: Fields, hosted: Hosted): HostConnection[] {
  const id = fields.optionalInteger('connection', 0, Number.MAX_SAFE_INTEGER);
  const hostnqn = fields.optionalString('hostnqn');
  return [...hosted.connections].filter(
    (connection) =>
      (id === undefined || connection.id === id) &&
      (hostnqn === undefined || connection.hostnqn === hostnqn),
  );
}

/** Waits until `count` records match, and returns (without taking) them. */
function waitFor(
  hosted: Hosted,
  { timers }: ControlContext,
  wanted: RecordFilter,
  count: number,
  timeoutMs: number,
  onlyAnswered: boolean,
): Promise<JsonObject> {
  const { recorder } = hosted.controller;
  const answered = () =>
    recorder.take(wanted, true).filter(({ status }) => !onlyAnswered || status !== 'pending');
  return new Promise((resolve, reject) => {
    const check = (): boolean => {
      const records = answered();
      if (records.length < count) return false;
      resolve({ commands: records.map(flatten) });
      return true;
    };
    if (check()) return;
    const stop = recorder.listen(() => {
      if (!check()) return;
      stop();
      cancel();
    });
    const cancel = timers.after(timeoutMs, () => {
      stop();
      const seen = answered().length;
      reject(new InputError('', `${String(seen)} of ${String(count)} commands came`, 'timeout'));
    });
  });
}

/** Sends `count` events to all chosen associations, `intervalMs` apart. */
function sendEvents(
  connections: readonly HostConnection[],
  count: number,
  intervalMs: number,
  timers: Timers,
): void {
  const send = (left: number): void => {
    for (const connection of connections) connection.association?.forceEvent();
    if (left <= 1) return;
    if (intervalMs === 0) send(left - 1);
    else
      timers.after(intervalMs, () => {
        send(left - 1);
      });
  };
  send(count);
}

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ping: () => () => ({}),

  status: (fields, { controllers }) => {
    const name = fields.optionalString('controller');
    const chosen = name === undefined ? controllers.all : [controllers.get(name)];
    return () => ({ controllers: chosen.map(describe) });
  },

  'set-entries': (fields, context) => {
    const hosted = target(fields, context);
    const entries = asArray(fields.raw('entries'), 'entries');
    const options = change(fields);
    return () => {
      hosted.controller.setEntries(entries, options);
      return logState(hosted);
    };
  },

  'add-entries': (fields, context) => {
    const hosted = target(fields, context);
    const at = fields.integer('at', hosted.controller.entries.length, 0, 0xffffffff);
    const entries = asArray(fields.raw('entries'), 'entries');
    const options = change(fields);
    return () => {
      const ids = hosted.controller.addEntries(entries, at, options);
      return { ids, ...logState(hosted) };
    };
  },

  'remove-entries': (fields, context) => {
    const hosted = target(fields, context);
    const ids = strings(fields.raw('ids'), 'ids');
    const options = change(fields);
    return () => {
      hosted.controller.removeEntries(ids, options);
      return logState(hosted);
    };
  },

  'change-entry': (fields, context) => {
    const hosted = target(fields, context);
    const members = fields.raw('fields');
    if (!isObject(members)) throw new InputError('fields', 'is not an object');
    const entry = fields.string('entry');
    const options = change(fields);
    return () => {
      hosted.controller.changeEntry(entry, members, options);
      return logState(hosted);
    };
  },

  bump: (fields, context) => {
    const hosted = target(fields, context);
    const aen = fields.boolean('aen', false);
    return () => {
      hosted.controller.bump({ bump: true, aen });
      return logState(hosted);
    };
  },

  set: (fields, context) => {
    const hosted = target(fields, context);
    const settings = fields.raw('settings');
    return () => {
      hosted.controller.change(settings, 'settings');
      return { settings: hosted.controller.settingsSource };
    };
  },

  'send-aen': (fields, context) => {
    const hosted = target(fields, context);
    const count = fields.integer('count', 1, 1, 100_000);
    const intervalMs = fields.integer('intervalMs', 0, 0, MAX_WAIT);
    const chosen = chosenConnections(fields, hosted).filter(
      ({ association }) => association !== null,
    );
    return () => {
      sendEvents(chosen, count, intervalMs, context.timers);
      return { associations: chosen.length };
    };
  },

  'drop-connections': (fields, context) => {
    const hosted = target(fields, context);
    const how = fields.optionalString('how') ?? 'fin';
    if (how !== 'fin' && how !== 'reset' && how !== 'term') {
      throw new InputError('how', 'is not one of fin, reset, term');
    }
    const chosen = chosenConnections(fields, hosted);
    return () => {
      for (const connection of chosen) connection.drop(how);
      return { dropped: chosen.length };
    };
  },

  'end-delays': (fields, context) => {
    const chosen = chosenConnections(fields, target(fields, context));
    return () => {
      for (const connection of chosen) connection.hurry();
      return {};
    };
  },

  listen: (fields, context) => {
    const hosted = target(fields, context);
    return async () => {
      await context.controllers.startListening(hosted);
      return { listen: listeners(hosted) };
    };
  },

  unlisten: (fields, context) => {
    const hosted = target(fields, context);
    return () => {
      context.controllers.stopListening(hosted);
      return { listen: listeners(hosted) };
    };
  },

  'add-fault': (fields, context) => {
    const { faults } = target(fields, context).controller;
    const fault = fields.raw('fault');
    return () => ({ fault: faults.add(fault, 'fault') });
  },

  'remove-fault': (fields, context) => {
    const { faults } = target(fields, context).controller;
    const id = fields.string('fault');
    return () => {
      if (!faults.remove(id)) {
        throw new InputError('fault', `there is no fault ${id}`, 'not-found');
      }
      return {};
    };
  },

  'clear-faults': (fields, context) => {
    const { faults } = target(fields, context).controller;
    return () => {
      faults.remove();
      return {};
    };
  },

  'get-commands': (fields, context) => {
    const { recorder } = target(fields, context).controller;
    const wanted = filter(fields);
    const keep = fields.boolean('keep', false);
    return () => ({ commands: recorder.take(wanted, keep).map(flatten), lost: recorder.lost });
  },

  'count-commands': (fields, context) => {
    const { recorder } = target(fields, context).controller;
    const wanted = filter(fields);
    return () => ({ count: recorder.count(wanted) });
  },

  'wait-commands': (fields, context) => {
    const hosted = target(fields, context);
    const wanted = filter(fields);
    const count = fields.integer('count', 1, 1, 1_000_000);
    const timeoutMs = fields.integer('timeoutMs', 10_000, 0, MAX_WAIT);
    const answered = fields.boolean('answered', true);
    return () => waitFor(hosted, context, wanted, count, timeoutMs, answered);
  },

  'get-registrations': (fields, context) => {
    const { registrations } = target(fields, context).controller;
    return () => ({ registrations: Object.fromEntries(registrations) });
  },

  'add-controller': (fields, { controllers }) => {
    const config = readController(fields.raw('config'), 'config');
    return async () => ({ listen: listeners(await controllers.add(config)) });
  },

  'remove-controller': (fields, { controllers }) => {
    const name = fields.string('controller');
    return () => {
      controllers.remove(name);
      return {};
    };
  },

  shutdown: (_fields, context) => () => {
    context.shutdown();
    return {};
  },
};

/** Carries out one request, `{"op": "…", …}`; `id` is the client's own. @throws InputError */
export async function operate(request: unknown, context: ControlContext): Promise<JsonObject> {
  const fields = new Fields(request, '');
  fields.raw('id');
  const op = fields.string('op');
  const operation = Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : undefined;
  if (operation === undefined) throw new InputError('op', `there is no operation ${op}`, 'bad-op');
  const carryOut = operation(fields, context);
  fields.done();
  return carryOut();
}
