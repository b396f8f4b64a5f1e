/**
 * Who may import what: the layers of the project as data.
 *
 * `layers-rule.ts` reads this table. The first row whose `where` fits a file decides for it, so a
 * row for one file stands above the row of its folder. A file under a folder of `governed` that
 * fits no row is an error, whatever it imports: a new folder starts with a decision.
 */

/** One row of the table. Paths are relative to the repository, with `/`. */
export interface LayerRow {
  /** A folder (ends with `/`) or one file. */
  readonly where: string;
  /**
   * What it may import besides itself: a folder (ends with `/`), one file, or, with a `*` at its
   * end, every path that begins so.
   */
  readonly imports: readonly string[];
  /** What it may import with `import type` only; same forms as `imports`. */
  readonly typeImports?: readonly string[];
  /** npm packages. */
  readonly packages: readonly string[];
  /** Node's own modules, or all of them. */
  readonly builtins: readonly string[] | 'any';
}

/** A layer table. */
export interface LayerTable {
  /** Folders in which every file must fit a row. */
  readonly governed: readonly string[];
  readonly rows: readonly LayerRow[];
}

/** Node modules that do no I/O, hold no clock and start nothing. */
const pure = ['node:assert', 'node:buffer', 'node:path', 'node:util'] as const;

const daemonLayers = ['src/nvme/', 'src/config/', 'src/core/', 'src/ports/', 'src/runtime/'];
const contracts = ['dbus/*', 'udev/*'];

/** The layers of this repository; ARCHITECTURE.md explains them. */
export const layers: LayerTable = {
  governed: ['src/', 'test/discovery-controller/', 'test/nbft/'],
  rows: [
    { where: 'src/types/', imports: [], packages: [], builtins: [] },
    // A hash is a function of its input, and nothing else of this module is used.
    {
      where: 'src/nvme/host-id.ts',
      imports: [],
      packages: [],
      builtins: [...pure, 'node:crypto'],
    },
    { where: 'src/nvme/', imports: [], packages: [], builtins: pure },
    { where: 'src/config/', imports: ['src/nvme/'], packages: ['ini'], builtins: pure },
    { where: 'src/core/', imports: ['src/nvme/', 'src/config/'], packages: [], builtins: pure },
    {
      where: 'src/ports/',
      imports: [],
      typeImports: ['src/nvme/'],
      packages: [],
      builtins: pure,
    },
    {
      where: 'src/runtime/',
      imports: ['src/nvme/', 'src/config/', 'src/core/', 'src/ports/'],
      packages: [],
      builtins: [...pure, 'node:events'],
    },
    {
      where: 'src/platform/',
      imports: ['src/nvme/', 'src/ports/', ...contracts],
      packages: ['dbus-next', 'koffi', 'systemd-journald', 'udev'],
      builtins: 'any',
    },
    {
      where: 'src/libnvme-ffi/',
      imports: ['src/nvme/', 'src/ports/'],
      packages: ['koffi'],
      builtins: 'any',
    },
    {
      // What both main programs share: command line, adapters, signals.
      where: 'src/daemon/',
      imports: [...daemonLayers, 'src/platform/', 'src/libnvme-ffi/'],
      packages: ['commander'],
      builtins: 'any',
    },
    ...['stafd', 'stacd'].flatMap((daemon): LayerRow[] => [
      {
        where: `src/${daemon}/main.ts`,
        imports: [
          ...daemonLayers,
          `src/${daemon}/`,
          'src/daemon/',
          'src/platform/',
          'src/libnvme-ffi/',
          ...contracts,
        ],
        packages: [],
        builtins: 'any',
      },
      {
        where: `src/${daemon}/`,
        imports: [...daemonLayers, ...contracts],
        packages: [],
        builtins: [...pure, 'node:events'],
      },
    ]),
    {
      // Loaded for `stacctl tree` only.
      where: 'src/ctl/kernel-view.ts',
      imports: ['src/nvme/', 'src/platform/block-use.ts', 'src/platform/sysfs-controllers.ts'],
      packages: [],
      builtins: 'any',
    },
    {
      // Loaded for `metrics` only.
      where: 'src/ctl/metrics.ts',
      imports: ['src/ctl/daemon.ts', 'src/ctl/text.ts'],
      packages: ['prom-client'],
      builtins: [],
    },
    {
      where: 'src/ctl/',
      imports: [
        'src/nvme/',
        'src/ports/',
        'src/platform/broken-output.ts',
        'src/platform/bus*',
        'src/platform/clock.ts',
        'src/platform/dbus*',
        'dbus/*',
      ],
      packages: ['commander'],
      builtins: 'any',
    },
    {
      // Nothing of it but the command line is loaded before it is asked for: it speaks to the
      // daemons, as stafctl and stacctl do, and looks at the system outside of their sandbox.
      where: 'src/stasadm/diff/',
      imports: [
        'src/nvme/',
        'src/ports/',
        'src/core/reload-preview.ts',
        'src/ctl/',
        'src/platform/block-use.ts',
        'src/platform/dbus/names.ts',
      ],
      typeImports: ['src/config/'],
      packages: ['commander'],
      builtins: 'any',
    },
    {
      // The same; it reads the system itself, and loads nothing native.
      where: 'src/stasadm/doctor/',
      imports: [
        'src/nvme/',
        'src/ports/',
        'src/config/',
        'src/core/answer.ts',
        'src/ctl/process.ts',
        'src/ctl/text.ts',
        'src/libnvme-ffi/fabrics-options.ts',
        'src/libnvme-ffi/version.ts',
        'src/platform/avahi/names.ts',
        'src/platform/conf-files.ts',
        'src/platform/dbus*',
        'src/platform/interfaces.ts',
        'src/platform/sysfs-controllers.ts',
        'src/platform/system-error.ts',
        'src/stasadm/check-config.ts',
        'udev/*',
      ],
      packages: ['commander'],
      builtins: 'any',
    },
    {
      where: 'src/stasadm/',
      imports: [
        'src/nvme/',
        'src/config/',
        'src/ctl/command-help.ts',
        'src/platform/atomic-file.ts',
        'src/platform/broken-output.ts',
        'src/platform/conf-files.ts',
      ],
      packages: ['commander'],
      builtins: 'any',
    },
    { where: 'test/discovery-controller/', imports: [], packages: [], builtins: 'any' },
    { where: 'test/nbft/', imports: [], packages: [], builtins: 'any' },
  ],
};
