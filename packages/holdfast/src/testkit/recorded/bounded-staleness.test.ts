import fc from "fast-check";
import { expect, test } from "vitest";
import type { Operation } from "../../check/index.ts";
import { boundedStaleness } from "./bounded-staleness.ts";

type Did = readonly [f: "write" | "read", version: number, callMs: number, returnMs: number];

function operations(done: readonly Did[], key = "a"): Operation[] {
  return done.map(([f, output, callMs, returnMs], index) => ({
    process: index,
    f,
    key,
    input: null,
    output,
    outcome: "ok",
    callIndex: 2 * index,
    returnIndex: 2 * index + 1,
    callNs: callMs * 1e6,
    returnNs: returnMs * 1e6,
  }));
}

const verdict = (boundMs: number, done: readonly Did[]) =>
  boundedStaleness(boundMs).check(operations(done)).verdict;

test("an old version may be read until the bound has passed, and not later", () => {
  const write: Did = ["write", 1, 0, 10];
  expect(verdict(100, [write, ["read", 0, 110, 120]])).toBe("ok");
  expect(verdict(100, [write, ["read", 0, 111, 120]])).toBe("illegal");
  expect(verdict(100, [write, ["read", 1, 111, 120]])).toBe("ok");
  // A write under way is no reason, and a newer version is always good.
  expect(
    verdict(100, [
      ["write", 1, 0, 500],
      ["read", 0, 200, 600],
    ]),
  ).toBe("ok");
  expect(verdict(0, [write, ["write", 2, 20, 90], ["read", 2, 30, 40]])).toBe("ok");
});

test("the witness says which version was missed and by how much", () => {
  const [witness] = boundedStaleness(100).check(
    operations([
      ["write", 3, 0, 10],
      ["read", 2, 400, 410],
    ]),
  ).witnesses;
  expect(witness?.summary).toBe("A read of a saw version 2, 390 ms after version 3 had been acknowledged.");
});

test("it agrees with asking for each pair", () => {
  const moment = fc.integer({ min: 0, max: 40 });
  const did = fc
    .tuple(fc.constantFrom("write" as const, "read" as const), fc.integer({ min: 0, max: 5 }), moment, moment)
    .map(([f, version, a, b]): Did => [f, version, Math.min(a, b), Math.max(a, b)]);
  fc.assert(
    fc.property(fc.array(did, { maxLength: 12 }), fc.integer({ min: 0, max: 20 }), (done, boundMs) => {
      const stale = done.some(
        ([f, seen, callMs]) =>
          f === "read" &&
          done.some(([g, made, , endMs]) => g === "write" && endMs + boundMs < callMs && made > seen),
      );
      expect(verdict(boundMs, done)).toBe(stale ? "illegal" : "ok");
    }),
  );
});
