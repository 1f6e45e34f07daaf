/**
 * What an object does when nobody else is there, in four small functions. A history is linearizable when its
 * operations, each taking effect at one moment between its invocation and its end, could have happened to it.
 *
 * @see M. Herlihy and J. Wing, "Linearizability: A Correctness Condition for Concurrent Objects", 1990
 */
import type { Operation } from "../history/event.ts";

export interface Model<State> {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** The operations (`f`) that it knows. */
  readonly functions: readonly string[];
  init(): State;
  /**
   * The state after `operation`, or `illegal` when it cannot have ended as it did. An operation whose outcome is
   * unknown (`info`) has no output: answer with the state after it took effect. Never changes `state`.
   */
  step(state: State, operation: Operation): State | typeof illegal;
  /** The same for equal states, and different for others. */
  key(state: State): unknown;
  /** Operations with different answers do not touch each other and are judged apart. Default: the key. */
  partition?(operation: Operation): unknown;
  /** Whether it never changes the state, whatever the state is: such a one is never worth waiting with. */
  observes?(operation: Operation): boolean;
  /**
   * Of operations on one object, those that can make a difference: leaves out ones of unknown outcome whose effect
   * nobody saw, which may as well not have happened. Saves time only.
   */
  relevant?(operations: readonly Operation[]): readonly Operation[];
  /**
   * For objects that hold one value at a time, replaced as a whole: which value an operation needs to be there, and
   * which it leaves. A value that is still needed, and that nobody can bring back, is then never replaced too early.
   * `undefined` when these operations do more than that. Saves time only.
   */
  values?(operations: readonly Operation[]): HeldValues | undefined;
  /** Of a model that stands for many objects: which one an operation is about, for `values`. */
  objectOf?(operation: Operation): unknown;
  /** Whether `step` looks at the operation's process. Default false: who asks makes no difference. */
  readonly byProcess?: boolean;
  /** Such as `write 3`. Default: made of `f`, input and output. */
  describe?(operation: Operation): string;
  /** The state, for people. */
  show?(state: State): string;
}

/** Values as `identity` has them; `undefined` for none. */
export interface HeldValues {
  readonly initial: unknown;
  needs(operation: Operation): unknown;
  leaves(operation: Operation): unknown;
}

export const illegal: unique symbol = Symbol("illegal");

/** A model whose states are anything: what takes models of any kind takes this. */
// biome-ignore lint/suspicious/noExplicitAny: a state goes only from the model back to the same model.
export type AnyModel = Model<any>;
