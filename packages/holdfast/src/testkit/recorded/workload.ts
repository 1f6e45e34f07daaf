/**
 * A workload: what clients do to a system while it is recorded, and by which models their history is judged.
 *
 * It works through the handles of a system of its own, so it runs on every engine that these can be bound to.
 */
import { type Checker, type CheckResult, findChecker, type Operation } from "../../check/index.ts";
import type { Random } from "../../clock/index.ts";
import type { System } from "../../parts/index.ts";
import type { Recorder } from "../../record/index.ts";
import type { WorldConfig } from "../../runtime/messages.ts";

/** An operation before it is done, in the words of a history. */
export interface PlannedOperation {
  readonly f: string;
  readonly key?: unknown;
  readonly value: unknown;
}

/** What a workload may know of the client that acts. */
export interface WorkloadClient {
  /** From 0; stays the same when the client goes on under a new process number. */
  readonly number: number;
  /** Operations that it has begun. */
  readonly begun: number;
  /** How many clients there are. */
  readonly clients: number;
}

export interface Workload {
  readonly name: string;
  readonly system: System;
  readonly checkers: readonly RecordedChecker[];
  /** Operations that change nothing: without an answer they have failed, and nothing is unknown. */
  readonly reads: readonly string[];
  /**
   * Gives each operation a session of its own. Default false: a client keeps one, which makes what it has seen
   * visible to it, also where others would still get something older.
   */
  readonly sessionless?: boolean;
  /** Makes what the operations need, once, inside the world and before anybody acts. */
  prepare(): Promise<void>;
  /** What the client does next. The same seed plans the same, as far as it gets the same answers. */
  plan(client: WorkloadClient, random: Random): PlannedOperation;
  /**
   * Does it, inside the world and in a call with a deadline.
   *
   * @returns the value of the `ok`
   * @throws {RefusedError} when it was not done for a reason that belongs to the workload
   * @throws whatever the part throws: its outcome says whether that is a `fail` or an `info`
   */
  perform(operation: PlannedOperation, client: WorkloadClient): Promise<unknown>;
  /** What runs beside the clients, such as a consumer. Ends when `signal` aborts. */
  readonly background?: (signal: AbortSignal, beside: Beside) => Promise<void>;
  /** What one more client does at the end, when the system is whole and everybody else has stopped. */
  readonly conclude?: () => readonly PlannedOperation[];
}

/** What runs beside the clients may write into the same history, also from processes of its own. */
export interface Beside {
  readonly recorder: Recorder;
  readonly random: Random;
  /** How a process of its own opens a world; undefined where the target has no such thing. */
  readonly config: WorldConfig | undefined;
  /** A file for one more recorder, in another process: what it has is part of the history. */
  recording(): string;
  /** Writes down what goes wrong, as a fault plan does. */
  note(f: string, value: unknown): void;
}

/** A checker of `holdfast/check`, or one that the workload brings along because its promise has a bound. */
export type RecordedChecker = Pick<Checker, "name"> & {
  check(operations: readonly Operation[]): CheckResult;
};

/** Checkers of `holdfast/check`, by their names. */
export function checkersNamed(...names: readonly string[]): readonly Checker[] {
  return names.map((name) => {
    const checker = findChecker(name);
    if (!checker)
      throw new RangeError(`there is no checker ${name}: holdfast check --model lists what there is`);
    return checker;
  });
}

/** An operation that was not done, and that is no failure of the system: a compare-and-set that did not match. */
export class RefusedError extends Error {}

/** Values that nobody wrote before: a checker can tell who wrote what is read. */
export class UniqueValues {
  #last = 0;

  next(): number {
    return ++this.#last;
  }
}
