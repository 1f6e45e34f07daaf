/** What reaches each part: calls a second at the peak, after caches have answered theirs and fan-out has multiplied. */
import { add, exactly, type Interval, multiply } from "../models/interval.ts";
import type {
  ResolvedOperation,
  ResolvedPart,
  ResolvedRequirements,
  ResolvedStep,
} from "../requirements/resolved.ts";
import type { OperationRate } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

export interface PartLoad {
  readonly part: ResolvedPart;
  /** Calls a second at the peak. */
  readonly reads: Interval;
  readonly writes: Interval;
  /** Reads that only a primary may answer. */
  readonly strongReads: Interval;
  /** Calls a second on average. */
  readonly average: Interval;
  /** Calls that come from each operation at the peak, for whoever asks why. */
  readonly from: readonly StepLoad[];
}

export interface StepLoad {
  readonly operation: ResolvedOperation;
  /** `undefined`: deliveries of a fan-out. */
  readonly step: ResolvedStep | undefined;
  readonly does: "read" | "write";
  readonly peak: Interval;
  readonly average: Interval;
}

const nothing = exactly(0);

export function estimatePartLoads(
  sheet: Sheet,
  requirements: ResolvedRequirements,
  rates: ReadonlyMap<string, OperationRate>,
): ReadonlyMap<string, PartLoad> {
  const from = new Map<string, StepLoad[]>(requirements.parts.map(({ name }) => [name, []]));
  for (const rate of rates.values()) {
    for (const { part, ...load } of stepLoads(requirements, rate)) from.get(part)?.push(load);
  }
  return new Map(
    requirements.parts.map((part) => [part.name, sumPart(sheet, part, from.get(part.name) ?? [])]),
  );
}

/** Share of the calls that go on to this step: what the cache before it does not have. */
export function missShare(requirements: ResolvedRequirements, step: ResolvedStep): Interval {
  if (step.onMissOf === undefined) return exactly(1);
  const hit = hitRatioOf(requirements, step.part);
  return { low: 1 - hit.high, mid: 1 - hit.mid, high: 1 - hit.low };
}

/** What is wanted of caches in front of a part: the least of its data sets' hit ratios. */
export function hitRatioOf({ data }: ResolvedRequirements, part: string): Interval {
  const wanted = data.filter((set) => set.in === part).flatMap(({ hitRatio }) => hitRatio ?? []);
  const least = (bound: keyof Interval) => Math.min(...wanted.map((ratio) => ratio[bound]));
  return wanted.length === 0 ? nothing : { low: least("low"), mid: least("mid"), high: least("high") };
}

function stepLoads(
  requirements: ResolvedRequirements,
  { operation, average, peak }: OperationRate,
): readonly (StepLoad & { readonly part: string })[] {
  const steps = operation.path.map((step) => {
    const share = multiply(step.calls, missShare(requirements, step));
    return {
      part: step.part,
      operation,
      step,
      does: step.does,
      peak: multiply(peak, share),
      average: multiply(average, share),
    };
  });
  if (!operation.fanOut) return steps;
  const { to, followers } = operation.fanOut;
  const deliveries = {
    part: to,
    operation,
    step: undefined,
    does: "write" as const,
    peak: multiply(peak, followers.mean),
    average: multiply(average, followers.mean),
  };
  return [...steps, deliveries];
}

function sumPart(sheet: Sheet, part: ResolvedPart, from: readonly StepLoad[]): PartLoad {
  const sum = (loads: readonly StepLoad[], which: "peak" | "average") =>
    loads.map((load) => load[which]).reduce(add, nothing);
  const reads = from.filter(({ does }) => does === "read");
  const writes = from.filter(({ does }) => does === "write");
  const strong = reads.filter(({ step }) => step?.level === "strong");
  const put = (id: string, title: string, loads: readonly StepLoad[]) => {
    const value = sum(loads, "peak");
    if (loads.length === 0) return value;
    const how = loads.map((load) => `${term(load.peak, "/s")} of ${load.operation.name}${whyOf(load)}`);
    return sheet.put(
      "load on parts",
      `parts.${part.name}.${id}`,
      `${part.name}, ${title}`,
      value,
      "/s",
      how.join(" + "),
    );
  };
  return {
    part,
    reads: put("reads", "reads at the peak", reads),
    writes: put("writes", "writes at the peak", writes),
    strongReads: sum(strong, "peak"),
    average: sum(from, "average"),
    from,
  };
}

function whyOf({ step, operation }: StepLoad): string {
  if (!step)
    return ` to ${term((operation.fanOut as NonNullable<typeof operation.fanOut>).followers.mean, "count")} followers each`;
  const calls = step.calls.high === 1 && step.calls.low === 1 ? "" : ` × ${term(step.calls, "count")} calls`;
  return `${calls}${step.onMissOf === undefined ? "" : `, what ${step.onMissOf} does not have`}`;
}
