import type { NamespaceUse } from '../nvme/block-use.ts';

export type { NamespaceUse };

export interface BlockUses {
  /**
   * What is in use on the namespaces of these controllers (`nvme3`), by controller; one that the
   * kernel does not have has none. Files that processes keep open are not looked for.
   *
   * Rejects with PortError if it cannot be found out: nothing is taken for unused then.
   */
  read(controllers: readonly string[]): Promise<ReadonlyMap<string, readonly NamespaceUse[]>>;
}
