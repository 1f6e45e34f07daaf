/** Counts what happened: latencies in HDR histograms, failures by outcome and reason, arrivals that were dropped. */
import * as hdr from "hdr-histogram-js";
import type { Outcome } from "../call/index.ts";

export interface Percentiles {
  readonly count: number;
  /** All in milliseconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface FailureCount {
  readonly request: string;
  readonly outcome: Outcome;
  readonly why: string;
  readonly count: number;
}

/** Latencies kept to three significant digits, from a microsecond to as long as it takes. */
export class LatencyHistogram {
  readonly #histogram = hdr.build({
    bitBucketSize: 64,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(0, Math.round(ms * 1_000)));
  }

  reset(): void {
    this.#histogram.reset();
  }

  percentiles(): Percentiles {
    const histogram = this.#histogram;
    const count = histogram.totalCount;
    const at = (percentile: number) => (count === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1_000);
    return {
      count,
      mean: count === 0 ? 0 : Math.round(histogram.mean) / 1_000,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: at(100),
    };
  }
}

/** Failures that differ in request, outcome or reason are told apart, up to this many. */
const reasonsMax = 200;

export class Tally {
  readonly ok = new LatencyHistogram();
  /** Everything that ended, failures included. */
  readonly ended = new LatencyHistogram();
  /** How late the client itself was in sending. */
  readonly lateness = new LatencyHistogram();
  readonly byRequest: ReadonlyMap<string, LatencyHistogram>;
  sent = 0;
  succeeded = 0;
  failed = 0;
  dropped = 0;
  readonly #failures = new Map<string, { request: string; outcome: Outcome; why: string; count: number }>();

  constructor(requests: readonly string[]) {
    this.byRequest = new Map(requests.map((name) => [name, new LatencyHistogram()]));
  }

  succeed(request: string, ms: number): void {
    this.succeeded++;
    this.ok.record(ms);
    this.ended.record(ms);
    this.byRequest.get(request)?.record(ms);
  }

  fail(request: string, ms: number, outcome: Outcome, why: string): void {
    this.failed++;
    this.ended.record(ms);
    const known = `${request}\n${outcome}\n${why}`;
    const key =
      this.#failures.has(known) || this.#failures.size < reasonsMax ? known : `${request}\n${outcome}`;
    const failure = this.#failures.get(key) ?? {
      request,
      outcome,
      why: key === known ? why : "other reasons",
      count: 0,
    };
    failure.count++;
    this.#failures.set(key, failure);
  }

  /** The most frequent first. */
  failures(): readonly FailureCount[] {
    return [...this.#failures.values()].sort((a, b) => b.count - a.count);
  }
}
