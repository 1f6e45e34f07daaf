import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { DeadlineSweep } from "./deadline-sweep.ts";

function entries() {
  const expired: string[] = [];
  const entry = (name: string, deadlineAtMs: number) => ({
    deadlineAtMs,
    slot: -1,
    expire: () => void expired.push(name),
  });
  return { expired, entry };
}

test("what passes its deadline expires once, within one sweep", async () => {
  const clock = manualClock();
  const sweep = new DeadlineSweep(clock, 100);
  const { expired, entry } = entries();
  sweep.add(entry("early", 150));
  sweep.add(entry("late", 950));
  await clock.advance(149);
  expect(expired).toEqual([]);
  await clock.advance(101);
  expect(expired).toEqual(["early"]);
  await clock.advance(10_000);
  expect(expired).toEqual(["early", "late"]);
  expect(sweep.size).toBe(0);
});

test("what is taken out in time never expires, and an empty sweep holds no timer", async () => {
  const clock = manualClock();
  const sweep = new DeadlineSweep(clock, 100);
  const { expired, entry } = entries();
  const one = entry("one", 50);
  sweep.add(one);
  sweep.delete(one);
  await clock.advance(1000);
  expect(expired).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});
