/** Uses of block devices as a test sets them; none without. */
import type { BlockUses, NamespaceUse } from '../../src/ports/block-use.ts';
import { ScriptedOperation } from './scripted.ts';

export class FakeBlockUses implements BlockUses {
  /** By controller (`nvme3`). */
  readonly uses = new Map<string, readonly NamespaceUse[]>();
  /** Of those that are not in `uses`. */
  others: (controller: string) => readonly NamespaceUse[] = () => [];
  readonly reads = new ScriptedOperation<
    readonly string[],
    ReadonlyMap<string, readonly NamespaceUse[]>
  >(
    (controllers) =>
      new Map(
        controllers.map((controller) => [
          controller,
          this.uses.get(controller) ?? this.others(controller),
        ]),
      ),
  );

  read(controllers: readonly string[]): Promise<ReadonlyMap<string, readonly NamespaceUse[]>> {
    return this.reads.call(controllers);
  }
}
