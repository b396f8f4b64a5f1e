/** What operators look at: the metrics, the file for node_exporter, the journal of one subsystem. */
import { expect } from 'vitest';
import { readMetrics, type ReadFamily } from '../unit/ctl/open-metrics.ts';
import { NOBODY } from './bus-contract.ts';
import type { Lab } from './lab.ts';

/** The samples that are asked for, by name and labels (without `daemon`) as they are written. */
function pick(
  families: ReadonlyMap<string, ReadFamily>,
  daemon: string,
  wanted: Readonly<Record<string, number>>,
): Readonly<Record<string, number | undefined>> {
  const all = new Map([...families.values()].flatMap(({ samples }) => [...samples]));
  return Object.fromEntries(
    Object.keys(wanted).map((name) => {
      const [, metric = '', labels] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(name) ?? [];
      const more = labels === undefined ? '' : `,${labels}`;
      return [name, all.get(`nvme_stas_${metric}{daemon="${daemon}"${more}}`)];
    }),
  );
}

/** Somebody without rights reads these counts, soon. */
export async function expectMetrics(
  { machine }: Lab,
  daemon: 'stafd' | 'stacd',
  wanted: Readonly<Record<string, number>>,
): Promise<void> {
  const command = `${NOBODY} ${daemon.slice(0, -1)}ctl metrics`;
  await expect
    .poll(async () => pick(readMetrics(await machine.sh(command)), daemon, wanted), {
      interval: 1_000,
      timeout: 20_000,
    })
    .toEqual(wanted);
}

/** What happened to a subsystem since stacd was started, without what names it, in order. */
export async function historyOf({ machine }: Lab, subsysnqn: string): Promise<readonly string[]> {
  const text = await machine.sh(
    `journalctl -o cat --no-pager NVME_SUBSYSNQN=${subsysnqn} _SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value stacd)`,
  );
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\(.*?\)(?: \| nvme[0-9]+)? - /, '').replace(/: .*/, ''));
}

const FOLDER = '/var/lib/prometheus/node-exporter';

/** The service of the timer, which is not enabled, writes what node_exporter reads. */
export async function expectTextfiles(here: Lab): Promise<void> {
  const { machine } = here;
  const enabled = await machine.exec('systemctl is-enabled nvme-stas-metrics.timer');
  expect(enabled.stdout).toBe('disabled\n');
  /** The files that are there afterwards, and what it said. */
  const write = async () => {
    await machine.sh('systemctl start nvme-stas-metrics.service', { timeoutMs: 120_000 });
    const { stdout } = await machine.exec(`ls ${FOLDER}`);
    const said = (await here.journal('nvme-stas-metrics')).split('\n');
    return {
      files: stdout.split('\n').filter((name) => name !== ''),
      said: said.flatMap((line) => /\]: (.*)/.exec(line)?.[1] ?? []),
    };
  };
  await machine.sh(`rm -rf ${FOLDER}`);
  expect(await write()).toEqual({ files: [], said: [] });
  // As node_exporter's own package leaves it.
  await machine.sh(`mkdir -p ${FOLDER}; chown nobody ${FOLDER}; chmod 755 ${FOLDER}`);
  expect(await write()).toEqual({
    files: ['nvme-stas-stacd.prom', 'nvme-stas-stafd.prom'],
    said: [],
  });
  for (const daemon of ['stafd', 'stacd']) {
    const text = await machine.sh(`${NOBODY} cat ${FOLDER}/nvme-stas-${daemon}.prom`);
    const families = readMetrics(text, 'prometheus');
    expect(families.get('nvme_stas_connects_total')?.type).toBe('counter');
    const wanted = { 'connects_total{how="made"}': daemon === 'stafd' ? 1 : 3 };
    expect(pick(families, daemon, wanted)).toEqual(wanted);
  }
  await machine.sh('systemctl stop stafd');
  const why = 'stafctl: stafd is not running; start it with: systemctl start stafd';
  expect(await write()).toEqual({ files: ['nvme-stas-stacd.prom'], said: [why] });
  expect(await machine.exec('stafctl metrics')).toMatchObject({
    ...{ status: 1, stdout: '', stderr: `${why}\n` },
  });
  await machine.sh(`rm -rf ${FOLDER}`);
}
