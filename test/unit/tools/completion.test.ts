import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completionFiles } from '../../../tools/completion/files.ts';
import { completedProgram } from '../../../tools/completion/model.ts';
import { PackageError } from '../../../tools/package/run.ts';
import { programCommands } from '../../../tools/program-commands.ts';

let folder: string;

const LISTED = [
  {
    ...{ transport: 'tcp', traddr: '192.0.2.10', trsvcid: '8009', device: 'nvme0' },
    ...{ subsysnqn: 'nqn.2014-08.org.nvmexpress:uuid:f2782346', 'host-nqn': '' },
  },
  { traddr: '2001:db8::10', trsvcid: '8010', device: 'nvme?', subsysnqn: 'nqn.x:$(reboot)`;' },
];

const WITH_AT = 'nqn.2014-08.com.example:user@host-a';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  for (const { file, shell, text } of completionFiles()) {
    mkdirSync(join(folder, shell), { recursive: true });
    writeFileSync(join(folder, shell, file), text);
  }
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'down'));
  mkdirSync(join(folder, 'conf', 'stafd.conf.d'), { recursive: true });
  writeFileSync(join(folder, 'conf', 'stafd.conf'), '');
  const json = JSON.stringify({ controllers: LISTED, absent: [] }, null, 2);
  mkdirSync(join(folder, 'at'));
  mkdirSync(join(folder, 'typed'));
  program(join(folder, 'at', 'stafctl'), `echo '"subsysnqn": "${WITH_AT}",'`);
  writeFileSync(join(folder, 'conf', 'my own.conf'), '');
  for (const name of ['stafctl', 'stacctl']) {
    const line = 'echo "stafd is not running" >&2; exit 1';
    program(join(folder, 'down', name), line);
    program(join(folder, 'bin', name), `case $1 in explain|ls) cat <<'END'\n${json}\nEND\nesac`);
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function program(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** What bash begins another word at, unless somebody has set it. */
const BREAKS = ' \t\n"\'@><=;|&(:';

const DRIVER = `
  source "$1"
  COMP_LINE=$2 COMP_POINT=\${#2} COMP_WORDBREAKS=$3
  eval "$5"
  "_\${2%% *}" "\${2%% *}" "$4"
  builtin printf '%s\\n' "\${COMPREPLY[@]}"
`;

/** The end of `line` that bash completes: a break after a backslash is none. */
function lastWord(line: string, breaks: string): string {
  let start = 0;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '\\') at += 1;
    else if (breaks.includes(line[at] ?? '')) start = at + 1;
  }
  return line.slice(start);
}

