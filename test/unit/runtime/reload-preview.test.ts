import { expect, test } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import { parseServiceConfig } from '../../../src/config/service-config.ts';
import { changesAnything, type PreviewedActions } from '../../../src/core/reload-preview.ts';
import { StartupError } from '../../../src/ports/errors.ts';
import { previewReload, type PresentFiles } from '../../../src/runtime/reload-preview.ts';

const NOTHING: PreviewedActions = { add: [], remove: [], change: [], keep: [], notes: [] };

function files(text = '', tracing = false): PresentFiles {
  const { config, problems } = parseServiceConfig('stafd', [{ file: 'stafd.conf', text }]);
  return { settings: { config, host: { hostnqn: 'nqn.host', hostid: 'id' } }, problems, tracing };
}

function daemon({ settings, tracing }: PresentFiles, present: () => PresentFiles) {
  return { service: { settings, stopping: false }, log: { tracing }, present };
}

function preview(now: PresentFiles, present: () => PresentFiles, actions = NOTHING) {
  return previewReload(daemon(now, present), () => actions);
}

test('tells settings that differ, problems, and what happens to controllers', async () => {
  const actions: PreviewedActions = { ...NOTHING, keep: [{ controller: {}, options: {} }] };
  const present = files('[Global]\npleo = disabled\nkato = often\n');
  expect(present.problems).toHaveLength(1);
  expect(await preview(files(), () => present, actions)).toEqual({
    version: 1,
    refused: null,
    problems: present.problems.map(formatProblem),
    settings: [{ section: 'Global', key: 'pleo', from: 'enabled', to: 'disabled' }],
    ...actions,
  });
});

test('tells of tracing that was switched by hand, which the reload sets anew', async () => {
  const now = { ...files(), tracing: true };
  const { settings } = await preview(now, () => files());
  expect(settings).toEqual([{ section: 'Global', key: 'tron', from: 'true', to: 'false' }]);
  // By the command line it stays on.
  expect((await preview(now, () => files('', true))).settings).toEqual([]);
});

test('tells why a reload would be refused, and nothing else', async () => {
  const refused = await preview(files(), () => {
    throw new StartupError('/etc/nvme/hostnqn is missing');
  });
  expect(refused).toEqual({
    ...{ version: 1, refused: '/etc/nvme/hostnqn is missing', problems: [], settings: [] },
    ...NOTHING,
  });
  expect(changesAnything(refused)).toBe(false);
});

test('a reload that is carried out meanwhile leaves nothing to tell', async () => {
  const present = files('[Global]\npleo = disabled\n', true);
  const now = daemon(files(), () => present);
  const { settings } = await previewReload(now, (next) => {
    now.service.settings = next;
    now.log.tracing = true;
    return Promise.resolve(NOTHING);
  });
  expect(settings).toEqual([]);
});

test('tells that a daemon that stops meanwhile would not reload', async () => {
  const now = daemon(files(), () => files());
  const told = await previewReload(now, () => {
    now.service.stopping = true;
    return Promise.resolve({ ...NOTHING, add: [{ controller: {}, sources: [] }] });
  });
  expect(told).toMatchObject({ refused: 'the daemon is stopping', add: [] });
});

test('changes are settings and actions, not what is kept or noted', async () => {
  const same = await preview(files(), () => files(), {
    ...NOTHING,
    keep: [{ controller: {}, options: {} }],
    notes: [{ kind: 'open', about: 'x', why: 'y' }],
  });
  expect(changesAnything(same)).toBe(false);
  expect(changesAnything({ ...same, add: [{ controller: {}, sources: [] }] })).toBe(true);
  expect(
    changesAnything({ ...same, settings: [{ section: 'a', key: 'b', from: null, to: 'c' }] }),
  ).toBe(true);
});
