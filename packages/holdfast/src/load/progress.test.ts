import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { type LoadProgress, progressEachSecond } from "./progress.ts";
import { Tally } from "./tally.ts";

test("each second tells its own latencies, failures and drops, not the sums since the start", async () => {
  const clock = manualClock();
  const tally = new Tally(["root"]);
  const told: LoadProgress[] = [];
  let inFlight = 3;
  const recent = progressEachSecond(
    clock,
    clock.monotonicMs(),
    tally,
    () => inFlight,
    (each) => told.push(each),
  );
  recent.record(10);
  recent.record(400);
  tally.fail("root", 400, "unknown", "answer 503");
  tally.dropped = 2;
  await clock.advance(1_000);
  inFlight = 1;
  recent.record(20);
  tally.dropped = 5;
  await clock.advance(1_000);
  await clock.advance(1_000);
  recent.record(30); // in a fourth second that does not end
  recent.stop();
  await clock.advance(5_000);
  expect(told.map(({ latency: _, ...counts }) => counts)).toEqual([
    { seconds: 1, ended: 2, failed: 1, dropped: 2, inFlight: 3 },
    { seconds: 2, ended: 1, failed: 0, dropped: 3, inFlight: 1 },
    { seconds: 3, ended: 0, failed: 0, dropped: 0, inFlight: 1 },
  ]);
  expect(told.map(({ latency }) => Math.round(latency.max))).toEqual([400, 20, 0]);
  expect(clock.pendingTimers).toBe(0);
});
