/** What a run of faults did, and what it told while it ran. */
import type { Fault } from "../plan/fault.ts";

/** An event of a history (`holdfast/check`), but for its place and time, which the recorder knows. */
export interface NemesisEvent {
  readonly process: "nemesis";
  readonly type: "info";
  /** Kind of the fault; `heal` and `alive` for the system itself. */
  readonly f: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface FaultReport {
  readonly seed: number;
  readonly faults: readonly FaultRecord[];
  /** How long after the begin of healing the system was alive, in milliseconds; absent when it was not, or nobody asked. */
  readonly aliveAfterMs?: number;
  readonly interrupted: boolean;
  /** Why the run proves nothing, or less than planned, in words; empty when it is sound. */
  readonly problems: readonly string[];
}

export interface FaultRecord {
  readonly id: number;
  readonly fault: Fault;
  /** As planned: `role primary`. */
  readonly on: string;
  /** To whom it happened: names of members, or links. */
  readonly to: readonly string[];
  /** By what, and why by that, each once. */
  readonly by: readonly string[];
  /** What the probes saw; absent when there was no effect everywhere it was to be. Then it does not count. */
  readonly effect?: string;
  /** Whether it is seen to be gone. */
  readonly undone: boolean;
  /** Since the start of the run, with all the time that probes took: later than planned. */
  readonly beganMs: number;
  readonly endedMs: number;
}
