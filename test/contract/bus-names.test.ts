import { describe, expect, it } from 'vitest';
import {
  ECHO,
  NAME,
  PATH,
  PREFIX,
  PROPERTIES,
  ask,
  echo,
  errorOf,
  sides,
  until,
  useSide,
} from './bus-kit.ts';

describe.each(sides)('names, signals and the end on $title', ({ open, skip }) => {
  if (skip) {
    it.skip('keeps the contract', () => undefined);
    return;
  }
  const { connect, serve, side } = useSide(open);

  it('brings the signals of the owner of a name to who subscribed, and no other', async () => {
    const { service, client } = await serve();
    const impostor = await connect();
    impostor.export(echo());
    await service.requestName(NAME);
    const heard: unknown[] = [];
    await client.subscribe({ sender: NAME, interfaceName: ECHO }, (signal) => {
      heard.push(signal.path, signal.member, ...signal.args);
    });
    await client.subscribe({ sender: impostor.uniqueName, interfaceName: PROPERTIES }, () => {
      throw new Error('a listener that throws');
    });
    impostor.emitSignal(PATH, ECHO, 'said', ['from the impostor']);
    service.emitSignal(PATH, ECHO, 'said', ['hello']);
    await until(client, () => heard.length > 0);
    expect(heard).toEqual([PATH, 'said', 'hello']);
  });

  it('tells the owner of a name at once and at each change', async () => {
    const [service, client] = [await connect(), await connect()];
    const owners: (string | undefined)[] = [];
    await client.watchName(NAME, (owner) => void owners.push(owner));
    expect(owners).toEqual([undefined]);
    await service.requestName(NAME);
    await until(client, () => owners.length === 2);
    const late: (string | undefined)[] = [];
    await client.watchName(NAME, (owner) => void late.push(owner));
    expect(late).toEqual([service.uniqueName]);
    service.close();
    await until(client, () => owners.length === 3);
    expect(owners).toEqual([undefined, service.uniqueName, undefined]);
  });

  it('refuses a name that another process has', async () => {
    const [first, second] = [await connect(), await connect()];
    await first.requestName(NAME);
    await first.requestName(NAME);
    expect(await errorOf(second.requestName(NAME))).toBe(`${PREFIX}.AddressInUse`);
    expect(await errorOf(second.requestName('no name'))).toBe(`${PREFIX}.InvalidArgs`);
  });

  it('ends a call when the callee leaves the bus', async () => {
    const { service, client } = await serve();
    const call = errorOf(ask(client, service, 'never'));
    await ask(client, service, 'join', 'sb', ['', true]);
    service.close();
    expect(await call).toBe(`${PREFIX}.NoReply`);
  });

  it('refuses calls after close and does not report it as a loss', async () => {
    const { service, client } = await serve();
    let lost = 0;
    client.onLost(() => (lost += 1));
    const call = errorOf(ask(client, service, 'never'));
    client.close();
    expect(await call).toBe(`${PREFIX}.Disconnected`);
    expect(await errorOf(ask(client, service, 'join', 'sb', ['', true]))).toBe(
      `${PREFIX}.Disconnected`,
    );
    expect(lost).toBe(0);
  });

  // Last: nothing works after it.
  it('tells once that the bus is lost, and ends what waits for it', async () => {
    const { service, client } = await serve();
    const reasons: string[] = [];
    client.onLost((why) => void reasons.push(why));
    const call = errorOf(ask(client, service, 'never'));
    await ask(client, service, 'join', 'sb', ['', true]);
    await side().breakDown();
    expect([`${PREFIX}.Disconnected`, `${PREFIX}.NoReply`]).toContain(await call);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reasons).toHaveLength(1);
    expect(() => client.emitSignal(PATH, ECHO, 'said', ['x'])).toThrow(/no signal/);
    service.emitSignal(PATH, ECHO, 'said', ['dropped']);
    expect(await errorOf(ask(client, service, 'never'))).toBe(`${PREFIX}.Disconnected`);
  });
});
