import { expect, test } from "vitest";
import { HoldfastError } from "./holdfast-error.ts";
import { type Idempotence, mayRetry, mayRetryAfter } from "./retry-rule.ts";
import { escapedError, escapeHeaders, readFailedAnswer, refusalHeaders } from "./wire-outcome.ts";

const how: readonly Idempotence[] = ["nature", "key", "fencing-token", "no"];

test("the whole table", () => {
  const rows = (["applied", "not-applied", "unknown"] as const).flatMap((outcome) =>
    [false, true].map((permanent) => [
      outcome,
      permanent ? "permanent" : "transient",
      how.filter((idempotent) => mayRetry(outcome, permanent, idempotent)).join(" "),
    ]),
  );
  expect(rows).toEqual([
    ["applied", "transient", ""],
    ["applied", "permanent", ""],
    ["not-applied", "transient", "nature key fencing-token no"],
    ["not-applied", "permanent", ""],
    ["unknown", "transient", "nature key fencing-token"],
    ["unknown", "permanent", ""],
  ]);
});

test("an error decides by its code, unless the place that threw it knew better", () => {
  const lost = new HoldfastError("HOLDFAST_CONNECTION_LOST", "lost");
  expect(mayRetryAfter(lost, "no")).toBe(false);
  expect(mayRetryAfter(lost, "key")).toBe(true);
  const early = new HoldfastError("HOLDFAST_CONNECTION_LOST", "early", { outcome: "not-applied" });
  expect(mayRetryAfter(early, "no")).toBe(true);
  const gaveUp = new HoldfastError("HOLDFAST_UNAVAILABLE", "no", { permanent: true });
  expect(mayRetryAfter(gaveUp, "nature")).toBe(false);
  expect(mayRetryAfter(new Error("anything"), "no")).toBe(false);
  expect(mayRetryAfter(new Error("anything"), "nature")).toBe(true);
});

test("a refusal before the handler is believed for one hop; what escapes the handler above it is unknown", () => {
  const refusal = new HoldfastError("HOLDFAST_OVERLOADED", "full");
  const over = (headers: Record<string, string>) => readFailedAnswer((name) => headers[name]);
  expect(over(refusalHeaders(refusal))).toEqual({ outcome: "not-applied", permanent: false });
  expect(over(escapeHeaders(refusal))).toEqual({ outcome: "unknown", permanent: false });
  expect(escapedError(refusal)).toMatchObject({ outcome: "unknown", permanent: false, cause: refusal });
});

test("a hop that gave up says so to those above it", () => {
  const exhausted = new HoldfastError("HOLDFAST_RETRIES_EXHAUSTED", "no", { outcome: "not-applied" });
  expect(escapeHeaders(exhausted)).toEqual({ "holdfast-retry": "no" });
  expect(escapedError(exhausted)).toMatchObject({ outcome: "unknown", permanent: true });
  expect(mayRetryAfter(escapedError(exhausted), "key")).toBe(false);
  expect(readFailedAnswer((name) => refusalHeaders(exhausted)[name])).toEqual({
    outcome: "not-applied",
    permanent: true,
  });
});

test("an answer that says nothing is unknown", () => {
  expect(readFailedAnswer(() => undefined)).toEqual({ outcome: "unknown", permanent: false });
  expect(readFailedAnswer(() => "applied")).toEqual({ outcome: "unknown", permanent: false });
});
