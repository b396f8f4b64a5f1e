import type { LibnvmeMinor } from './layouts.ts';

/**
 * Which libnvme 1.x a library is. It says so itself since 1.1; a build that does not (`n/a`, or a
 * word of its packager) is known by the functions that came with each version.
 */

/** A function that each minor version brought (`src/libnvme.map`); 1.15 brought none. */
const INTRODUCED: readonly (readonly [LibnvmeMinor, string])[] = [
  [16, 'nvme_get_uuid_list'],
  [14, 'nvme_get_features_temp_thresh2'],
  [13, 'nvme_subsystem_get_fw_rev'],
  [12, 'nvme_lm_cdq'],
  [11, 'nvmf_connect_ctrl'],
  [10, 'nvme_parse_uri'],
  [9, 'nvme_import_tls_key'],
  [8, 'nvme_uuid_find'],
  [7, 'nvme_generate_tls_key_identity'],
  [6, 'nvme_ctrl_find'],
  [5, 'nvme_nbft_read'],
  [4, 'nvme_insert_tls_key'],
  [3, 'nvme_ctrl_is_unique_discovery_ctrl'],
  [2, 'nvme_ctrl_get_dhchap_host_key'],
  [1, 'nvme_get_version'],
];

export interface LibnvmeVersion {
  readonly minor: LibnvmeMinor;
  /** For people: `1.13`, or `1.16.2` where the library says so. */
  readonly text: string;
}

/**
 * @param reported what `nvme_get_version` answered; undefined if the library does not have it.
 * @param has whether the library has a function.
 */
export function identifyVersion(
  reported: string | undefined,
  has: (symbol: string) => boolean,
): LibnvmeVersion {
  const match = /^1\.(\d{1,3})(?!\d)[\w.+~-]*$/.exec(reported ?? '');
  if (match?.[1] !== undefined) return { minor: Number(match[1]), text: match[0] };
  const minor = INTRODUCED.find(([, symbol]) => has(symbol))?.[0] ?? 0;
  return { minor, text: `1.${minor}` };
}
