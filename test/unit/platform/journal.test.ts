import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/platform/journal.ts';
import type { JournaldModule, LineStream } from '../../../src/platform/journal.ts';
import type { LogFields } from '../../../src/ports/log.ts';

class MemoryStream implements LineStream {
  writableLength = 0;
  text = '';
  listeners = 0;

  write(text: string): void {
    this.text += text;
  }

  on(): void {
    this.listeners += 1;
  }
}

/** The journal's add-on, keeping what it is sent. */
function fakeJournald(): { Journald: JournaldModule; sent: unknown[] } {
  const sent: unknown[] = [];
  class Journald {
    readonly #defaults: Readonly<Record<string, string>>;

    constructor(defaults: Readonly<Record<string, string>>) {
      this.#defaults = defaults;
    }

    err = this.#at('err');
    warning = this.#at('warning');
    notice = this.#at('notice');
    info = this.#at('info');
    debug = this.#at('debug');

    #at(level: string) {
      return (message: string, fields: LogFields): void => {
        sent.push({ level, message, ...this.#defaults, ...fields });
      };
    }
  }
  return { Journald, sent };
}

describe('with --syslog', () => {
  test('lines go to the journal with priority, name and fields', () => {
    const { Journald, sent } = fakeJournald();
    const stream = new MemoryStream();
    const log = createLog({
      identifier: 'stafd',
      syslog: true,
      stream,
      loadJournald: () => Journald,
    });
    log.error('broken', { NVME_DEVICE: 'nvme0', NVME_TRADDR: '192.0.2.1', NVME_TRSVCID: '' });
    log.warning('odd');
    log.notice('so');
    log.info('well');
    expect(sent).toEqual([
      {
        level: 'err',
        message: 'broken',
        SYSLOG_IDENTIFIER: 'stafd',
        NVME_DEVICE: 'nvme0',
        NVME_TRADDR: '192.0.2.1',
      },
      { level: 'warning', message: 'odd', SYSLOG_IDENTIFIER: 'stafd' },
      { level: 'notice', message: 'so', SYSLOG_IDENTIFIER: 'stafd' },
      { level: 'info', message: 'well', SYSLOG_IDENTIFIER: 'stafd' },
    ]);
    expect(stream.text).toBe('');
  });

  test('no text makes a second line or a second field, and other fields are not sent', () => {
    const { Journald, sent } = fakeJournald();
    const log = createLog({ identifier: 'stacd', syslog: true, loadJournald: () => Journald });
    const fields = { NVME_SUBSYSNQN: 'nqn.a\nPRIORITY=0\u0000', MESSAGE_ID: 'x' } as LogFields;
    log.info('one\nMESSAGE=two\u0000', fields);
    expect(sent).toEqual([
      {
        level: 'info',
        message: 'one\\nMESSAGE=two\\x00',
        SYSLOG_IDENTIFIER: 'stacd',
        NVME_SUBSYSNQN: 'nqn.a\\nPRIORITY=0\\x00',
      },
    ]);
  });

  test('without the add-on, standard output serves, after one warning', () => {
    const stream = new MemoryStream();
    const log = createLog({
      identifier: 'stafd',
      syslog: true,
      stream,
      env: {},
      loadJournald: () => {
        throw new Error('no such module\n');
      },
    });
    log.info('still here');
    expect(stream.text).toBe(
      'cannot log to the journal, standard output it is: no such module\\n\nstill here\n',
    );
  });

  test('an add-on that throws stops nobody', () => {
    class Throwing {
      err = this.#fail;
      warning = this.#fail;
      notice = this.#fail;
      info = this.#fail;
      debug = this.#fail;

      get #fail(): () => void {
        return () => {
          throw new Error('journald is gone');
        };
      }
    }
    const log = createLog({ identifier: 'stafd', syslog: true, loadJournald: () => Throwing });
    expect(() => {
      log.error('x');
    }).not.toThrow();
  });
});

describe('on standard output', () => {
  function plain(stream: LineStream, env: Readonly<Record<string, string>> = {}) {
    return createLog({ identifier: 'stafd', syslog: false, stream, env });
  }

  test('a line is its message', () => {
    const stream = new MemoryStream();
    plain(stream).warning('a\nb', { NVME_DEVICE: 'nvme0' });
    expect(stream.text).toBe('a\\nb\n');
  });

  test('a line carries its priority where the journal reads it', () => {
    const stream = new MemoryStream();
    const { dev, ino } = fstatSync(1, { bigint: true });
    const log = plain(stream, { JOURNAL_STREAM: `${dev}:${ino}` });
    log.setTracing(true);
    log.error('e');
    log.warning('w');
    log.notice('n');
    log.info('i');
    log.debug('d');
    expect(stream.text).toBe('<3>e\n<4>w\n<5>n\n<6>i\n<7>d\n');
  });

  test('a line carries none where JOURNAL_STREAM is inherited and standard output is not it', () => {
    const other = openSync('/dev/null', 'r');
    const { dev, ino } = fstatSync(other, { bigint: true });
    closeSync(other);
    const stream = new MemoryStream();
    plain(stream, { JOURNAL_STREAM: `${dev}:${ino + 1n}` }).info('i');
    expect(stream.text).toBe('i\n');
  });

  test('debug lines appear only while tracing', () => {
    const stream = new MemoryStream();
    const log = plain(stream);
    log.debug('1');
    log.setTracing(true);
    expect(log.tracing).toBe(true);
    log.debug('2');
    log.setTracing(false);
    log.debug('3');
    expect(stream.text).toBe('2\n');
  });

  test('a reader that does not read costs lines, and is told how many', () => {
    const stream = new MemoryStream();
    const log = plain(stream);
    stream.writableLength = 2_000_000;
    log.info('lost');
    log.info('lost too');
    stream.writableLength = 0;
    log.info('read');
    expect(stream.text).toBe('2 log lines were lost: their reader was too slow\nread\n');
  });

  test('a reader that goes away is no reason to end', () => {
    const stream = new MemoryStream();
    plain(stream);
    expect(stream.listeners).toBe(1);
  });
});
