import fc from "fast-check";
import { expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { attemptsOf, failureKind, failureOf, poisonStep } from "./poison-step.ts";

const retry = { attemptsMax: 5, baseMs: 10, capMs: 1_000 };

/** Plays a partition with one batch whose messages fail when they are in `poison`. @returns what became of each */
function play(size: number, poison: ReadonlySet<number>) {
  const applied: number[] = [];
  const buried: number[] = [];
  let attemptsInAll = 0;
  const run = (from: number, until: number, isolateUntil: number | undefined): void => {
    const isolating = isolateUntil !== undefined;
    const messages = Array.from({ length: until - from }, (_, n) => from + n);
    for (let attempts = 1; ; attempts++) {
      attemptsInAll++;
      if (!messages.some((message) => poison.has(message))) {
        applied.push(...messages);
        return;
      }
      const step = poisonStep({
        kind: "counted",
        attempts,
        failures: attempts,
        messages: messages.length,
        isolating,
        retry,
        onPoison: "dead-letter",
        random: 0.5,
      });
      if (step.kind === "bury") {
        buried.push(...messages);
        return;
      }
      if (step.kind === "halve") {
        const middle = from + Math.floor(messages.length / 2);
        run(from, middle, until);
        run(middle, until, until);
        return;
      }
    }
  };
  run(0, size, undefined);
  return { applied, buried, attemptsInAll };
}

test("whatever is poison is buried, everything else is applied once, in order", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.array(fc.integer({ min: 0, max: 59 })), (size, bad) => {
      const poison = new Set(bad.filter((n) => n < size));
      const { applied, buried } = play(size, poison);
      const all = Array.from({ length: size }, (_, n) => n);
      expect(buried).toEqual(all.filter((n) => poison.has(n)));
      expect(applied).toEqual(all.filter((n) => !poison.has(n)));
    }),
  );
});

test("one poison message in a batch is found in few attempts", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999 }), (n) => {
      expect(play(1_000, new Set([n])).attemptsInAll).toBeLessThanOrEqual(retry.attemptsMax + 2 * 10 + 3);
    }),
  );
});

const base = { attempts: 1, failures: 1, messages: 1, isolating: false, retry, random: 0 } as const;

test("what is the world's fault is tried again for ever, with pauses up to the cap", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (n, random) => {
        const step = poisonStep({ ...base, kind: "passing", failures: n, onPoison: "dead-letter", random });
        expect(step.kind).toBe("again");
        if (step.kind === "again") {
          expect(step.afterMs).toBeGreaterThan(0);
          expect(step.afterMs).toBeLessThanOrEqual(retry.capMs);
        }
      },
    ),
  );
});

test("what is permanent is not tried again, and a partition that is to stop waits at the message", () => {
  expect(poisonStep({ ...base, kind: "permanent", onPoison: "dead-letter" })).toEqual({ kind: "bury" });
  expect(poisonStep({ ...base, kind: "permanent", messages: 2, onPoison: "dead-letter" })).toEqual({
    kind: "halve",
  });
  expect(poisonStep({ ...base, kind: "permanent", onPoison: "stop-partition" })).toEqual({
    kind: "again",
    afterMs: 500,
    stopped: true,
  });
});

test("a piece has one attempt, a message alone a few, and a batch all of its own", () => {
  expect(attemptsOf({ messages: 2, isolating: true, retry })).toBe(1);
  expect(attemptsOf({ messages: 1, isolating: true, retry })).toBe(3);
  expect(attemptsOf({ messages: 1, isolating: true, retry: { ...retry, attemptsMax: 2 } })).toBe(2);
  expect(attemptsOf({ messages: 1, isolating: false, retry })).toBe(5);
});

test.each([
  ["a plain error", new Error("no"), "counted"],
  ["something that is no error", "no", "counted"],
  ["a server that is away", new HoldfastError("HOLDFAST_UNAVAILABLE", "away"), "passing"],
  ["a full pool", new HoldfastError("HOLDFAST_OVERLOADED", "full"), "passing"],
  ["an unknown COMMIT", new HoldfastError("HOLDFAST_OUTCOME_UNKNOWN", "?"), "counted"],
  ["a deadline", new HoldfastError("HOLDFAST_DEADLINE", "late"), "counted"],
  [
    "a deadline before anything was sent",
    new HoldfastError("HOLDFAST_DEADLINE", "late", { outcome: "not-applied" }),
    "counted",
  ],
  ["a bad value", new HoldfastError("HOLDFAST_INPUT_INVALID", "bad"), "permanent"],
  ["a constraint", new HoldfastError("HOLDFAST_SQL_CONFLICT", "taken"), "permanent"],
  ["a right that is missing", new HoldfastError("HOLDFAST_SQL_PERMISSION", "no"), "passing"],
  ["a loss by failover", new HoldfastError("HOLDFAST_WRITE_LOST", "lost"), "passing"],
])("%s is %3$s", (_, error, kind) => {
  expect(failureKind(error)).toBe(kind);
  expect(failureOf(error).message.length).toBeGreaterThan(0);
});
