import type { PortError } from './errors.ts';

/** A boot firmware table as it was found; either its bytes or why they could not be read. */
export type BootTableFile =
  | { readonly name: string; readonly bytes: Uint8Array; readonly error?: undefined }
  | { readonly name: string; readonly bytes?: undefined; readonly error: PortError };

/** What the firmware left for the operating system. It does not change while the system runs. */
export interface BootFirmware {
  /**
   * The NVMe boot firmware tables (ACPI signature NBFT), in the order of their names, which are
   * safe to print; none on a host without ACPI. Throws PortError if that cannot be told. Small and
   * in memory: it blocks for as long as a few reads of sysfs.
   */
  bootTables(): readonly BootTableFile[];
}
