import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { teardown } from "./teardown.ts";

test("what was started last is undone first, whatever fails, and once", async () => {
  const done: string[] = [];
  const failures: unknown[] = [];
  const all = teardown({ clock: manualClock(), drainMs: 100, failed: (error) => failures.push(error) });
  all.push(() => void done.push("first"));
  all.push(() => {
    throw new Error("stuck");
  });
  all.push(async () => void done.push("last"));
  await Promise.all([all.run(), all.run()]);
  expect(done).toEqual(["last", "first"]);
  expect(failures).toEqual([new Error("stuck")]);
});

test("the time to drain is one for everything, and nothing when there is a hurry", async () => {
  const clock = manualClock();
  const given: number[] = [];
  const all = teardown({ clock, drainMs: 100, failed: () => {} });
  all.push((drainMs) => void given.push(drainMs()));
  all.push(async (drainMs) => {
    given.push(drainMs());
    all.hurry();
  });
  all.push(async (drainMs) => {
    given.push(drainMs());
    await clock.advance(70);
  });
  await all.run();
  expect(given).toEqual([100, 30, 0]);
});
