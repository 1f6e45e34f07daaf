/**
 * What it costs to wrap a call that succeeds at once, and whether the wrapper keeps its word when it does not.
 * A cockatiel timeout is only comparable to a retry that has a deadline and a limit for each attempt.
 */
import {
  retry as cockatielRetry,
  ExponentialBackoff,
  handleAll,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
import { Call, HoldfastError } from "holdfast/call";
import { manualClock, systemClock } from "holdfast/clock";
import { retry, retryBudget, singleFlight } from "holdfast/resilience";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach } from "./side-by-side.ts";

const clock = systemClock;
const work = async () => 1;

const bench: Bench = {
  name: "resilience",
  title: "retry, deadline and budget around a call, beside cockatiel",
  async run(size) {
    const rounds = size === "full" ? 7 : 1;
    const operations = size === "full" ? 50_000 : 500;
    await checkAbortDuringBackoff();

    const budget = retryBudget(clock);
    const backoff = new ExponentialBackoff();
    const peerRetry = cockatielRetry(handleAll, { maxAttempts: 2, backoff });
    const peerBoth = wrap(peerRetry, timeout(1000, TimeoutStrategy.Aggressive));
    const flights = singleFlight(clock);
    let done = 0;
    const times = (run: () => Promise<number>) => async (count: number) => {
      for (let i = 0; i < count; i++) done += await run();
    };
    const ns = await nanosecondsEach(
      { rounds, operations },
      {
        "retry with budget": times(() => retry(work, { clock, budget })),
        "cockatiel retry": times(() => peerRetry.execute(work)),
        "retry with budget, deadline and attempt limit": times(async () => {
          using call = new Call(clock, { timeoutMs: 5000 });
          return await retry(work, { clock, budget, call, attemptTimeoutMs: 1000 });
        }),
        "cockatiel retry and timeout": times(() => peerBoth.execute(work)),
        "single-flight, nobody else": times(() => flights.run("key", work)),
        "single-flight, 100 at once": async (count: number) => {
          for (let left = count; left > 0; left -= 100) {
            const crowd = Array.from({ length: 100 }, () => flights.run("key", work));
            for (const value of await Promise.all(crowd)) done += value;
          }
        },
      },
    );
    const expected = 6 * operations * (rounds + 1);
    if (done !== expected) throw new Error(`${done} calls were answered, ${expected} were made`);
    const figure = (name: keyof typeof ns, peer?: keyof typeof ns): Figure => ({
      name,
      unit: "ns/call",
      value: ns[name],
      better: "lower",
      ...(peer === undefined ? {} : { peer }),
    });
    return {
      figures: [
        figure("retry with budget"),
        figure("cockatiel retry", "retry with budget"),
        figure("retry with budget, deadline and attempt limit"),
        figure("cockatiel retry and timeout", "retry with budget, deadline and attempt limit"),
        figure("single-flight, nobody else"),
        figure("single-flight, 100 at once"),
      ],
      checked: "each call was answered once; a call given up during a wait is not made again",
    };
  },
};
export default bench;

/** Where cockatiel makes the call once more after it was aborted, ours must not. */
async function checkAbortDuringBackoff(): Promise<void> {
  const still = manualClock();
  const giveUp = new AbortController();
  const call = new Call(still, { signal: giveUp.signal });
  let runs = 0;
  const ended = retry(
    async () => {
      runs++;
      throw new HoldfastError("HOLDFAST_OVERLOADED", "full", { data: { retryAfterMs: 200 } });
    },
    { clock: still, call },
  ).catch((error: HoldfastError) => error.code);
  await still.advance(20);
  giveUp.abort();
  await still.advance(1000);
  if ((await ended) !== "HOLDFAST_ABORTED" || runs !== 1)
    throw new Error(`made ${runs} times after it was given up`);
}
