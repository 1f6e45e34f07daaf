/**
 * The load engine: open loop. Requests arrive when the plan's clock says so, whether or not earlier ones have
 * been answered, and each latency counts from the *intended* arrival. When the system stands still for a
 * second, everybody who came in that second is seen waiting: that is what "without coordinated omission" means.
 *
 * What it cannot do it says: arrivals beyond `maxInFlight` are counted as dropped, and its own lateness is
 * reported.
 *
 * @see G. Tene, "How NOT to Measure Latency", 2013; B. Schroeder et al., "Open Versus Closed", NSDI 2006
 */
import { HoldfastError, type Outcome } from "../call/index.ts";
import { type Clock, seededRandom } from "../clock/index.ts";
import { type ArrivalKind, arrivalGaps } from "./arrivals.ts";
import type { LoadPlan, LoadRequest, LoadResponse, RequestContext, RequestSpec } from "./plan.ts";
import { type LoadProgress, progressEachSecond } from "./progress.ts";
import { type Ending, methodOf, openSender, type Sender } from "./send.ts";
import { type FailureCount, type Percentiles, Tally } from "./tally.ts";
import { zipf } from "./zipf.ts";

export interface RunLoadOptions {
  readonly plan: LoadPlan;
  readonly target: URL;
  readonly clock: Clock;
  /** Default: the plan's. */
  readonly ratePerSecond?: number;
  /** How long requests arrive, in milliseconds. Default: until `signal` aborts. */
  readonly durationMs?: number;
  /** Default: the plan's. */
  readonly seed?: number;
  /** Default `poisson`. */
  readonly arrivals?: ArrivalKind;
  /** Requests without an answer at one time; arrivals beyond it are dropped and counted. Default 512. */
  readonly maxInFlight?: number;
  /** A request without an answer for this long has failed, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number;
  /** Ends the arrivals; what is under way may still be answered, within `timeoutMs`. */
  readonly signal?: AbortSignal;
  readonly onSecond?: (progress: LoadProgress) => void;
}

export const runLoadDefaults = { arrivals: "poisson", maxInFlight: 512, timeoutMs: 10_000 } as const;

export interface LoadReport {
  readonly url: string;
  readonly seed: number;
  readonly ratePerSecond: number;
  /** How long requests arrived, to the millisecond. */
  readonly seconds: number;
  readonly arrivals: number;
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Arrivals that were not sent, because `maxInFlight` requests were waiting. */
  readonly dropped: number;
  /** Failures by outcome. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly failures: readonly FailureCount[];
  /** Latency in milliseconds from the intended arrival: of successes, of everything that ended, by request. */
  readonly latency: {
    readonly succeeded: Percentiles;
    readonly ended: Percentiles;
    readonly byRequest: Readonly<Record<string, Percentiles>>;
  };
  /** How late the client itself sent, in milliseconds. It is part of the latencies. */
  readonly lateness: Percentiles;
}

/** A timer of the host is served up to this late without anybody standing still: not held against the system. */
const timerGrainMs = 2;

