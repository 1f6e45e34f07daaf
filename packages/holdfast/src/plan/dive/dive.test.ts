import fc from "fast-check";
import { expect, test } from "vitest";
import type { Requirements } from "../../parts/requirements/index.ts";
import { roundTable } from "../fixtures/round-table.ts";
import { makePlan } from "../plan.ts";
import { readRequirements } from "../requirements/read.ts";

const base: Requirements = {
  operations: {
    read: {
      does: "read",
      ratePerSecond: 1,
      peakFactor: 1,
      path: ["edge", "api", "store"],
      consistency: "eventual",
    },
    write: {
      does: "write",
      ratePerSecond: 1,
      peakFactor: 1,
      path: ["edge", "api", "store", { part: "log", async: true }],
      idempotent: "by-key",
    },
  },
  parts: {
    edge: { kind: "gateway", instances: 2 },
    api: { kind: "service", instances: 2 },
    store: { kind: "database", nodes: 1, replicas: 1 },
    log: { kind: "topic", limit: 10 },
  },
};
const planOf = (change: Partial<Requirements> = {}) =>
  makePlan(readRequirements({ ...base, ...change }), { capacity: roundTable });
const availability = (operation: string, change: Partial<Requirements> = {}) =>
  planOf(change).availability.find((one) => one.operation === operation);
const latency = (operation: string, change: Partial<Requirements> = {}) =>
  planOf(change).latency.find((one) => one.operation === operation);

test("availability: copies in parallel, parts in series, the region with them", () => {
  // One of two at 99.9 % each, three times; the region at 99.99 %.
  const pair = 1 - 0.001 ** 2;
  expect(availability("read")?.availability.mid).toBeCloseTo(pair ** 3 * 0.9999, 12);
});

test("a write needs the primary, or the time until a replica has taken over", () => {
  // 30 s of an hour that a server is usually gone.
  const primary = 1 - 0.001 * (30 / 3_600);
  const pair = 1 - 0.001 ** 2;
  expect(availability("write")?.availability.mid).toBeCloseTo(pair ** 2 * primary * 0.9999, 12);
});

test("what nobody waits for takes nothing from an operation's availability or latency", () => {
  expect(availability("write")?.parts.map(({ part }) => part)).not.toContain("log");
  expect(latency("write")?.hops.map(({ part }) => part)).not.toContain("log");
});

test("a second region stands in for the first", () => {
  const one = availability("read")?.availability.mid ?? 0;
  const two = availability("read", { regions: 2 })?.availability.mid ?? 0;
  expect(two / one).toBeCloseTo((1 - 0.0001 ** 2) / 0.9999, 9);
});

test("minutes of budget a month: 99.9 % leave 43.83", () => {
  expect(availability("read", { availability: "99.9 %" })?.budgetMinutesPerMonth).toBeCloseTo(43.83, 2);
});

test("latency: the mean is the sum over hops, the slowest hundredth lies between its bounds", () => {
  const read = latency("read");
  // Three hops of 1 ms and 0.5 ms of network each; at one call a second nobody waits.
  expect(read?.meanMs?.mid).toBeCloseTo(4.5, 2);
  const sum = read?.hops.reduce((total, { p99Ms }) => total + (p99Ms?.mid ?? 0), 0) ?? 0;
  expect(read?.p99Ms?.mid).toBeLessThan(sum);
  expect(read?.p99Ms?.mid).toBeGreaterThan(
    Math.max(...(read?.hops ?? []).map(({ p99Ms }) => p99Ms?.mid ?? 0)),
  );
});

test("ten calls at once: the slowest of them, and 9.56 % with a slow one, far fewer when each is hedged", () => {
  const path = [{ part: "store", calls: 10 }];
  const many = latency("read", { operations: { read: { ...base.operations.read, does: "read", path } } });
  expect(many?.slowShare).toBeCloseTo(1 - 0.99 ** 10, 12);
  expect(many?.hedged.slowShare).toBeLessThan((many?.slowShare ?? 0) / 3);
  expect(many?.hedged.addedLoad).toBeCloseTo(0.05);
  // 1 + 1/2 + … + 1/10 of the mean of one.
  expect(many?.meanMs?.mid).toBeCloseTo(2.929 + 0.5, 2);
});

test("one after another takes as long as all of them together", () => {
  const path = [{ part: "store", calls: 10, order: "one-by-one" as const }];
  const many = latency("read", { operations: { read: { ...base.operations.read, does: "read", path } } });
  expect(many?.meanMs?.mid).toBeCloseTo(15, 1);
});

