import fc from "fast-check";
import { expect, test } from "vitest";
import { type HealthEvent, healthDefaults, healthy, isHealthy, stepHealth } from "./health-step.ts";

const after = (events: readonly HealthEvent[]) => events.reduce(stepHealth, healthy);
const ready = { kind: "check", answer: "ready" } as const;
const failed = { kind: "check", answer: "failed" } as const;

test("one slow check is forgiven, two in a row are not, and one good one heals", () => {
  expect(isHealthy(after([failed]), 0)).toBe(true);
  expect(isHealthy(after([failed, ready, failed]), 0)).toBe(true);
  expect(isHealthy(after([failed, failed]), 0)).toBe(false);
  expect(isHealthy(after([failed, failed, ready]), 0)).toBe(true);
});

test("a refused connection needs no second check, and draining none at all", () => {
  expect(isHealthy(after([{ kind: "check", answer: "refused" }]), 0)).toBe(false);
  expect(isHealthy(after([{ kind: "check", answer: "draining" }]), 0)).toBe(false);
  expect(isHealthy(after([{ kind: "check", answer: "draining" }, { kind: "answered" }]), 0)).toBe(false);
});

test("broken connections take an instance out for a time that doubles up to a bound", () => {
  let health = healthy;
  let nowMs = 0;
  const outs: number[] = [];
  for (let i = 0; i < 8; i++) {
    health = stepHealth(health, { kind: "broken", nowMs });
    outs.push(health.outUntilMs - nowMs);
    expect(isHealthy(health, health.outUntilMs - 1)).toBe(false);
    nowMs = health.outUntilMs;
    expect(isHealthy(health, nowMs)).toBe(true);
  }
  expect(outs).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test("connections that break together count as one failure, and an answer forgives all", () => {
  const broken = { kind: "broken", nowMs: 5 } as const;
  const health = after(Array.from({ length: 64 }, () => broken));
  expect(health.outUntilMs).toBe(5 + healthDefaults.outMs);
  expect(stepHealth(health, { kind: "answered" })).toEqual(healthy);
});

test("whatever happened, a check that says ready makes it healthy again", () => {
  const event: fc.Arbitrary<HealthEvent> = fc.oneof(
    fc.record({
      kind: fc.constant("check" as const),
      answer: fc.constantFrom("ready" as const, "draining" as const, "failed" as const, "refused" as const),
    }),
    fc.record({ kind: fc.constant("broken" as const), nowMs: fc.nat(100_000) }),
    fc.constant({ kind: "answered" as const }),
  );
  fc.assert(
    fc.property(fc.array(event), (events) => {
      expect(isHealthy(stepHealth(after(events), ready), 0)).toBe(true);
    }),
  );
});
