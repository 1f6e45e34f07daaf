/**
 * A bench: the same work done by us and by our peers in one run, with a fixed seed and a checked answer.
 */
export interface Bench {
  readonly name: string;
  /** One line for the list. */
  readonly title: string;
  /** `smoke` is small enough for the test run; `full` is what figures are quoted from. */
  run(size: BenchSize, seed: number): Promise<BenchResult>;
}

export type BenchSize = "smoke" | "full";

export interface BenchResult {
  readonly figures: readonly Figure[];
  /** What was verified about the answers; a bench that finds a wrong answer throws instead. */
  readonly checked: string;
}

export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** The median, where it was measured more than once. */
  readonly value: number;
  readonly better: "higher" | "lower";
  /** For a peer's figure: the name of our figure that it stands beside. */
  readonly peer?: string;
}

/** For each peer's figure, how many times better ours is: above 1 is better than the peer. */
export function ratiosOf(figures: readonly Figure[]): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const peer of figures) {
    if (peer.peer === undefined) continue;
    const ours = figures.find((figure) => figure.name === peer.peer);
    if (!ours) throw new Error(`${peer.name} stands beside "${peer.peer}", which is not among the figures`);
    ratios[peer.name] = peer.better === "higher" ? ours.value / peer.value : peer.value / ours.value;
  }
  return ratios;
}

/** The middle value; the mean of the two middle ones when the count is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("the median of nothing");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