test("a part promises by its kind, its copies and how they follow", () => {
  const promise = (name: string, store: object) =>
    planOf({ parts: { ...base.parts, store: store as never } }).promises.find(({ part }) => part === name);
  expect(promise("store", { kind: "database", replicas: 1 })).toMatchObject({
    pacelc: "PC/EL",
    loss: expect.stringContaining("had not yet received"),
  });
  expect(promise("store", { kind: "database", replicas: 1, replication: "synchronous" })).toMatchObject({
    pacelc: "PC/EC",
    loss: "nothing acknowledged",
  });
  expect(promise("store", { kind: "database", replicas: 0 })?.loss).toBe("when its disk is lost, everything");
  expect(promise("api", { kind: "database", replicas: 0 })).toMatchObject({ pacelc: "none" });
});

/** P(a sum of independent exponential times with these different means is longer than t). */
function sumSlowerThan(means: readonly number[], t: number): number {
  return means.reduce((sum, mean, i) => {
    const weight = means.reduce((all, other, j) => (i === j ? all : (all * mean) / (mean - other)), 1);
    return sum + weight * Math.exp(-t / mean);
  }, 0);
}

test("the slowest hundredth of the whole is that of the sum of its hops", () => {
  // Hardly any load: no waits, so three exponential times and three times the network.
  const parts = {
    edge: { kind: "gateway", instances: 2, serviceMs: 0.1 },
    api: { kind: "service", instances: 2, serviceMs: 0.2 },
    store: { kind: "database", nodes: 1, replicas: 1, serviceMs: 2 },
  } as const;
  const operations = {
    read: { does: "read", ratePerSecond: 0.001, path: ["edge", "api", "store"], consistency: "eventual" },
  } as const;
  const found = latency("read", { parts, operations });
  let exact = 0;
  while (sumSlowerThan([0.1, 0.2, 2], exact) > 0.01) exact += 0.001;
  expect(found?.p99Ms?.mid).toBeGreaterThan(0.97 * (exact + 1.5));
  expect(found?.p99Ms?.mid).toBeLessThan(1.03 * (exact + 1.5));
});

test("a hop that seldom happens makes the whole no slower than all its hops at their slowest", () => {
  const operations = {
    read: {
      does: "read",
      ratePerSecond: 1,
      path: ["edge", "api", "hot", { part: "store", onMissOf: "hot" }],
      consistency: "eventual",
    },
  } as const;
  const parts = { ...base.parts, hot: { kind: "cache" } } as const;
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.99, noNaN: true }), (hitRatio) => {
      const data = { texts: { in: "store", itemBytes: 100, items: 1_000, hitRatio } };
      const found = latency("read", { operations, parts, data });
      const p99s = found?.hops.map(({ p99Ms }) => p99Ms?.mid ?? Number.NaN) ?? [];
      const whole = found?.p99Ms?.mid ?? Number.NaN;
      expect(whole).toBeGreaterThanOrEqual(Math.max(...p99s));
      expect(whole).toBeLessThanOrEqual(p99s.reduce((sum, one) => sum + one, 0) + 1e-9);
    }),
    { numRuns: 50 },
  );
});

test("a database without a replica has none that goes on answering", () => {
  const parts = { ...base.parts, store: { kind: "database", nodes: 1, replicas: 0 } } as const;
  const store = planOf({ parts }).promises.find(({ part }) => part === "store");
  expect(store).toMatchObject({
    pacelc: "PC/EC",
    underPartition: "nothing can be read or written where its one copy cannot be reached",
  });
});

test("what a cache answers does not wait for the store behind it", () => {
  const path = ["edge", "api", "hot", { part: "store", onMissOf: "hot" }];
  const found = availability("read", {
    operations: { read: { does: "read", ratePerSecond: 1, path, consistency: "eventual" } },
    parts: {
      ...base.parts,
      store: { kind: "database", nodes: 1, replicas: 0 },
      hot: { kind: "cache", nodes: 2 },
    },
    data: { texts: { in: "store", itemBytes: 100, items: 1_000, hitRatio: 0.9 } },
  });
  expect(found?.parts.find(({ part }) => part === "store")?.availability.mid).toBeCloseTo(
    1 - 0.1 * 0.001,
    12,
  );
});

test("a part that is read and then written is up when it can be written", () => {
  const path = ["edge", "api", { part: "store", does: "read", level: "eventual" }, "store"] as const;
  const operations = { write: { does: "write", ratePerSecond: 1, path, idempotent: "by-key" } } as const;
  const found = availability("write", { operations });
  expect(found?.parts.find(({ part }) => part === "store")?.how).toBe(
    "the primary, or a replica that took over",
  );
});

test("keys on several shards are calls of several shards, and the slowest of them counts", () => {
  const parts = { ...base.parts, store: { kind: "database", nodes: 4, replicas: 1 } } as const;
  const read = (keys: number) =>
    latency("read", {
      parts,
      operations: {
        read: { does: "read", ratePerSecond: 1, path: ["edge", "api", { part: "store", keys }] },
      },
    });
  expect(read(1)?.calls).toBe(3);
  expect(read(50)?.calls).toBeCloseTo(6, 3);
  expect(read(50)?.p99Ms?.mid).toBeGreaterThan(read(1)?.p99Ms?.mid ?? Number.NaN);
});
