/** Each kind of finding comes out of the figures: it is there when they say so, and gone when they do not. */
import { expect, test } from "vitest";
import type { Requirements } from "../../parts/requirements/index.ts";
import { roundTable } from "../fixtures/round-table.ts";
import { makePlan } from "../plan.ts";
import { readRequirements } from "../requirements/read.ts";
import type { DeclaredParts } from "../requirements/read-part.ts";
import { type FindingKind, findingKinds } from "./kinds.ts";

/** A quiet system: one service, one database, both with stand-ins, little load, everything said. */
const quiet: Requirements = {
  operations: {
    read: {
      does: "read",
      ratePerSecond: 10,
      peakFactor: 2,
      requestBytes: 100,
      responseBytes: 100,
      path: ["edge", "api", "store"],
      p99Ms: "1 s",
      consistency: "session",
      retries: 0,
    },
  },
  data: { texts: { in: "store", itemBytes: "1 kB", items: 1_000, durability: "rebuildable", skew: 1 } },
  parts: {
    edge: { kind: "gateway", instances: 2 },
    api: { kind: "service", instances: 2 },
    store: { kind: "database", nodes: 1, replicas: 1, backup: { everyHours: 1, restoredInHours: 1 } },
  },
  availability: "99 %",
  regions: 2,
};

const backup = { everyHours: 1, restoredInHours: 1 };
const large: Requirements["data"] = { texts: { in: "store", itemBytes: "1 MB", items: "5 M", skew: 1 } };

type Operation = Requirements["operations"][string];
const read = quiet.operations.read as Operation;
const withRead = (change: Partial<Operation>, more: Partial<Requirements> = {}): Requirements => ({
  ...quiet,
  ...more,
  operations: { read: { ...read, ...change } },
});
const withPart = (name: string, part: object, more: Partial<Requirements> = {}): Requirements => ({
  ...quiet,
  ...more,
  parts: { ...quiet.parts, [name]: part as never },
});
const write: Operation = { ...read, does: "write", idempotent: "by-key" };

function find(requirements: Requirements, declared?: DeclaredParts) {
  const resolved = readRequirements(requirements, declared ? { declared } : {});
  return makePlan(resolved, { capacity: roundTable }).findings;
}
const ids = (requirements: Requirements, declared?: DeclaredParts) =>
  find(requirements, declared).map(({ id }) => id);

test("a quiet system has nothing but the part that would come to its end first", () => {
  expect(ids(quiet)).toEqual(["saturates-first:api"]);
});

const feed = (followersMax: number, reads = 100): Requirements => ({
  ...quiet,
  dailyUsers: 1_000_000,
  operations: {
    read: { ...read, ratePerSecond: reads },
    post: {
      ...write,
      ratePerSecond: 10,
      path: ["edge", "api"],
      fanOut: {
        to: "feeds",
        by: "deliver",
        followers: { mean: 50, max: followersMax },
        readBy: "read",
        deliveredWithinMs: "1 s",
      },
    },
  },
  parts: {
    ...quiet.parts,
    feeds: { kind: "database", replicas: 1 },
    deliver: { kind: "worker", instances: 2 },
  },
});
const cached = (cache: object, data: object = {}): Requirements =>
  withRead(
    {
      ratePerSecond: 20_000,
      path: ["edge", "api", "hot", { part: "store", onMissOf: "hot" }],
      consistency: "eventual",
    },
    {
      parts: {
        ...quiet.parts,
        api: { kind: "service", instances: 200 },
        edge: { kind: "gateway", instances: 20 },
        hot: { kind: "cache", instances: 2, ...cache },
      },
      data: {
        texts: {
          in: "store",
          itemBytes: "1 kB",
          items: 1_000_000,
          durability: "rebuildable",
          skew: 1,
          hitRatio: "90 %",
          ...data,
        },
      },
    },
  );
const queued = (topic: object, worker: object): Requirements =>
  withRead(
    { does: "write", idempotent: "by-key", path: ["edge", "api", "log", { part: "deliver", async: true }] },
    {
      parts: {
        ...quiet.parts,
        log: { kind: "topic", ...topic },
        deliver: { kind: "worker", from: "log", instances: 2, ...worker },
      },
    },
  );

