import { endianness } from 'node:os';
import type { LibraryHandle } from 'koffi';
import { StartupError } from '../ports/errors.ts';
import type { Log } from '../ports/log.ts';
import { PROBE_FILL, PROBE_SIZE, recogniseFabricsConfig } from './layouts.ts';
import type { Abi, StructLayout } from './layouts.ts';
import { bind, bindIfPresent, hasSymbol, loadLibrary, wordSize } from './native.ts';
import type { NativeFunction, Pointer, Prototype } from './native.ts';
import { identifyVersion } from './version.ts';

/** The bindings: libnvme's functions that the adapter uses, with the structures they take. */

export const LIBNVME_SONAME = 'libnvme.so.1';

/** `enum nvme_version`: the version of the project. */
const NVME_VERSION_PROJECT = 0;

/** Functions of libnvme 1.0, in every version. Those that touch only memory are marked so. */
export interface Libnvme {
  /** `1.13` */
  readonly version: string;
  readonly abi: Abi;
  readonly fabricsConfig: StructLayout;
  /** Memory only. `log` receives messages up to `level` of syslog(3). */
  createRoot: NativeFunction<[log: Pointer, level: number], Pointer | null>;
  /** Memory, and the descriptors of controllers that were opened. */
  freeTree: NativeFunction<[root: Pointer], undefined>;
  /** Memory only. */
  lookupHost: NativeFunction<[root: Pointer, hostnqn: string, hostid: string], Pointer | null>;
  /** Memory only, as long as the host address is not a name. */
  createCtrl: NativeFunction<
    [
      root: Pointer,
      subsysnqn: string,
      transport: string,
      traddr: string | null,
      hostTraddr: string | null,
      hostIface: string | null,
      trsvcid: string | null,
    ],
    Pointer | null
  >;
  /** Memory, and the descriptor of a controller that was opened. */
  freeCtrl: NativeFunction<[ctrl: Pointer], undefined>;
  /** Memory only. */
  setDiscoveryCtrl: NativeFunction<[ctrl: Pointer, discovery: boolean], undefined>;
  /** Memory only. */
  ctrlName: NativeFunction<[ctrl: Pointer], string | null>;
  /** Memory only. */
  defaultConfig: NativeFunction<[config: Uint8Array], undefined>;
  /** Blocks: /dev/nvme-fabrics, then sysfs. 0, or -1 with errno (its own numbers from 1000 up). */
  addCtrl: NativeFunction<[host: Pointer, ctrl: Pointer, config: Uint8Array], number>;
  /** Blocks: sysfs. */
  scanCtrl: NativeFunction<[root: Pointer, name: string], Pointer | null>;
  /** Memory only. */
  ctrlSubsystem: NativeFunction<[ctrl: Pointer], Pointer | null>;
  /** Memory only. */
  subsystemHost: NativeFunction<[subsystem: Pointer], Pointer | null>;
  /** Blocks: a device node. A descriptor, or -1 with errno. */
  open: NativeFunction<[name: string], number>;
  /** Blocks: a command to the controller. 0, an NVMe status, or -1 with errno. */
  getLog: NativeFunction<[args: Uint8Array], number>;

  /** Each absent if this build of libnvme lacks it: {@link Libnvme} has told the log. */
  readonly optional: {
    /** Memory only. */
    readonly setHostKey: NativeFunction<[host: Pointer, key: string], undefined> | undefined;
    /** Memory only. */
    readonly setCtrlKey: NativeFunction<[ctrl: Pointer, key: string], undefined> | undefined;
    /** Memory only. */
    readonly setSymbolicName: NativeFunction<[host: Pointer, name: string], undefined> | undefined;
    /** Blocks: commands to the controller. 0, an NVMe status, or -1 with errno. */
    readonly register:
      NativeFunction<[ctrl: Pointer, task: number, result: null], number> | undefined;
  };
}

function open(soname: string): LibraryHandle {
  try {
    return loadLibrary(soname);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(
      `cannot load ${soname} (${why}): install libnvme 1.x, e.g. the package libnvme1`,
    );
  }
}

function required<T>(soname: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(`${soname} is not a libnvme that can be used: ${why}`);
  }
}