/** @throws {HoldfastError} what `setup` throws; HOLDFAST_INPUT_INVALID when the plan asks for no valid request */
export async function runLoad(options: RunLoadOptions): Promise<LoadReport> {
  const { plan, target, clock, signal } = options;
  const { maxInFlight, timeoutMs, arrivals } = { ...runLoadDefaults, ...options };
  const ratePerSecond = options.ratePerSecond ?? plan.ratePerSecond;
  const seed = options.seed ?? plan.seed;
  const nextGapMs = arrivalGaps(arrivals, ratePerSecond, seededRandom(seed));
  const random = seededRandom(seed + 1);
  const pick = weighted(plan.mix);
  const tally = new Tally(plan.mix.map(({ name }) => name));
  const sender = openSender(target, maxInFlight, clock);
  const inFlight = new Set<Promise<void>>();
  let broken: unknown;
  try {
    const state = await plan.setup({
      baseUrl: target.origin,
      random: seededRandom(seed + 2),
      send: (request) => answered(sender, request, timeoutMs),
      signal: signal ?? new AbortController().signal,
    });
    const samplers = new Map<string, ReturnType<typeof zipf>>();
    const contextOf = (sequence: number): RequestContext<unknown> => ({
      baseUrl: target.origin,
      random,
      state,
      sequence,
      zipf(count, exponent = 1) {
        const key = `${count} ${exponent}`;
        const draw = samplers.get(key) ?? zipf(count, exponent);
        samplers.set(key, draw);
        return draw(random);
      },
    });
    const startMs = clock.monotonicMs();
    const endMs = startMs + (options.durationMs ?? Infinity);
    const recent = progressEachSecond(clock, startMs, tally, () => inFlight.size, options.onSecond);
    let dueMs = startMs + nextGapMs();
    let sequence = 0;
    while (dueMs < endMs && !signal?.aborted && broken === undefined) {
      const waitMs = dueMs - clock.monotonicMs();
      if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => {});
      else await turn();
      if (signal?.aborted) break;
      const nowMs = clock.monotonicMs();
      for (; dueMs <= nowMs && dueMs < endMs; dueMs += nextGapMs()) {
        const asked = pick(random.next());
        const context = contextOf(sequence++);
        if (inFlight.size >= maxInFlight) {
          tally.dropped++;
          continue;
        }
        const lateMs = nowMs - dueMs;
        const intendedMs = lateMs <= timerGrainMs ? nowMs : dueMs;
        tally.lateness.record(lateMs);
        tally.sent++;
        const one = askOne(sender, asked, context, timeoutMs)
          .then((failure) => {
            const ms = clock.monotonicMs() - intendedMs;
            recent.record(ms);
            if (failure) tally.fail(asked.name, ms, failure.outcome, failure.why);
            else tally.succeed(asked.name, ms);
          })
          .catch((error) => {
            broken ??= error;
          })
          .finally(() => inFlight.delete(one));
        inFlight.add(one);
      }
    }
    const endedMs = signal?.aborted || broken !== undefined ? clock.monotonicMs() : endMs;
    const seconds = Math.round(endedMs - startMs) / 1_000;
    await Promise.all(inFlight);
    recent.stop();
    if (broken !== undefined) throw planError(broken);
    return reportOf(tally, { url: target.origin, seed, ratePerSecond, seconds, arrivals: sequence });
  } finally {
    await sender.close();
  }
}

/** Lets answers be read, even when arrivals are so frequent that there is never anything to wait for. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** @returns how it failed, if it did */
async function askOne(
  sender: Sender,
  asked: LoadRequest<unknown>,
  context: RequestContext<unknown>,
  timeoutMs: number,
): Promise<{ outcome: Outcome; why: string } | undefined> {
  const ending: Ending = await sender.send(await asked.request(context), {
    timeoutMs,
    keepBody: asked.expect !== undefined,
  });
  if (ending.kind === "failure") return ending;
  const { response } = ending;
  const verdict = asked.expect ? asked.expect(response, context) : response.status < 400;
  if (verdict === true) return undefined;
  const said = typeof verdict === "string" ? `: ${verdict}` : "";
  const outcome = response.status >= 500 ? "unknown" : response.status >= 400 ? "not-applied" : "applied";
  return { outcome, why: `answer ${response.status}${said}` };
}

async function answered(sender: Sender, request: RequestSpec, timeoutMs: number): Promise<LoadResponse> {
  const ending = await sender.send(request, { timeoutMs, keepBody: true });
  if (ending.kind === "answer") return ending.response;
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The system did not answer ${methodOf(request)} ${request.path} while the load was being set up: ${ending.why}. Is it running (\`holdfast up\`), and at this URL?`,
    { outcome: ending.outcome },
  );
}

function weighted<State>(mix: readonly LoadRequest<State>[]): (draw: number) => LoadRequest<State> {
  const total = mix.reduce((sum, { weight }) => sum + weight, 0);
  return (draw) => {
    let left = draw * total;
    for (const one of mix) {
      left -= one.weight;
      if (left < 0) return one;
    }
    return mix.at(-1) as LoadRequest<State>;
  };
}

function planError(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The load plan failed: ${error instanceof Error ? error.message : error}. Correct its request or expect function.`,
    { cause: error },
  );
}

function reportOf(
  tally: Tally,
  run: Pick<LoadReport, "url" | "seed" | "ratePerSecond" | "seconds" | "arrivals">,
): LoadReport {
  const failures = tally.failures();
  const outcomes = { applied: 0, "not-applied": 0, unknown: 0 };
  for (const { outcome, count } of failures) outcomes[outcome] += count;
  return {
    ...run,
    sent: tally.sent,
    succeeded: tally.succeeded,
    failed: tally.failed,
    dropped: tally.dropped,
    outcomes,
    failures,
    latency: {
      succeeded: tally.ok.percentiles(),
      ended: tally.ended.percentiles(),
      byRequest: Object.fromEntries([...tally.byRequest].map(([name, one]) => [name, one.percentiles()])),
    },
    lateness: tally.lateness.percentiles(),
  };
}