/** With the finding, and the same system without its cause. */
const cases: readonly (readonly [FindingKind, string, Requirements, Requirements])[] = [
  ["single-point-of-failure", "api", withPart("api", { kind: "service", instances: 1 }), quiet],
  ["single-point-of-failure", "store", withPart("store", { kind: "database", nodes: 1, replicas: 0 }), quiet],
  ["availability-missed", "read", { ...quiet, availability: "99.9999 %" }, quiet],
  ["one-region", "system", { ...quiet, regions: 1 }, quiet],
  ["under-capacity", "api", withRead({ ratePerSecond: 5_000 }), quiet],
  [
    "under-capacity",
    "store",
    withPart("store", { kind: "database", replicas: 1, shards: 2, backup }, { data: large }),
    withPart("store", { kind: "database", replicas: 1, shards: 64, backup }, { data: large }),
  ],
  [
    "connections-exhausted",
    "store",
    withPart("store", { kind: "database", nodes: 1, replicas: 1, serviceMs: "15 s" }),
    quiet,
  ],
  ["latency-missed", "read", withRead({ p99Ms: "1 ms" }), quiet],
  [
    "long-synchronous-chain",
    "read",
    withRead({ path: ["edge", "api", { part: "store", calls: 10 }] }),
    quiet,
  ],
  [
    "retry-storm",
    "api",
    withRead({ ratePerSecond: 700, retries: 2 }),
    withRead({ ratePerSecond: 100, retries: 2 }),
  ],
  [
    "hot-key",
    "texts",
    withRead(
      { ratePerSecond: 100_000 },
      { data: { texts: { in: "store", itemBytes: 10, items: 100, durability: "rebuildable", skew: 1 } } },
    ),
    quiet,
  ],
  [
    "hot-shard",
    "texts",
    withRead(
      { ratePerSecond: 36_000 },
      {
        parts: {
          ...quiet.parts,
          store: { kind: "database", nodes: 10, replicas: 1, backup: { everyHours: 1, restoredInHours: 1 } },
        },
        data: { texts: { in: "store", itemBytes: 10, items: 1_000, durability: "rebuildable", skew: 1 } },
      },
    ),
    withRead(
      { ratePerSecond: 36_000 },
      {
        parts: {
          ...quiet.parts,
          store: { kind: "database", nodes: 10, replicas: 1, backup: { everyHours: 1, restoredInHours: 1 } },
        },
        data: { texts: { in: "store", itemBytes: 10, items: 1_000, durability: "rebuildable", skew: 0 } },
      },
    ),
  ],
  ["celebrity-fan-out", "post", feed(500_000), feed(200)],
  ["dear-fan-out", "post", feed(500_000, 0.01), feed(500_000)],
  ["unbounded-queue", "log", queued({ limit: "none" }, {}), queued({ limit: 1_000 }, {})],
  [
    "slow-drain",
    "log",
    queued({ limit: 1_000 }, { instances: 1, serviceMs: "90 ms" }),
    queued({ limit: 1_000 }, {}),
  ],
  ["stampede-on-expiry", "hot", cached({}), cached({ singleFlight: true })],
  [
    "small-cache",
    "hot",
    cached({ singleFlight: true, maxBytes: "1 MB" }),
    cached({ singleFlight: true, maxBytes: "1 GB" }),
  ],
  [
    "cross-shard-operation",
    "read.store",
    withRead(
      { path: ["edge", "api", { part: "store", keys: 5 }] },
      { parts: { ...quiet.parts, store: { ...quiet.parts?.store, kind: "database", nodes: 4 } } },
    ),
    quiet,
  ],
  [
    "stale-read",
    "read.store",
    withRead({ consistency: "strong", path: ["edge", "api", { part: "store", level: "eventual" }] }),
    quiet,
  ],
  [
    "needless-strong-read",
    "read.store",
    withRead({ path: ["edge", "api", { part: "store", level: "strong" }] }),
    quiet,
  ],
  [
    "missing-idempotency",
    "read",
    withRead({ does: "write", idempotent: "no", retries: 1 }),
    withRead({ does: "write", idempotent: "by-key", retries: 1 }),
  ],
  [
    "no-backup",
    "store",
    {
      ...quiet,
      data: { texts: { in: "store", itemBytes: 1, durability: "critical" } },
      parts: { ...quiet.parts, store: { kind: "database", replicas: 1 } },
    },
    quiet,
  ],
  [
    "backup-never-restored",
    "store",
    {
      ...quiet,
      data: { texts: { in: "store", itemBytes: 1, durability: "critical" } },
      parts: { ...quiet.parts, store: { kind: "database", replicas: 1, backup: { everyHours: 24 } } },
    },
    quiet,
  ],
];

