import fc from "fast-check";
import { expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { queueDefaults } from "./options.ts";
import { failureCharsMax, failureOf, retryStep } from "./retry-step.ts";

const { retry } = queueDefaults;
const unavailable = new HoldfastError("HOLDFAST_UNAVAILABLE", "Away. Wait.");
const invalid = new HoldfastError("HOLDFAST_INPUT_INVALID", "Wrong. Mend it.");
const slow = new HoldfastError("HOLDFAST_ATTEMPT_TIMEOUT", "Too slow.");
const late = new HoldfastError("HOLDFAST_DEADLINE", "Too late.");
const stray = new Error("anything");

test.each([
  { what: "not applied", error: unavailable, unknown: "dead-letter", kind: "retry" },
  { what: "permanent", error: invalid, unknown: "retry", kind: "dead" },
  { what: "unknown", error: stray, unknown: "retry", kind: "retry" },
  { what: "unknown, for people", error: stray, unknown: "dead-letter", kind: "dead" },
  { what: "an attempt that took too long", error: slow, unknown: "retry", kind: "retry" },
  { what: "an attempt that took too long, for people", error: slow, unknown: "dead-letter", kind: "dead" },
  { what: "a call of the attempt that came too late", error: late, unknown: "retry", kind: "retry" },
] as const)("$what: $kind", ({ error, unknown, kind }) => {
  expect(retryStep(error, 1, 0.5, { ...retry, unknown }).kind).toBe(kind);
});

test("the pause is drawn below a bound that doubles up to its cap; the last attempt has none", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0, max: 0.999_999, noNaN: true }),
      fc.integer({ min: 1, max: 30 }),
      (attempt, draw, attemptsMax) => {
        const end = retryStep(unavailable, attempt, draw, { ...retry, attemptsMax });
        expect(end.kind).toBe(attempt >= attemptsMax ? "dead" : "retry");
        if (end.kind !== "retry") return;
        expect(end.afterMs).toBeGreaterThanOrEqual(0);
        expect(end.afterMs).toBeLessThanOrEqual(Math.min(retry.capMs, retry.baseMs * 2 ** (attempt - 1)));
      },
    ),
  );
});

test("what is kept of an error has a bound and no NUL characters", () => {
  expect(failureOf(unavailable)).toEqual({
    code: "HOLDFAST_UNAVAILABLE",
    message: "Away. Wait.",
    outcome: "not-applied",
  });
  expect(failureOf("just text")).toEqual({ code: "ERROR", message: "just text", outcome: "unknown" });
  const long = failureOf(new Error(`a\0b${"x".repeat(5_000)}`));
  expect(long.message).toHaveLength(failureCharsMax);
  expect(long.message.startsWith("ab")).toBe(true);
  expect(failureOf(undefined).message).toBe("undefined");
});
