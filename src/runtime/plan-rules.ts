/** What a service says of the plan that its core carries out. */
import type { WantedController } from '../core/plan-controllers.ts';
import type { ControllerRecord } from './controller-set.ts';
import type { ServiceExtra } from './service-core.ts';

/** How a service carries out the actions of its plan. */
export interface ActionRules<Extra extends ServiceExtra, Planned> {
  /** What is known of a new controller. */
  created(wanted: WantedController<Planned>): Extra;
  /** It was added, and is about to be started. */
  added(record: ControllerRecord<Extra>): void;
  /** What is known of one that is still asked for. */
  kept(record: ControllerRecord<Extra>, planned: Planned): Extra;
  /** Whether the connection of one that is removed stays in the kernel. */
  keepsConnection(record: ControllerRecord<Extra>): boolean;
  /**
   * Which of these removals, which leave no connection, are not to be carried out yet, and why.
   * Called by every plan that may drop something, also with none.
   */
  hold?(endings: readonly Ending<Extra>[]): ReadonlyMap<string, string>;
}

/** A removal that ends the connection, if there is one. */
export interface Ending<Extra extends ServiceExtra> {
  readonly record: ControllerRecord<Extra>;
  readonly why: string;
  /** See SourceEvidence. */
  readonly statedAt: number;
}
