/** The options of a connection: what is set, and what is then seen of it. */
import type { ConnectCommand, HostConnection } from '../hosts.ts';
import type { KernelView } from '../lab.ts';

/** A controller's connection: its admin queue's, where there are several. */
export interface Connection {
  readonly kernel: KernelView;
  readonly wire: HostConnection;
  readonly connect: ConnectCommand;
}

/** A value as it stands in the file, and what is seen of a connection that was made with it. */
export type Setting = readonly [text: string, seen: unknown];

export interface ConnectionRow {
  readonly key: string;
  readonly does: string;
  readonly see: (connection: Connection) => unknown;
  /** What is seen where the option is not given. */
  readonly plain: unknown;
  /** As a field of a `controller=` line that has no other. */
  readonly field: Setting;
  /** In [Global], together with all the others. */
  readonly global: Setting;
  /** On a line together with all the others, against that [Global]. */
  readonly override: Setting;
}

/** What every connection has. */
function commonRows(plainKato: string): readonly ConnectionRow[] {
  return [
    {
      key: 'hdr-digest',
      does: 'asks the target for header digests',
      see: ({ wire }) => wire.icReq?.headerDigest,
      plain: false,
      field: ['true', true],
      global: ['true', true],
      override: ['false', false],
    },
    {
      key: 'data-digest',
      does: 'asks the target for data digests',
      see: ({ wire }) => wire.icReq?.dataDigest,
      plain: false,
      field: ['true', true],
      global: ['true', true],
      override: ['false', false],
    },
    {
      key: 'kato',
      does: 'is the keep-alive timeout in the kernel and in the Connect command',
      see: ({ connect, kernel }) => [kernel.kato, connect.kato],
      plain: [plainKato, Number(plainKato) * 1000],
      field: ['17', ['17', 17_000]],
      global: ['21', ['21', 21_000]],
      override: ['23', ['23', 23_000]],
    },
    {
      key: 'reconnect-delay',
      does: 'is what the kernel waits between its attempts',
      see: ({ kernel }) => kernel.reconnect_delay,
      plain: '10',
      field: ['7', '7'],
      global: ['6', '6'],
      override: ['5', '5'],
    },
    {
      // The kernel rounds it up to whole reconnect delays.
      key: 'ctrl-loss-tmo',
      does: 'is how long the kernel tries, -1 for ever',
      see: ({ kernel }) => kernel.ctrl_loss_tmo,
      plain: '600',
      field: ['120', '120'],
      global: ['90', '90'],
      override: ['-1', 'off'],
    },
    {
      key: 'disable-sqflow',
      does: 'tells the target so in the Connect command',
      see: ({ connect }) => (connect.cattr & 4) !== 0,
      plain: false,
      field: ['true', true],
      global: ['true', true],
      override: ['false', false],
    },
  ];
}

/** Of discovery controllers; stafd's own keep-alive timeout is 30 s. */
export const DC_ROWS = commonRows('30');

/**
 * Of I/O controllers, in a machine of two processors. The numbers of queues of the three kinds are
 * such that leaving out any of them gives another sum; the admin queue is one more.
 */
export const IOC_ROWS: readonly ConnectionRow[] = [
  ...commonRows('5'),
  {
    key: 'nr-io-queues',
    does: 'is the number of I/O queues',
    see: ({ kernel }) => kernel.queue_count,
    plain: '3',
    field: ['1', '2'],
    global: ['1', '5'],
    override: ['2', '6'],
  },
  {
    key: 'nr-write-queues',
    does: 'adds queues',
    see: ({ kernel }) => kernel.queue_count,
    plain: '3',
    field: ['2', '5'],
    global: ['2', '5'],
    override: ['1', '6'],
  },
  {
    key: 'nr-poll-queues',
    does: 'adds queues that are polled',
    see: ({ kernel }) => [kernel.queue_count, kernel.io_poll],
    plain: ['3', '0'],
    field: ['1', ['4', '1']],
    global: ['1', ['5', '1']],
    override: ['2', ['6', '1']],
  },
  {
    key: 'queue-size',
    does: 'is the size of the I/O queues',
    see: ({ kernel }) => kernel.sqsize,
    plain: '127',
    field: ['32', '31'],
    global: ['48', '47'],
    override: ['64', '63'],
  },
];

/** What stafd takes for the sake of one syntax, and what a connection to a DC has not got. */
export const IOC_ONLY: Readonly<Record<string, string>> = {
  'nr-io-queues': '1',
  'nr-write-queues': '1',
  'nr-poll-queues': '1',
  'queue-size': '32',
};
