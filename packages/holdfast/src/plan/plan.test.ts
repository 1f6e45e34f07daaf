import fc from "fast-check";
import { expect, test } from "vitest";
import type { Requirements } from "../parts/requirements/index.ts";
import { shippedCapacities } from "./capacity/shipped.ts";
import { roundTable } from "./fixtures/round-table.ts";
import { makePlan } from "./plan.ts";
import { readRequirements } from "./requirements/read.ts";

const blog: Requirements = {
  name: "blog",
  dailyUsers: 86_400,
  operations: {
    write: {
      does: "write",
      perUserPerDay: 10,
      peakFactor: 2,
      requestBytes: "1 kB",
      responseBytes: "100 B",
      path: ["edge", "api", "store", { part: "written" }, { part: "index", async: true }],
      idempotent: "by-key",
    },
    read: {
      does: "read",
      perOperation: { of: "write", ratio: "100:1" },
      peakFactor: 2,
      requestBytes: "200 B",
      responseBytes: "1 kB",
      path: ["edge", "api", "hot", { part: "store", onMissOf: "hot" }],
      consistency: "eventual",
    },
  },
  data: {
    texts: {
      in: "store",
      itemBytes: "1 kB",
      growsWith: "write",
      indexOverhead: "50 %",
      hitRatio: "80 %",
      skew: 1,
      activeItems: 1_000,
    },
  },
  parts: {
    edge: { kind: "gateway" },
    api: { kind: "service" },
    hot: { kind: "cache", ttlMs: "1 min" },
    store: { kind: "database", replicas: 1 },
    written: { kind: "topic", limit: 1_000 },
    index: { kind: "worker", from: "written" },
  },
  growthPerYear: 0,
  horizonYears: 2,
};

const planOf = (requirements: Requirements, scale = 1) =>
  makePlan(readRequirements(requirements), { capacity: roundTable, scale });
const plan = planOf(blog);
const mid = (id: string) => {
  const found = plan.estimates.find((estimate) => estimate.id === id);
  if (!found)
    throw new Error(`no estimate ${id}; there are ${plan.estimates.map((one) => one.id).join(", ")}`);
  return found.mid;
};

test("rates: users × actions ÷ 86,400, by the ratio, and at the peak", () => {
  expect(mid("operations.write.rate")).toBeCloseTo(10);
  expect(mid("operations.read.rate")).toBeCloseTo(1_000);
  expect(mid("operations.read.peak-rate")).toBeCloseTo(2_000);
});

test("storage: a day, a year, the horizon, with indexes and copies", () => {
  expect(mid("data.texts.bytes-per-day")).toBeCloseTo(864e6);
  expect(mid("data.texts.bytes-per-year")).toBeCloseTo(864e6 * 365);
  expect(mid("data.texts.bytes-at-horizon")).toBeCloseTo(864e6 * 730);
  expect(mid("data.texts.stored-at-horizon")).toBeCloseTo(864e6 * 730 * 1.5 * 2);
});

test("a cache takes its share of the reads away, and needs the memory of the most popular", () => {
  expect(mid("parts.store.reads")).toBeCloseTo(400);
  // The 80th percentile of a harmonic law over a thousand: H(n) is 80 % of H(1000) = 7.4855.
  const harmonic = (n: number) => Array.from({ length: n }, (_, k) => 1 / (k + 1)).reduce((a, b) => a + b, 0);
  const items = mid("data.texts.cache-items");
  expect(harmonic(items)).toBeGreaterThanOrEqual(0.8 * harmonic(1_000) - 1e-9);
  expect(harmonic(items - 1)).toBeLessThan(0.8 * harmonic(1_000));
  expect(mid("data.texts.cache-bytes")).toBe(items * 1_000);
});

test("instances by what one takes with headroom; calls at work by Little's law", () => {
  expect(mid("parts.api.instances")).toBe(Math.ceil(2_020 / (1_000 * 0.7)));
  expect(mid("parts.api.in-flight")).toBeCloseTo(2.02);
  expect(mid("parts.store.nodes-by-writes")).toBe(1);
  expect(mid("parts.store.connections")).toBeCloseTo((400 + 20) / 1_000);
});

test("what waits is worked off at what the consumers have to spare", () => {
  expect(mid("queues.written.drain")).toBeCloseTo((600_000 * 10) / (20_000 - 10));
});

test("every estimate shows its arithmetic, has an id of its own, and rises from low to high", () => {
  const ids = plan.estimates.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { id, low, mid: middle, high, how } of plan.estimates) {
    expect(how, id).not.toBe("");
    expect(low <= middle && middle <= high, id).toBe(true);
  }
});