/** What bash is offered for the word that `line` ends with; `bin`: where the commands are. */
function offered(
  line: string,
  { bin = 'bin', breaks = ' ', before = '', word = lastWord(line, breaks) } = {},
): readonly string[] {
  const [name = ''] = line.split(' ');
  const args = [join(folder, 'bash', name), line, breaks, word, before];
  const { stderr, stdout } = spawnSync('bash', ['-c', DRIVER, 'bash', ...args], {
    encoding: 'utf8',
    cwd: join(folder, 'conf'),
    env: { ...process.env, PATH: [join(folder, bin), process.env['PATH']].join(delimiter) },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion in bash', () => {
  it('offers every command of each program, and what each takes', () => {
    for (const name of ['stafctl', 'stacctl', 'stasadm']) {
      const command = programCommands().get(name);
      const names = command?.commands.map((sub) => sub.name()) ?? [];
      expect(names.length).toBeGreaterThan(3);
      expect(offered(`${name} `)).toEqual(expect.arrayContaining(names));
      for (const sub of command?.commands ?? []) {
        const flags = sub.options.flatMap(({ long }) => long ?? []);
        const all = offered(`${name} ${sub.name()} -`);
        expect(all).toEqual(expect.arrayContaining([...flags, '--help']));
        for (const option of sub.options) {
          if (option.argChoices === undefined) continue;
          expect(offered(`${name} ${sub.name()} ${option.long ?? ''} `)).toEqual(option.argChoices);
        }
      }
    }
  });

  it.each([
    ['stafctl s', ['status']],
    ['stafctl tr', ['tron', 'troff']],
    ['stacctl tre', ['tree']],
    ['stafctl -o ', ['table', 'json']],
    ['stafctl -o json adl', ['adlp']],
    ['stafctl --output=j', ['--output=json']],
    ['stafctl ls --d', ['--detailed']],
    ['stafctl ls ', ['-d', '--detailed', '-o', '--output', '-h', '--help']],
    ['stafctl help dl', ['dlp']],
    ['stafctl nonsense ', []],
    ['stafctl dlp -t r', ['rdma']],
    ['stasadm check-config --as ', ['stafd', 'stacd', 'sys']],
    ['stasadm check-config st', ['stafd.conf.d', 'stafd.conf']],
    ['stasadm check-config stafd.conf st', ['stafd.conf.d', 'stafd.conf']],
    ['stasadm check-config -- st', ['stafd.conf.d', 'stafd.conf']],
    ['stasadm --conf-file=st', ['--conf-file=stafd.conf.d', '--conf-file=stafd.conf']],
    ['stasadm hostnqn -c st', ['stafd.conf.d', 'stafd.conf']],
    ['stasadm set-symname ', []],
  ])('of %j is %j', (line, words) => {
    expect([...offered(line)].sort()).toEqual([...words].sort());
  });

  it('offers addresses, ports and NQNs that the daemon knows, but nothing that a shell would run', () => {
    expect(offered('stafctl dlp -a ')).toEqual(['192.0.2.10', '2001:db8::10']);
    expect(offered('stafctl dlp -a 192.0.2.10 --trsvcid ')).toEqual(['8009', '8010']);
    expect(offered('stafctl dlp -n ')).toEqual(['nqn.2014-08.org.nvmexpress:uuid:f2782346']);
    expect(offered('stacctl explain ')).toEqual([
      ...['192.0.2.10', '2001:db8::10', 'nqn.2014-08.org.nvmexpress:uuid:f2782346', 'nvme0'],
    ]);
    expect(offered('stafctl dlp -f lo')).toContain('lo');
  });

  it('offers nothing, and says nothing, while the daemon is down', () => {
    expect(offered('stafctl dlp -a ', { bin: 'down' })).toEqual([]);
    expect(offered('stacctl explain nv', { bin: 'down' })).toEqual([]);
  });

  it.each([
    ['stafctl dlp -n nqn.2014-08.org.nvmexpress:u', ['uuid:f2782346']],
    ['stafctl dlp -a 2001:db8::', ['10']],
    ['stafctl dlp --traddr=2001:d', ['db8::10']],
    ['stafctl --output=', ['table', 'json']],
  ])('leaves out what bash keeps of %j', (line, words) => {
    expect(offered(line, { breaks: BREAKS })).toEqual(words);
  });

  it('leaves out what bash keeps, whatever it begins words at', () => {
    const line = `stafctl explain ${WITH_AT.slice(0, -3)}`;
    expect(offered(line, { bin: 'at', breaks: BREAKS })).toEqual(['host-a']);
    expect(offered(line, { bin: 'at', breaks: ' :' })).toEqual(['user@host-a']);
    expect(offered(line, { bin: 'at', breaks: ' @.' })).toEqual(['host-a']);
  });

  it('goes on past the space of a file name', () => {
    for (const line of ['my\\ o', 'my\\ ', 'm']) {
      expect(offered(`stasadm check-config ${line}`, { breaks: BREAKS })).toEqual(['my own.conf']);
      expect(offered(`stasadm --conf-file=${line}`, { breaks: BREAKS })).toEqual(['my own.conf']);
    }
  });

  it('offers nothing for a part of a quoted word', () => {
    expect(offered('stasadm check-config "my s', { breaks: ' ', word: 'my s' })).toEqual([]);
  });

  it('works with another IFS, and has none of its own afterwards', () => {
    expect(offered('stafctl dlp -t r', { before: 'IFS=:' })).toEqual(['rdma']);
    const before = 'trap \'echo "$IFS"\' EXIT; IFS=:';
    expect(offered('stafctl dlp -t r', { before })).toEqual(['rdma', ':']);
  });

  it('offers no network interface that a shell would take for something else', () => {
    const before = String.raw`printf() { builtin printf '%s\n' 'a b' eth0 'x;reboot'; }`;
    expect(offered('stafctl dlp -f ', { before })).toEqual(['eth0']);
  });

  it('works in a shell that somebody types into', () => {
    const rc = join(folder, 'bashrc');
    writeFileSync(rc, `source ${join(folder, 'bash', 'stafctl')}\nPS1='> '\n`);
    // The line is completed, and run: what the program got is printed.
    program(
      join(folder, 'typed', 'stafctl'),
      `
      case $1 in ls) cat <<'END'\n${JSON.stringify([...LISTED, { subsysnqn: WITH_AT }], null, 2)}\nEND\n;; *) echo "got:" "$@" ;; esac`,
    );
    const { stdout } = spawnSync(
      'script',
      ['-qec', `bash --noprofile --rcfile ${rc} -i`, '/dev/null'],
      {
        encoding: 'utf8',
        input:
          'stafctl dl\t-n nqn.2014-08.org.nvmexpress:\t--tra\t\nstafctl dlp -n nqn.2014-08.com.example:user@h\t-t\nexit\n',
        env: { ...process.env, PATH: [join(folder, 'typed'), process.env['PATH']].join(delimiter) },
      },
    );
    expect(stdout).toContain('got: dlp -n nqn.2014-08.org.nvmexpress:uuid:f2782346 --tra');
    expect(stdout).toContain(`got: dlp -n ${WITH_AT} -t`);
  });
});

const zsh = spawnSync('zsh', ['-f', '-c', 'zmodload zsh/zpty'], { stdio: 'ignore' });
const skipped = zsh.status === 0 ? '' : ' (skipped: zsh is not installed)';

describe.skipIf(zsh.status !== 0)(`completion in zsh${skipped}`, () => {
  /** What a line becomes when Tab is pressed at its end and only one thing fits. */
  function completed(line: string, bin = 'bin'): string {
    const rc = [
      'zmodload zsh/zpty',
      'zpty shell zsh -f -i',
      'zpty -w shell "PS1=; unsetopt zle_bracketed_paste; stty -echo"',
      `zpty -w shell 'fpath=(${join(folder, 'zsh')} $fpath); autoload -U compinit; compinit -u -d ${join(folder, 'dump')}'`,
      // What is on the line after completion is taken from the editor itself. The marks are split, as
      // a terminal may echo what is typed into it.
      `zpty -w shell 'take() { print -r -- "<<""<$BUFFER>"">>"; BUFFER= }; zle -N take; bindkey "^X" take'`,
      'zpty -w shell "print re""ady"',
      'zpty -r -m shell ready "*ready*"',
      'zpty -w -n shell "$1"$\'\\t\\C-X\'',
      'zpty -r -m shell out "*<<<*>>>*"',
      'print -r -- "$out"',
      'zpty -d shell',
    ].join('\n');
    const { stderr, stdout } = spawnSync('zsh', ['-f', '-c', rc, 'zsh', line], {
      encoding: 'utf8',
      cwd: join(folder, 'conf'),
      timeout: 30_000,
      env: {
        ...process.env,
        ...{ TERM: 'dumb', PATH: [join(folder, bin), process.env['PATH']].join(delimiter) },
      },
    });
    expect(stderr).toBe('');
    return /<<<(.*)>>>/.exec(stdout)?.[1]?.trimEnd() ?? stdout;
  }

  it.each([
    ['stafctl sta', 'stafctl status'],
    ['stafctl dlp -t rd', 'stafctl dlp -t rdma'],
    ['stafctl ls --det', 'stafctl ls --detailed'],
    ['stafctl --output=js', 'stafctl --output=json'],
    ['stafctl dlp -n nqn', 'stafctl dlp -n nqn.2014-08.org.nvmexpress:uuid:f2782346'],
    ['stacctl explain nvme', 'stacctl explain nvme0'],
    ['stasadm check-config --as sy', 'stasadm check-config --as sys'],
    ['stasadm check-config stafd.conf.', 'stasadm check-config stafd.conf.d/'],
  ])('makes of %j: %j', (line, expected) => {
    expect(completed(line)).toBe(expected);
  });

  it('leaves the line as it is, and says nothing, while the daemon is down', () => {
    expect(completed('stacctl explain nvme', 'down')).toBe('stacctl explain nvme');
  });
});

describe('a definition', () => {
  it('is refused if nobody has said how one of its values is completed', () => {
    const command = new Command('stafctl');
    command.command('ls').option('--colour <name>', 'a colour');
    expect(() => completedProgram(command)).toThrow(PackageError);
  });
});
