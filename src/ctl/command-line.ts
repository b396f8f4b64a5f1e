/**
 * The command lines of stafctl and stacctl, defined once: what is parsed, what `--help` says and
 * what a shell completes all come from here.
 */
import { Command, CommanderError, Option } from 'commander';
import { TRANSPORTS, WELL_KNOWN_DISCOVERY_NQN } from '../nvme/transport-id.ts';
import { settleHelp } from './command-help.ts';
import type { MetricsFormat } from './metrics.ts';
import type { Tool } from './tools.ts';

export type OutputFormat = 'table' | 'json';

/** Which discovery controller is meant. An absent field was not given: it may have any value. */
export interface ControllerFilter {
  readonly transport: string;
  readonly traddr: string;
  readonly trsvcid: string;
  readonly subsysnqn?: string;
  readonly hostTraddr?: string;
  readonly hostIface?: string;
  readonly hostNqn?: string;
}

/** What a command line asks for. */
export type Request = { readonly output: OutputFormat } & (
  | { readonly kind: 'trace'; readonly on: boolean }
  | { readonly kind: 'status' }
  | { readonly kind: 'tree' }
  | { readonly kind: 'watch' }
  | { readonly kind: 'metrics'; readonly format: MetricsFormat }
  | { readonly kind: 'explain'; readonly what: string | undefined }
  | { readonly kind: 'ls'; readonly detailed: boolean }
  | { readonly kind: 'dlp'; readonly filter: ControllerFilter }
  | { readonly kind: 'adlp'; readonly detailed: boolean }
);

/** A request, or what to print instead: help and version to stdout, the rest to stderr. */
export type ParsedCommandLine =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'wrong'; readonly text: string };

interface OutputOptions {
  readonly output?: OutputFormat | undefined;
}

interface DetailedOptions extends OutputOptions {
  readonly detailed?: boolean;
}

interface DlpOptions extends OutputOptions {
  readonly transport: string;
  readonly traddr: string;
  readonly trsvcid: string;
  readonly hostTraddr?: string;
  readonly hostIface?: string;
  readonly hostNqn?: string;
  readonly nqn?: string;
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'output format, table unless given').choices([
    'table',
    'json',
  ]);
}

const DETAILED = ['-d, --detailed', 'all that is known of each controller'] as const;

function addDlp(program: Command, accept: (request: Request) => void): void {
  program
    .command('dlp')
    .description('show the discovery log page entries of one discovery controller')
    .addOption(
      new Option('-t, --transport <trtype>', 'its transport').choices(TRANSPORTS).default('tcp'),
    )
    .requiredOption('-a, --traddr <traddr>', 'its address')
    .requiredOption('-s, --trsvcid <trsvcid>', 'its transport service: the port for tcp and rdma')
    .option('-w, --host-traddr <traddr>', "the connection's address on this host")
    .option('-f, --host-iface <iface>', "the connection's network interface")
    .option('-q, --host-nqn <nqn>', "the connection's host NQN")
    .option('-n, --nqn <nqn>', `its NQN (default: ${WELL_KNOWN_DISCOVERY_NQN})`)
    .addOption(outputOption())
    .action((options: DlpOptions) => {
      accept({
        kind: 'dlp',
        output: outputOf(program, options),
        filter: {
          transport: options.transport,
          traddr: options.traddr,
          trsvcid: options.trsvcid,
          ...(options.nqn !== undefined && { subsysnqn: options.nqn }),
          ...(options.hostTraddr !== undefined && { hostTraddr: options.hostTraddr }),
          ...(options.hostIface !== undefined && { hostIface: options.hostIface }),
          ...(options.hostNqn !== undefined && { hostNqn: options.hostNqn }),
        },
      });
    });
}

function addMetrics(program: Command, accept: (request: Request) => void): void {
  const formats = ['openmetrics', 'prometheus', 'json'] as const;
  program
    .command('metrics')
    .description('print what the daemon counts, for monitoring')
    .addOption(
      new Option(
        '-o, --output <format>',
        "output format, openmetrics unless given; prometheus is what node_exporter's textfile collector reads",
      ).choices(formats),
    )
    .action((options: { readonly output?: (typeof formats)[number] }) => {
      const { output } = options;
      accept({
        kind: 'metrics',
        format: output === 'prometheus' ? output : 'openmetrics',
        output: output === undefined || output === 'json' ? outputOf(program, { output }) : 'table',
      });
    });
}

