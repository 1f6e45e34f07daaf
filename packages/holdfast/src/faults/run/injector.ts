/** What every injector is: it says whether it can, does it, looks whether it works, and undoes it. */
import type { Clock } from "../../clock/index.ts";
import type { Fault, FaultKind, FaultOf } from "../plan/fault.ts";
import type { UndoGuard } from "../undo/undo-guard.ts";
import type { LinkControl } from "./link-control.ts";
import type { FaultMember } from "./target.ts";

export interface InjectorContext {
  readonly clock: Clock;
  readonly guard: UndoGuard;
  /** Bound for an effect to be seen, and for its end to be seen, in milliseconds. */
  readonly probeMs: number;
}

/** A fault under way. */
export interface Injected {
  /** By what it was done, and why by that: `SIGSTOP`, `fault proxy (this kernel has no netem)`. */
  readonly by: string;
  /** What the probe saw. */
  readonly effect: string;
  /** Undoes it, and resolves with what the probe saw of that. Runs once. */
  undo(): Promise<string>;
}

export interface Injector<F extends Fault, To> {
  /** Why it cannot be done to this member or link; undefined when it can. Changes nothing. */
  refusal(fault: F, to: To): Promise<string | undefined> | string | undefined;
  /**
   * Does it, and resolves when its effect was seen.
   *
   * @throws {HoldfastError} HOLDFAST_FAULT_NO_EFFECT when it was not seen; then it has been undone
   */
  inject(fault: F, to: To, context: InjectorContext): Promise<Injected>;
}

export type MemberInjector<K extends FaultKind> = Injector<FaultOf<K>, FaultMember>;

export interface LinkEnds {
  readonly from: FaultMember;
  readonly to: FaultMember;
  readonly control: LinkControl;
}
