import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { until } from "./wait.ts";

test("resolves with the first answer that is something, and an error counts as not yet", async () => {
  const clock = manualClock();
  let looks = 0;
  const waiting = until(
    () => {
      looks++;
      if (looks === 1) throw new Error("not listening");
      return looks < 4 ? false : `look ${looks}`;
    },
    { clock, everyMs: 20 },
  );
  await clock.advance(60);
  expect(await waiting).toBe("look 4");
  expect(looks).toBe(4);
});

test("0 and the empty string are answers", async () => {
  expect(await until(() => 0)).toBe(0);
  expect(await until(() => "")).toBe("");
});

test("gives up after its bound, naming what it waited for and the last error", async () => {
  const clock = manualClock();
  const last = new Error("not listening");
  const waiting = until(() => Promise.reject(last), { clock, timeoutMs: 100, what: "the gateway" });
  const failure = expect(waiting).rejects.toMatchObject({
    message: "the gateway did not hold within 100 ms",
    cause: last,
  });
  await clock.advance(200);
  await failure;
  expect(clock.pendingTimers).toBe(0);
});
