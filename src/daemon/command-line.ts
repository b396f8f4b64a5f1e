/** The command line of stafd and stacd, defined once: what is parsed, `--help`, the manual page. */
import { Command } from 'commander';

export type DaemonName = 'stafd' | 'stacd';

/** What a daemon's command line says. */
export interface CommandLine {
  readonly confFile: string;
  readonly syslog: boolean;
  readonly tron: boolean;
  readonly version: boolean;
}

const DESCRIPTIONS: Readonly<Record<DaemonName, string>> = {
  stafd: 'Finds NVMe discovery controllers and keeps their log pages.',
  stacd: 'Keeps NVMe over Fabrics I/O controllers connected.',
};

/** The definition of a daemon's command line; its options are a {@link CommandLine}. */
export function daemonCommand(name: DaemonName): Command {
  return new Command(name)
    .description(DESCRIPTIONS[name])
    .option('-f, --conf-file <file>', 'configuration file', `/etc/stas/${name}.conf`)
    .option('-s, --syslog', 'log to the journal instead of standard output', false)
    .option('--tron', 'trace from the start', false)
    .option('-v, --version', 'print the version and exit', false)
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(false);
}