test("every kind has its case, but the one that is always told", () => {
  const tried = new Set(cases.map(([kind]) => kind));
  expect(Object.keys(findingKinds).filter((kind) => !tried.has(kind as FindingKind))).toEqual([
    "saturates-first",
  ]);
});

test.each(cases)("%s:%s comes with its cause and goes with it", (kind, subject, present, absent) => {
  const found = find(present).find(({ id }) => id === `${kind}:${subject}`);
  expect(ids(present)).toContain(`${kind}:${subject}`);
  expect(found?.evidence.length).toBeGreaterThan(0);
  expect(found?.remedy).toMatch(/.{20,}/);
  expect(found?.page).toBe(`docs/findings.md#${kind}`);
  expect(ids(absent)).not.toContain(`${kind}:${subject}`);
});

test("the worst come first", () => {
  const severities = find({ ...quiet, regions: 1, availability: "99.999 %" }).map(({ severity }) => severity);
  const order = ["critical", "warning", "note"];
  expect(severities).toEqual([...severities].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  expect(new Set(severities).size).toBeGreaterThan(1);
});

test("the cache that a system's code declares loads once for all, and its word keeps a session fresh", () => {
  const declared: DeclaredParts = new Map([["hot", { kind: "cache" as const }]]);
  const { hot: _, ...parts } = cached({}).parts ?? {};
  const fresh = { ...cached({}), parts };
  const found = ids(
    { ...fresh, operations: { read: { ...(fresh.operations.read as Operation), consistency: "session" } } },
    declared,
  );
  expect(found.filter((id) => id.startsWith("stampede") || id.startsWith("stale"))).toEqual([]);
});

test("retries that nothing bounds hold capacity ÷ (1 + retries) against the peak", () => {
  const storm = find(withRead({ ratePerSecond: 700, retries: 2 })).find(({ kind }) => kind === "retry-storm");
  const value = (name: string) => storm?.evidence.find((one) => one.name === name)?.mid;
  // Two services of 1,000/s each; 1,400/s at the peak; 2,000 ÷ 3 is where it recovers.
  expect(value("peak")).toBeCloseTo(1_400);
  expect(value("capacity")).toBeCloseTo(2_000);
  expect(value("recovers below")).toBeCloseTo(2_000 / 3);
});

test("what comes to its end first when load grows is told by what makes it busy, not by what it keeps", () => {
  const busy = withRead(
    { does: "write", idempotent: "by-key", ratePerSecond: 900 },
    { data: large, parts: { ...quiet.parts, store: { kind: "database", nodes: 1, replicas: 1, backup } } },
  );
  const found = find(busy);
  const first = found.find(({ kind }) => kind === "saturates-first");
  expect(first?.title).toMatch(/^(api|store) comes to its end first, by (calls|writes), at /);
  expect(found.find(({ id }) => id === "under-capacity:store")?.title).toBe(
    "store is declared with 1, and what it keeps needs 7",
  );
  expect(
    find(withPart("store", { kind: "database", nodes: 1, replicas: 1, backup, serviceMs: "15 s" })).find(
      ({ kind }) => kind === "connections-exhausted",
    )?.title,
  ).toBe("store has 150 calls at work on each node at the peak, and a node accepts 200 connections");
});
