/**
 * What every parser promises, checked by other means than the parsers' own: an oracle that shared
 * their code would share their mistakes.
 */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { tidToDict, type TransportId } from '../../src/nvme/transport-id.ts';

/** Controls, invisible characters and line separators: none may reach a log or a terminal. */
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** One line that a person can read, of at most `maxLength` characters. */
export function assertPrintable(text: string, maxLength: number): void {
  assert.ok(!NOT_PRINTABLE.test(text), `not printable: ${JSON.stringify(text)}`);
  assert.ok(text.length <= maxLength, `${text.length} characters: ${text.slice(0, 200)}`);
}

/** Objects and arrays all the way down; what a Set or a Secret holds is not looked at. */
export function assertFrozen(value: unknown, where = 'it'): void {
  if (typeof value !== 'object' || value === null || value instanceof Set) return;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return;
  assert.ok(Object.isFrozen(value), `${where} is not frozen`);
  for (const [key, member] of Object.entries(value)) assertFrozen(member, `${where}.${key}`);
}

const HOST_NAME = /^[A-Za-z0-9_.-]{1,253}$/;
const FC_ADDRESS = /^nn-(?:0x)?[0-9a-f]{16}:pn-(?:0x)?[0-9a-f]{16}$/i;

function assertAddress(transport: string, address: string, mayBeName: boolean): void {
  switch (transport) {
    case 'tcp':
    case 'rdma':
      assert.ok(
        // It knows fewer characters of a zone than Linux has in names of interfaces.
        isIP(address.replace(/%[!-~]{1,15}$/, '')) !== 0 || (mayBeName && HOST_NAME.test(address)),
        `no address: ${JSON.stringify(address)}`,
      );
      break;
    case 'fc':
      assert.match(address, FC_ADDRESS);
      break;
    case 'loop':
      assert.notEqual(address, '');
      break;
    default:
      assert.fail(`no transport: ${JSON.stringify(transport)}`);
  }
}

/**
 * A transport ID that may become the option string of a connect request: no field of it can begin
 * another option or line, and each is what its place allows.
 */
export function assertTid(tid: TransportId, options: { readonly mayBeName?: boolean } = {}): void {
  assertFrozen(tid, 'the TID');
  const { hostIface, hostNqn, hostTraddr, subsysnqn, traddr, transport, trsvcid } = tid;
  for (const field of Object.values(tidToDict(tid))) {
    // The kernel splits its option string at commas and line ends, and libnvme at NUL.
    assert.ok(!/[,\p{C}\p{Z}\ufffd]/u.test(field), `unsafe: ${JSON.stringify(field)}`);
    assert.ok(Buffer.byteLength(field) < 256, `${field.length} characters`);
  }
  assertAddress(transport, traddr, options.mayBeName === true);
  if (hostTraddr !== '') assertAddress(transport, hostTraddr, false);
  if (transport === 'tcp' || transport === 'rdma') {
    assert.match(trsvcid, /^[1-9][0-9]*$/);
    assert.ok(Number(trsvcid) <= 65535);
  } else {
    assert.equal(trsvcid, '');
  }
  assertName(subsysnqn);
  if (hostNqn !== '') assertNqn(hostNqn);
  assert.ok(Buffer.byteLength(hostIface) <= 15 && !/[/%;=]/.test(hostIface));
  assert.ok(hostIface !== '.' && hostIface !== '..');
}

function assertName(name: string): void {
  assert.notEqual(name, '');
  assert.ok(Buffer.byteLength(name) <= 223, `${Buffer.byteLength(name)} bytes`);
  assert.ok(!/[,\p{C}\p{Z}\ufffd]/u.test(name), `unsafe: ${JSON.stringify(name)}`);
}

export function assertNqn(nqn: string): void {
  assertName(nqn);
  assert.match(nqn, /^nqn\../);
}

const SECRET_BODY = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJAeCl';
/** A secret to be planted, whole, in an input. */
export const SECRET = `DHHC-1:00:${SECRET_BODY}==:`;
/** One that is not of the form of a secret: only its place says what it is. */
export const FORMLESS_SECRET = `\n[Host]\nkey=${SECRET_BODY}\n`;

/** No part of the secret that would be of use to anybody, in any case of its letters. */
export function assertNoSecret(text: string): void {
  const lower = text.toLowerCase();
  for (let at = 0; at + 8 <= SECRET_BODY.length; at += 4) {
    const part = SECRET_BODY.slice(at, at + 8).toLowerCase();
    assert.ok(!lower.includes(part), `shows a secret: ${text}`);
  }
}

/** What `work` throws, if it throws, is an error that its caller expects. */
export function onlyThrows<T>(work: () => T, expected: (error: unknown) => boolean): T | undefined {
  try {
    return work();
  } catch (error) {
    if (expected(error)) return undefined;
    throw error;
  }
}

/** An error that was thrown on purpose, not one that JavaScript made of a mistake. */
export function isDeliberate(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const accidents = [TypeError, RangeError, ReferenceError, assert.AssertionError];
  return !accidents.some((kind) => error instanceof kind);
}
