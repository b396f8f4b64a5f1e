import { describe, expect, it } from 'vitest';
import { BusError } from '../../../src/ports/bus.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { dc, diff, LIVE, NOTHING, STACD, STAFD, USES } from './diff-kit.ts';

describe('stasadm diff', () => {
  it('shows what would change, what is lost with it, and what stays', async () => {
    const { status, stderr, stdout } = await diff({
      ...{ stafd: STAFD, stacd: STACD, uses: USES, live: LIVE },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot('golden/diff.txt');
  });

  it('prints the same as JSON', async () => {
    const { status, stderr, stdout } = await diff({
      ...{ stafd: STAFD, stacd: STACD, uses: USES, live: LIVE, json: true },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot('golden/diff-json.txt');
  });

  it('asks what is in use of exactly what would be disconnected', async () => {
    const { asked } = await diff({ stafd: STAFD, stacd: STACD });
    expect(asked).toEqual(['nvme0', 'nvme10', 'nvme2', 'nvme3']);
  });

  it('does not look what is in use where nothing would be lost', async () => {
    const uses = new PortError('no', { code: 'EACCES', errorClass: 'final' });
    expect(await diff({ stafd: NOTHING, stacd: NOTHING, uses })).toMatchObject({ status: 0 });
  });

  it('tells stacd which discovery controllers stafd would list no longer', async () => {
    const { stacd } = await diff({ stafd: STAFD, stacd: NOTHING });
    expect(stacd.previewedWith).toEqual([[dc('192.0.2.10', 'nvme0'), dc('192.0.2.14', 'nvme11')]]);
  });

  it('does not ask stacd about more of them than the daemons take in one call', async () => {
    const [removed] = STAFD.remove;
    const remove = Array.from({ length: 300 }, (_, index) => ({
      ...removed,
      controller: dc(`10.0.${String(index)}.1`),
    }));
    const { status, stacd, stderr } = await diff({
      ...{ stafd: { ...NOTHING, remove }, stacd: NOTHING, exitCode: true },
    });
    expect(status).toBe(1);
    expect(stderr).toBe(
      'stasadm: stafd would remove too many discovery controllers to tell what stacd loses by it: that is not shown\n',
    );
    expect(stacd.previewedWith).toEqual([[]]);
    const some = await diff({
      ...{ stafd: { ...NOTHING, remove: remove.slice(0, 100) }, stacd: NOTHING },
    });
    expect(some).toMatchObject({ status: 0, stderr: '' });
    expect(some.stacd.previewedWith?.[0]).toHaveLength(100);
  });

  it('says that nothing changes', async () => {
    const keep = { controller: dc('192.0.2.10', 'nvme0'), options: {} };
    const { status, stdout } = await diff({
      ...{ stafd: { ...NOTHING, keep: [keep] }, stacd: NOTHING, exitCode: true },
    });
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'stafd',
      '  = 1 controller stays as it is',
      '',
      'stacd',
      '  nothing: no controllers, and nothing changes',
      '',
      'A reload changes nothing.',
      '',
    ]);
  });

  it.each([
    ['a controller', { ...NOTHING, add: STAFD.add }],
    ['a setting', { ...NOTHING, settings: STAFD.settings }],
    ['an option', { ...NOTHING, change: STAFD.change }],
  ])('tells %s that changes by the exit status, if asked to', async (_, stafd) => {
    expect(await diff({ stafd, stacd: NOTHING, exitCode: true })).toMatchObject({ status: 3 });
    expect(await diff({ stafd, stacd: NOTHING })).toMatchObject({ status: 0 });
    expect(await diff({ stafd: NOTHING, stacd: stafd, exitCode: true })).toMatchObject({
      status: 3,
    });
  });

  it('colours on a terminal that has colour', async () => {
    const screen = { colour: true, width: 80 };
    const { stdout } = await diff({ stafd: STAFD, stacd: STACD, uses: USES, screen });
    expect(stdout).toContain('\u001b[32m+ (tcp, 192.0.2.11, 8009');
    expect(stdout).toContain('\u001b[31m- (tcp, 192.0.2.10, 8009');
  });
});

describe('where not everything can be found out', () => {
  it('shows the daemon that answers, and says how to start the other', async () => {
    const { status, stderr, stdout } = await diff({ stacd: STACD, uses: USES, exitCode: true });
    expect(status).toBe(1);
    expect(stderr).toBe('stasadm: stafd is not running; start it with: systemctl start stafd\n');
    expect(stdout).toContain('stafd\n  not known: see the message\n');
    expect(stdout).toContain('nvme2 is disconnected');
    const { stdout: text } = await diff({ stacd: NOTHING, json: true });
    expect(JSON.parse(text)).toMatchObject({
      stafd: { error: 'stafd is not running; start it with: systemctl start stafd' },
      stacd: { refused: null },
    });
  });

  it('does not take what is not known for nothing', async () => {
    const lastOf = async (options: Parameters<typeof diff>[0]) => {
      const { stdout } = await diff(options);
      return stdout.trimEnd().split('\n').at(-1);
    };
    const changesOf = async (options: Parameters<typeof diff>[0]) => {
      const { stdout } = await diff({ ...options, json: true });
      return (JSON.parse(stdout) as { readonly changes: unknown }).changes;
    };
    expect(await lastOf({})).toBe('What a reload changes is not known.');
    expect(await changesOf({})).toBe(null);
    expect(await lastOf({ stafd: NOTHING })).toBe(
      'A reload changes nothing of stafd; what it changes of stacd is not known.',
    );
    expect(await changesOf({ stafd: NOTHING })).toBe(null);
    expect(await lastOf({ stacd: STACD, uses: USES })).toMatch(
      /^A reload changes this: .* What it changes of stafd is not known\.$/,
    );
    expect(await changesOf({ stacd: STACD, uses: USES })).toBe(true);
    expect(await changesOf({ stafd: NOTHING, stacd: NOTHING })).toBe(false);
  });

  it('says that there is no bus', async () => {
    const error = new BusError('org.freedesktop.DBus.Error.NoServer', 'ENOENT');
    const { status, stderr, stdout } = await diff({ openBus: () => Promise.reject(error) });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(
      'stasadm: cannot reach stafd: ENOENT; start it with: systemctl start dbus stafd\n',
    );
  });

  it('says that only root may ask', async () => {
    const daemon = new FakeBusDaemon();
    const bus = daemon.connect();
    bus.call = () => Promise.reject(new BusError('org.freedesktop.DBus.Error.AccessDenied', 'no'));
    const { status, stderr } = await diff({ openBus: () => Promise.resolve(bus) });
    expect(status).toBe(1);
    expect(stderr.split('\n')).toEqual([
      'stasadm: access to stafd is denied; try it as root',
      'stasadm: access to stacd is denied; try it as root',
      '',
    ]);
  });

  it('says that a daemon is of another version', async () => {
    const daemon = new FakeBusDaemon();
    const bus = daemon.connect();
    bus.call = () =>
      Promise.reject(new BusError('org.freedesktop.DBus.Error.UnknownInterface', 'no'));
    const { stderr } = await diff({ openBus: () => Promise.resolve(bus) });
    expect(stderr).toContain('stafd is of a version that cannot tell what a reload would do');
    const { status, stderr: other } = await diff({
      ...{ stafd: { ...NOTHING, version: 2 }, stacd: NOTHING },
    });
    expect(status).toBe(1);
    expect(other).toBe(
      'stasadm: stafd gave an answer that cannot be understood (of another version)\n',
    );
  });

  it('says that a reload would be refused', async () => {
    const refused = { ...NOTHING, refused: '/etc/nvme/hostnqn is\nmissing' };
    const { status, stderr, stdout } = await diff({ stafd: refused, stacd: NOTHING });
    expect(status).toBe(1);
    expect(stderr).toBe(
      'stasadm: stafd would refuse to reload: /etc/nvme/hostnqn is\\x0amissing\n',
    );
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'stafd',
      '  ! the reload would be refused, and everything stays as it is:',
      '      /etc/nvme/hostnqn is\\x0amissing',
    ]);
  });

  it('does not take for unused what it cannot look at', async () => {
    const uses = new PortError('cannot find out what is in use: EACCES', {
      ...{ code: 'EACCES', errorClass: 'final' },
    });
    const { status, stderr, stdout } = await diff({ stafd: NOTHING, stacd: STACD, uses });
    expect(status).toBe(1);
    expect(stderr).toBe('stasadm: cannot find out what is in use: EACCES\n');
    expect(stdout.match(/what is in use there is not known/g)).toHaveLength(3);
    const { stdout: text } = await diff({ stafd: NOTHING, stacd: STACD, uses, json: true });
    expect(JSON.parse(text)).toMatchObject({
      stacd: { remove: [{ namespaces: null }, {}, {}, { namespaces: [] }, {}, {}] },
    });
  });

  it.each([
    ['not JSON', '{'],
    ['not an object', '[]'],
    ['not a list', { ...NOTHING, add: {} }],
    ['not a text', { ...NOTHING, add: [{ controller: { traddr: 1 }, sources: [] }] }],
    ['an unknown word', { ...NOTHING, notes: [{ kind: 'x', about: '', why: '' }] }],
  ])('believes no answer that is %s', async (what, stafd) => {
    const { status, stderr } = await diff({ stafd, stacd: NOTHING });
    expect(status).toBe(1);
    expect(stderr).toBe(`stasadm: stafd gave an answer that cannot be understood (${what})\n`);
  });

  it('prints nothing that could disturb a terminal', async () => {
    const evil = '\u001b]0;x\u0007\n+ (tcp, forged)\u202e';
    const told = {
      ...NOTHING,
      problems: [evil],
      settings: [{ section: evil, key: evil, from: evil, to: evil }],
      add: [{ controller: { transport: evil, device: evil }, sources: [evil] }],
      remove: [
        { controller: { device: 'nvme2' }, why: evil, connection: 'disconnected', follows: false },
      ],
      change: [
        {
          ...{ controller: {}, becomes: { transport: evil, device: evil }, options: {} },
          changes: [{ option: evil, from: evil, to: null }],
        },
      ],
      notes: [{ kind: 'open', about: evil, why: evil }],
    };
    const mount = { kind: 'mount', device: 'nvme2n1', at: evil, fileSystem: evil } as const;
    const uses = new Map([['nvme2', [{ block: 'nvme2n1', uses: [mount], otherPaths: [] }]]]);
    for (const json of [false, true]) {
      const { stdout } = await diff({ stafd: told, stacd: told, uses, json });
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{C}]/u);
      expect(stdout).not.toContain('\n+ (tcp, forged)');
    }
  });
});