/**
 * Loads libnvme and finds out which it is.
 *
 * @param soname another library, for tests.
 * @throws StartupError if there is none, or one whose structures are not known.
 */
export function loadLibnvme(log: Log, soname: string = LIBNVME_SONAME): Libnvme {
  const library = open(soname);
  const abi: Abi = { wordSize: wordSize(), littleEndian: endianness() === 'LE' };
  const getVersion = bindIfPresent<[number], string | null>(
    library,
    'nvme_get_version',
    'const char *%(int type)',
  );
  const { minor, text: version } = identifyVersion(
    getVersion?.(NVME_VERSION_PROJECT) ?? undefined,
    (symbol) => hasSymbol(library, symbol),
  );

  const defaultConfig = required(soname, () =>
    bind<[Uint8Array], undefined>(library, 'nvmf_default_config', 'void %(void *config)'),
  );
  const probe = new Uint8Array(PROBE_SIZE).fill(PROBE_FILL);
  defaultConfig(probe);
  const fabricsConfig = recogniseFabricsConfig(probe, minor, abi);
  if (fabricsConfig === undefined) {
    throw new StartupError(
      `libnvme ${version} has a struct nvme_fabrics_config that is not known: use libnvme 1.0 to 1.16`,
    );
  }

  function optional<A extends readonly (Pointer | string | number | null)[], R>(
    name: string,
    prototype: Prototype,
    feature: string,
  ): NativeFunction<A, R> | undefined {
    const found = bindIfPresent<A, R>(library, name, prototype);
    if (found === undefined) log.notice(`libnvme ${version} has no ${name}: no ${feature}`);
    return found;
  }

  return required(soname, () => ({
    version,
    abi,
    fabricsConfig,
    defaultConfig,
    createRoot: bind(library, 'nvme_create_root', 'void *%(void *log, int level)'),
    freeTree: bind(library, 'nvme_free_tree', 'void %(void *root)'),
    lookupHost: bind(
      library,
      'nvme_lookup_host',
      'void *%(void *root, const char *hostnqn, const char *hostid)',
    ),
    createCtrl: bind(
      library,
      'nvme_create_ctrl',
      'void *%(void *, const char *, const char *, const char *, const char *, const char *, const char *)',
    ),
    freeCtrl: bind(library, 'nvme_free_ctrl', 'void %(void *ctrl)'),
    setDiscoveryCtrl: bind(
      library,
      'nvme_ctrl_set_discovery_ctrl',
      'void %(void *ctrl, bool discovery)',
    ),
    ctrlName: bind(library, 'nvme_ctrl_get_name', 'const char *%(void *ctrl)'),
    addCtrl: bind(library, 'nvmf_add_ctrl', 'int %(void *host, void *ctrl, void *config)'),
    scanCtrl: bind(library, 'nvme_scan_ctrl', 'void *%(void *root, const char *name)'),
    ctrlSubsystem: bind(library, 'nvme_ctrl_get_subsystem', 'void *%(void *ctrl)'),
    subsystemHost: bind(library, 'nvme_subsystem_get_host', 'void *%(void *subsystem)'),
    open: bind(library, 'nvme_open', 'int %(const char *name)'),
    getLog: bind(library, 'nvme_get_log', 'int %(void *args)'),
    optional: {
      setHostKey: optional<[Pointer, string], undefined>(
        'nvme_host_set_dhchap_key',
        'void %(void *host, const char *key)',
        'DH-HMAC-CHAP authentication',
      ),
      setCtrlKey: optional<[Pointer, string], undefined>(
        'nvme_ctrl_set_dhchap_key',
        'void %(void *ctrl, const char *key)',
        'DH-HMAC-CHAP authentication of controllers',
      ),
      setSymbolicName: optional<[Pointer, string], undefined>(
        'nvme_host_set_hostsymname',
        'void %(void *host, const char *name)',
        'symbolic name when registering with a discovery controller',
      ),
      register: optional<[Pointer, number, null], number>(
        'nvmf_register_ctrl',
        'int %(void *ctrl, int task, void *result)',
        'registration with discovery controllers',
      ),
    },
  }));
}
