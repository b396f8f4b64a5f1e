import { describe, expect, it } from 'vitest';
import { stacctl } from '../../../src/ctl/tools.ts';
import { pipe, run, state } from './harness.ts';
import { row } from './rows.ts';

const LINE = 'configured by /etc/stas/stacd.conf, line 12';
const LISTED = 'listed by the discovery log of (tcp, 192.168.1.10, 8009, nqn.dc)';

const REFUSED = 'connect: connection refused: nothing listens there (ECONNREFUSED)';

const explanation = {
  controllers: [
    row('192.168.1.100', { device: 'nvme3', sources: [LINE, LISTED] }),
    row('192.168.1.20', {
      state: 'waiting',
      why: REFUSED,
      'last-error': REFUSED,
      'last-error-code': 'ECONNREFUSED',
      attempts: 7,
      next: 'it is tried again',
      'next-in-ms': 12_400,
      'out-of-reach-ms': 125_000,
      sources: [LISTED],
    }),
    row('192.168.1.30', {
      state: 'reconnecting',
      device: 'nvme4',
      why: 'the kernel lost the connection (its state is connecting)',
      'last-error': REFUSED,
      sources: ['listed before by a discovery log that stafd does not have now'],
      'kept-because': 'stafd is not running',
    }),
  ],
  absent: [
    {
      ...{
        transport: 'tcp',
        traddr: '192.168.1.40',
        trsvcid: '4420',
        subsysnqn: 'nqn.evil\u001b[31m',
      },
      ...{ rule: 'refused', why: 'excluded by /etc/stas/stacd.conf, line 3', sources: [LISTED] },
    },
  ],
  notes: ['The discovery log of (tcp, 192.168.1.11, 8009, nqn.dc) is not known: not connected'],
};

const STATE = { ...state([]), explanation };

describe('explain', () => {
  it('tells of each how it stands, why, what comes next and who asks for it', async () => {
    const { status, stderr, stdout } = await run(stacctl, ['explain'], { state: STATE });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toContain('\u001b');
    await expect(stdout).toMatchFileSnapshot('golden/explain.txt');
  });

  it('colours the states on a terminal', async () => {
    const screen = { ...pipe, colour: true, width: 80 };
    const { stdout } = await run(stacctl, ['explain'], { state: STATE, screen });
    expect(stdout).toContain('\u001b[32mconnected\u001b[0m');
    expect(stdout).toContain('\u001b[31mrefused\u001b[0m');
  });

  it.each(['nvme3', '192.168.1.100', 'nqn.of-192.168.1.100'])('tells of %s alone', async (what) => {
    const { status, stdout } = await run(stacctl, ['explain', what], { state: STATE });
    expect(status).toBe(0);
    expect(stdout).toContain('nqn.of-192.168.1.100');
    expect(stdout).not.toContain('nqn.of-192.168.1.20');
    expect(stdout).not.toContain('excluded');
  });

  it('tells of an address that is not connected', async () => {
    const { stdout } = await run(stacctl, ['explain', '192.168.1.40'], { state: STATE });
    expect(stdout).toContain('not connected, refused: excluded by /etc/stas/stacd.conf, line 3');
  });

  it('says so, and fails, where there is nothing of that name', async () => {
    const { status, stderr, stdout } = await run(stacctl, ['explain', 'nvme9'], { state: STATE });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(
      'stacctl: stacd knows nothing of nvme9, as a device, an address or an NQN; see: stacctl explain\n',
    );
  });

  it('says that there is nothing', async () => {
    const { status, stdout } = await run(stacctl, ['explain'], { state: state([]) });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'no I/O controllers\n' });
  });

  it('prints the values of the interface as JSON', async () => {
    const { stdout } = await run(stacctl, ['explain', '-o', 'json'], { state: STATE });
    expect(JSON.parse(stdout)).toEqual(explanation);
  });
});
