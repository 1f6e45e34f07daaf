/**
 * What a checker says. `ok`: the history can be explained by the model. `illegal`: it cannot, and here is why.
 * `unknown`: the budget was used up before either was certain; never to be read as `ok`.
 */
export type Verdict = "ok" | "illegal" | "unknown";

export interface CheckResult {
  readonly verdict: Verdict;
  /** Name of the model or of the checker, as `holdfast check --model` knows it. */
  readonly model: string;
  /** Of an unknown verdict: which budget ended, and what to raise. */
  readonly reason?: string;
  /** Of an illegal one: the smallest contradictions found, the plainest first. */
  readonly witnesses: readonly Witness[];
  /** Operations judged. */
  readonly operations: number;
  /** For people, beside the verdict: such as how much of unknown outcome turned out to have happened. */
  readonly notes?: readonly string[];
  /** Of transactions: what was found, and which consistency models that rules out. */
  readonly consistency?: ConsistencyFound;
}

export interface ConsistencyFound {
  readonly asked: string;
  /** How often each anomaly was found, those that the model allows as well; circles are counted once a kind. */
  readonly anomalies: Readonly<Record<string, number>>;
  /** The weakest models that the history breaks. */
  readonly not: readonly string[];
  /** Stronger ones, broken with them. */
  readonly alsoNot: readonly string[];
  /** The strongest models that it may still satisfy, as far as was looked. */
  readonly atMost: readonly string[];
}

/** A contradiction that a person can follow. Rendered as words, JSON, and an HTML timeline. */
export interface Witness {
  /** Stable name of what is wrong, such as `nonlinearizable`, `G1c`, `lost-update`, `stale-read`. */
  readonly anomaly: string;
  /** One sentence. */
  readonly summary: string;
  /** In words, in the order in which a reader should follow them. */
  readonly steps: readonly string[];
  /** The operations to show, the contradiction's own and as few others as make it understandable. */
  readonly operations: readonly WitnessOperation[];
  /** Why one comes before another, for contradictions that are circles. Positions in `operations`. */
  readonly edges: readonly WitnessEdge[];
}

export interface WitnessOperation {
  readonly process: number | string;
  /** Such as `write x 3`, or `append x 3, read y [1 2]`. */
  readonly label: string;
  readonly outcome: "ok" | "fail" | "info";
  readonly callIndex: number;
  readonly startNs: number;
  /** Nanoseconds; absent when it never ended. */
  readonly endNs?: number;
  /** Whether it is part of the contradiction, or only shown for orientation. */
  readonly involved: boolean;
}

export interface WitnessEdge {
  readonly from: number;
  readonly to: number;
  /** Such as `ww`, `wr`, `rw`, `process`, `realtime`. */
  readonly kind: string;
  /** Such as "process 3 read the value that process 1 wrote". */
  readonly why: string;
}