test("more load never needs less", () => {
  const amount = fc.integer({ min: 1, max: 1_000_000 });
  const input = fc.record({
    users: amount,
    ratio: fc.integer({ min: 1, max: 1_000 }),
    bytes: amount,
    items: amount,
    hit: fc.integer({ min: 0, max: 99 }),
    scale: fc.double({ min: 1, max: 1_000, noNaN: true }),
  });
  // What is declared stays as it is, so its consumers have less to spare: the one figure that is no need.
  const falls = new Set(["queues.written.served", "queues.written.drain"]);
  fc.assert(
    fc.property(input, ({ users, ratio, bytes, items, hit, scale }) => {
      const some: Requirements = {
        ...blog,
        dailyUsers: users,
        operations: {
          ...blog.operations,
          read: {
            ...(blog.operations.read as Requirements["operations"][string]),
            perOperation: { of: "write", ratio },
          },
        },
        data: { texts: { in: "store", itemBytes: bytes, items, growsWith: "write", hitRatio: `${hit} %` } },
      };
      const read = readRequirements(some);
      const less = makePlan(read, { capacity: shippedCapacities });
      const more = makePlan(read, { capacity: shippedCapacities, scale });
      const after = new Map(more.estimates.map((estimate) => [estimate.id, estimate]));
      for (const estimate of less.estimates) {
        if (falls.has(estimate.id)) continue;
        const grown = after.get(estimate.id);
        for (const bound of ["low", "mid", "high"] as const) {
          expect(grown?.[bound], `${estimate.id} ${bound}`).toBeGreaterThanOrEqual(
            estimate[bound] * (1 - 1e-9),
          );
        }
      }
      const servers = (one: typeof less) => one.architecture.parts.map(({ count }) => count);
      servers(less).forEach((count, index) => {
        expect(servers(more)[index]).toBeGreaterThanOrEqual(count);
      });
    }),
    { numRuns: 60 },
  );
});

test("where the queue would grow without end there are no figures, and the plan says why", () => {
  const crowded = planOf({ ...blog, parts: { ...blog.parts, api: { kind: "service", instances: 1 } } });
  const read = crowded.latency.find(({ operation }) => operation === "read");
  expect(read?.p99Ms).toBeUndefined();
  expect(read?.notModelled).toMatch(/api: utilisation is 2\.02/);
  expect(crowded.findings.find(({ kind }) => kind === "under-capacity")).toMatchObject({
    severity: "critical",
    subject: "api",
  });
});

test("stages come with the load at which the model needs them", () => {
  const stage = (name: string) => plan.architecture.stages.find((one) => one.name === name);
  // One service takes 1,000/s, 700 with headroom; all calls go through it.
  expect(stage("balancer")?.fromPerSecond?.mid).toBeCloseTo(700);
  expect(stage("balancer")).toMatchObject({ needed: true, there: true });
  // One server answers 10,000 reads/s, 7,000 with headroom; 2,000 of 2,020 calls are reads.
  expect(stage("cache")?.fromPerSecond?.mid).toBeCloseTo((7_000 * 2_020) / 2_000);
  expect(stage("cache")?.needed).toBe(false);
  expect(stage("shards")?.fromPerSecond?.mid).toBeCloseTo((1e12 / (864e6 * 730 * 1.5)) * 2_020);
});

test("a limit on a cache makes it a small one, not one of many nodes", () => {
  const hot = (maxBytes: string) =>
    makePlan(
      readRequirements({
        operations: {
          read: {
            does: "read",
            ratePerSecond: 10,
            path: ["edge", "hot", { part: "store", onMissOf: "hot" }],
          },
        },
        data: { texts: { in: "store", itemBytes: "1 MB", items: "1 M", hitRatio: "90 %" } },
        parts: {
          edge: { kind: "gateway" },
          hot: { kind: "cache", maxBytes },
          store: { kind: "database" },
        },
      }),
      { capacity: roundTable },
    );
  const [small, large] = [hot("64 MB"), hot("10 TB")];
  const nodes = (plan: typeof small) =>
    plan.architecture.parts.find(({ part }) => part === "hot")?.needed.mid ?? 0;
  const small64 = small.findings.some(({ id }) => id === "small-cache:hot");
  expect([nodes(small), small64]).toEqual([1, true]);
  expect(nodes(large)).toBeGreaterThan(5);
  expect(large.findings.some(({ id }) => id === "small-cache:hot")).toBe(false);
});

test("observability is needed once more is away than the objective leaves", () => {
  const stage = (availability: number, ratePerSecond: number) =>
    makePlan(
      readRequirements({
        availability,
        operations: { read: { does: "read", ratePerSecond, peakFactor: 1, path: ["api"] } },
        parts: { api: { kind: "service" } },
      }),
      { capacity: roundTable },
    ).architecture.stages.find(({ name }) => name === "observability");
  // 43.83 minutes a month for each copy at 99.9 %, of a budget of 438.3 at 99 %: ten of them.
  const growing = stage(0.99, 3_500);
  expect(growing?.why).toContain("leaves 438 min/month");
  expect(growing?.fromPerSecond?.mid).toBeCloseTo((3_500 * 10) / 5, -1);
  expect(stage(0.9999, 1)?.fromPerSecond?.mid).toBe(0);
});
