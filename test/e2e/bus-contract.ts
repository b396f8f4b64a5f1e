/** What the bus shows of a daemon in the machine, and lets whom do, against the contract in dbus/. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { parseContract, type Contract } from '../../src/platform/dbus/contract.ts';
import type { Lab } from './lab.ts';

const DAEMONS = ['staf', 'stac'] as const;
/** Runs a command as a user without any right. */
export const NOBODY = 'setpriv --reuid nobody --regid nogroup --clear-groups';
const DENIED = /Access denied|rejected send message|not allowed/i;

/** Lines as `busctl introspect` prints them, values of properties left out. */
function expectedLines({ interfaces }: Contract): readonly string[] {
  return [...interfaces.values()].flatMap(({ name, methods, signals, properties }) => [
    `${name} interface - - -`,
    ...[...methods.values()].map((method) =>
      [
        `.${method.name}`,
        'method',
        method.inSignature || '-',
        method.outSignature || '-',
        '-',
      ].join(' '),
    ),
    ...[...properties.values()].map(({ access, emitsChanged, name: property, type }) => {
      const flags = [
        ...(emitsChanged === 'true' ? ['emits-change'] : []),
        ...(access === 'read' ? [] : ['writable']),
      ];
      return `.${property} property ${type} ${flags.join(' ') || '-'}`;
    }),
    ...[...signals.values()].map(
      (signal) => `.${signal.name} signal ${signal.signature || '-'} - -`,
    ),
  ]);
}

function printedLines(text: string): readonly string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map((columns) => (columns[1] === 'property' ? columns.toSpliced(3, 1) : columns).join(' '));
}

/** `busctl introspect` shows both contracts, neither less nor more, and their texts are installed. */
export async function expectIntrospection({ machine }: Lab): Promise<void> {
  for (const name of DAEMONS) {
    const service = `org.nvmexpress.${name}`;
    const text = await machine.sh(
      `busctl introspect --no-legend --no-pager ${service} /org/nvmexpress/${name}`,
    );
    const own = printedLines(text.slice(text.indexOf(`${service} `)));
    const xml = await readFile(new URL(`../../dbus/${service}.xml`, import.meta.url), 'utf8');
    expect([...own].sort()).toEqual([...expectedLines(parseContract(xml))].sort());
    expect(await machine.sh(`cat /usr/share/dbus-1/interfaces/${service}.xml`)).toBe(xml);
  }
}

/** What root alone may do is refused to others, and what all may read is not. */
export async function expectPolicy({ machine }: Lab): Promise<void> {
  for (const name of DAEMONS) {
    const service = `org.nvmexpress.${name}`;
    const at = `${service} /org/nvmexpress/${name}`;
    const ofStafd = (request: string): readonly string[] => (name === 'staf' ? [request] : []);
    const removed = name === 'stac' ? ' aa{ss} 0' : '';
    for (const request of [
      `call ${at} ${service}.v1 preview_reload${removed}`,
      ...ofStafd(`call ${at} ${service}.v1 read_logs_again`),
      `set-property ${at} ${service}.debug tron b true`,
    ]) {
      const refused = await machine.exec(`${NOBODY} busctl ${request}`);
      expect({ request, ...refused }).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(DENIED) as unknown,
      });
      if (request.startsWith('call')) await machine.sh(`busctl ${request}`);
    }
    for (const request of [
      `call ${at} ${service} list_controllers b true`,
      `call ${at} ${service}.v1 list_controllers`,
      `call ${at} ${service}.v1 explain`,
      `call ${at} ${service}.v1 metrics`,
      ...ofStafd(`call ${at} ${service}.v1 get_discovery_state`),
      `call ${at} ${service}.debug process_info`,
      `call ${at} ${service}.debug controller_info sssssss tcp 192.0.2.1 8009 nqn.none '' '' ''`,
      `call ${at} org.freedesktop.DBus.Properties GetAll s ${service}.debug`,
      `get-property ${at} ${service}.debug tron`,
    ]) {
      await machine.sh(`${NOBODY} busctl ${request}`);
    }
    expect(await machine.sh(`busctl get-property ${at} ${service}.debug tron`)).toBe('b false\n');
  }
}