/** `-o` is understood before the command's name and after it. */
function outputOf(program: Command, options: OutputOptions): OutputFormat {
  return options.output ?? program.opts<OutputOptions>().output ?? 'table';
}

/** The definition of a tool's command line. `accept` gets what a parsed one asks for. */
export function commandLineOf(
  tool: Tool,
  version: string,
  accept: (request: Request) => void,
): Command {
  const program = new Command(tool.name);
  program
    .description(tool.description)
    .version(`nvme-stas ${version}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    // What follows a command's name is the command's: formats differ.
    .enablePositionalOptions()
    .addOption(outputOption());
  for (const [name, on, description] of [
    ['tron', true, 'switch tracing on: the daemon logs debug lines'],
    ['troff', false, 'switch tracing off'],
  ] as const) {
    program
      .command(name)
      .description(description)
      .addOption(outputOption())
      .action((options: OutputOptions) =>
        accept({ kind: 'trace', on, output: outputOf(program, options) }),
      );
  }
  program
    .command('status')
    .description(`show how ${tool.daemon} is doing, in detail`)
    .addOption(outputOption())
    .action((options: OutputOptions) =>
      accept({ kind: 'status', output: outputOf(program, options) }),
    );
  program
    .command('ls')
    .description(`list the ${tool.controllers}`)
    .option(...DETAILED)
    .addOption(outputOption())
    .action((options: DetailedOptions) =>
      accept({
        kind: 'ls',
        detailed: options.detailed === true,
        output: outputOf(program, options),
      }),
    );
  program
    .command('explain')
    .description(
      `tell of each of the ${tool.controllers} how it stands, who asks for it and what comes next; and what is not connected and why`,
    )
    .argument('[device|traddr|nqn]', 'only what has this name')
    .addOption(outputOption())
    .action((what: string | undefined, options: OutputOptions) =>
      accept({ kind: 'explain', what, output: outputOf(program, options) }),
    );
  program
    .command('watch')
    .description(
      `show the ${tool.controllers} and what happens to them, until it is interrupted (Ctrl-C)`,
    )
    .addOption(outputOption())
    .action((options: OutputOptions) =>
      accept({ kind: 'watch', output: outputOf(program, options) }),
    );
  addMetrics(program, accept);
  if (tool.hasLogPages) {
    addDlp(program, accept);
    program
      .command('adlp')
      .description('show the discovery log page entries of all discovery controllers')
      .option(...DETAILED)
      .addOption(outputOption())
      .action((options: DetailedOptions) =>
        accept({
          kind: 'adlp',
          detailed: options.detailed === true,
          output: outputOf(program, options),
        }),
      );
  }
  if (tool.hasNamespaces) {
    program
      .command('tree')
      .description(
        'show each subsystem with its controllers, its namespaces and what is in use of them',
      )
      .addOption(outputOption())
      .action((options: OutputOptions) =>
        accept({ kind: 'tree', output: outputOf(program, options) }),
      );
  }
  settleHelp(program);
  return program;
}

const NOT_AN_ERROR = ['commander.helpDisplayed', 'commander.help', 'commander.version'];

/** Parses what follows the program's name. `width` is that of the terminal, for the help's lines. */
export function parseCommandLine(
  tool: Tool,
  version: string,
  args: readonly string[],
  width?: number,
): ParsedCommandLine {
  let request: Request | undefined;
  let printed = '';
  let complained = '';
  const program = commandLineOf(tool, version, (accepted) => {
    request = accepted;
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void (printed += text),
      writeErr: (text) => void (complained += text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => width ?? 80,
      getErrHelpWidth: () => width ?? 80,
    });
  }
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (NOT_AN_ERROR.includes(error.code) && complained === '') {
      return { kind: 'text', text: printed };
    }
    return { kind: 'wrong', text: complained };
  }
  if (request === undefined) return { kind: 'wrong', text: program.helpInformation() };
  return { kind: 'request', request };
}
