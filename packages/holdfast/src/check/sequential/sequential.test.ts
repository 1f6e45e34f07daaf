import { expect, test } from "vitest";
import { seededRandom } from "../../clock/index.ts";
import { history } from "../fixtures/hand-made.ts";
import { naiveQueue, naiveRegister } from "../fixtures/naive-objects.ts";
import { isSequential, smallHistory } from "../fixtures/small-histories.ts";
import { pairEvents } from "../history/pairing.ts";
import { queueModel } from "../linearizable/models/queue.ts";
import { casRegisterModel, registerModel } from "../linearizable/models/register.ts";
import { checkSequential } from "./check-sequential.ts";

test("a stale read is sequential, though not linearizable", () => {
  const { operations } = history("0 write 1", "0 write 2", "1 read 1");
  expect(checkSequential(registerModel(), operations).verdict).toBe("ok");
});

test("a process that goes back in time is not", () => {
  const { operations } = history("0 write 1", "0 write 2", "1 read 2", "1 read 1");
  const { verdict, witnesses } = checkSequential(registerModel(), operations);
  expect(verdict).toBe("illegal");
  expect(witnesses[0]?.operations.map(({ label }) => label)).toEqual([
    "write 1",
    "write 2",
    "read -> 2",
    "read -> 1",
  ]);
});

test("each object may be sequential, and the whole not", () => {
  const { operations } = history("0 write x 1", "0 read y nil", "1 write y 1", "1 read x nil");
  expect(checkSequential(registerModel(), operations).verdict).toBe("illegal");
  for (const key of ["x", "y"]) {
    const part = operations.filter((operation) => operation.key === key);
    expect(checkSequential(registerModel(), part).verdict).toBe("ok");
  }
});

test("when time ends first, the verdict is unknown and says so", () => {
  let nowMs = 0;
  const steps = Array.from({ length: 3_000 }, (_, i) => `${i % 30} write ${i}`);
  const { operations } = history(...steps, "31 read 1", "31 read 2", "31 read 1");
  const result = checkSequential(registerModel(), operations, {
    nowMs: () => nowMs++,
    budget: { timeMs: 5 },
  });
  expect(result.verdict).toBe("unknown");
  expect(result.reason).toContain("timeMs 5");
});

test.each([
  ["cas-register", casRegisterModel(), naiveRegister],
  ["queue", queueModel, naiveQueue],
] as const)("%s: the same verdict as trying every order", { timeout: 60_000 }, (_, model, twin) => {
  const seed = 1979;
  const random = seededRandom(seed);
  let illegal = 0;
  for (let round = 0; round < 5_000; round++) {
    const events = smallHistory(twin, random, 2 + (round % 5));
    const { operations } = pairEvents(events);
    const expected = isSequential(twin, operations) ? "ok" : "illegal";
    const { verdict } = checkSequential(model, operations);
    if (verdict !== expected)
      expect.fail(
        `seed ${seed}, round ${round}: ${verdict}, expected ${expected}\n${JSON.stringify(events)}`,
      );
    if (expected === "illegal") illegal++;
  }
  expect(illegal).toBeGreaterThan(100);
});
