import { expect, test } from "vitest";
import type { Requirements } from "../../parts/requirements/index.ts";
import { isRequirements, requirements } from "./declare.ts";
import { readRequirements } from "./read.ts";

function problemsOf(declaration: unknown): readonly string[] {
  try {
    readRequirements(declaration as Requirements);
    return [];
  } catch (error) {
    const { code, data } = error as { code: string; data: { problems: readonly string[] } };
    expect(code).toBe("HOLDFAST_REQUIREMENTS_INVALID");
    return data.problems;
  }
}

const one = { operations: { read: { does: "read", ratePerSecond: 10 } } } as const;

test("what is not said is assumed, and each assumption has its field and its source", () => {
  const read = readRequirements(one);
  expect(read.parts.map(({ name, kind }) => [name, kind])).toEqual([
    ["edge", "gateway"],
    ["api", "service"],
    ["store", "database"],
  ]);
  expect(read.operations[0]?.path.map(({ part }) => part)).toEqual(["edge", "api", "store"]);
  const assumed = new Map(read.assumptions.map((assumption) => [assumption.id, assumption]));
  for (const id of [
    "parts",
    "operations.read.path",
    "operations.read.peakFactor",
    "operations.read.p99Ms",
    "availability",
    "regions",
    "growthPerYear",
    "horizonYears",
  ]) {
    expect(assumed.get(id)?.source, id).toMatch(/.{10,}/);
    expect(assumed.get(id)?.by).toBe("planner");
  }
});

test("what is said is not assumed", () => {
  const read = readRequirements({
    ...one,
    availability: "99 %",
    regions: 2,
    growthPerYear: 0.1,
    horizonYears: 3,
  });
  const ids = read.assumptions.map(({ id }) => id);
  for (const id of ["availability", "regions", "growthPerYear", "horizonYears"])
    expect(ids).not.toContain(id);
});

test("the author's own assumptions are listed as such", () => {
  const assumptions = [{ text: "nobody sleeps", source: "a guess" }];
  expect(readRequirements({ ...one, assumptions }).assumptions[0]).toEqual({
    id: "stated-1",
    text: "nobody sleeps",
    source: "a guess",
    by: "author",
  });
});

test("every problem is told at once, each with its field's path", () => {
  const problems = problemsOf({
    dailyUsers: -5,
    colour: "blue",
    availability: "100 %",
    regions: 0.5,
    operations: {
      post: {
        does: "write",
        perUserPerDay: 10,
        ratePerSecond: 5,
        requestBytes: "2 MX",
        peakFactor: 0.5,
        retries: 99,
      },
      read: {
        does: "reed",
        perOperation: { of: "nothing", ratio: "10:1" },
        path: ["edge", "nowhere", { part: "edge", onMissOf: "edge" }],
      },
      idle: { does: "read", p99Ms: Number.NaN },
      loop: { does: "read", perOperation: { of: "loop", ratio: 1 } },
    },
    data: {
      posts: { in: "store", growsWith: "idle", itemsPerDay: 3, hitRatio: 1.5 },
      other: { in: "nowhere", itemBytes: [3, 2, 1] },
    },
    parts: { edge: { kind: "gateway" }, store: {}, worker: { kind: "worker", from: "missing" } },
    outOfScope: ["post"],
    decisions: [{ question: "?", options: ["a"], choice: "b", because: "c", price: "d" }],
  });
  const told = (path: string, text: string) => {
    const found = problems.filter((problem) => problem.startsWith(`${path} `));
    expect(found.join("; "), path).toContain(text);
  };
  told("dailyUsers", "should be 0 or more, got -5");
  told("colour", "is no field here");
  told("availability", "no system is always up");
  told("regions", "whole number from 1 to 100");
  told("operations.post.ratePerSecond", "contradicts operations.post.perUserPerDay");
  told("operations.post.requestBytes", 'the unit "MX"');
  told("operations.post.peakFactor", "should be at least 1");
  told("operations.post.retries", "whole number from 0 to 20");
  told("operations.read.does", "should be one of read, write");
  told("operations.read.perOperation.of", '"nothing", which is not in scope');
  told("operations.read.path[1].part", '"nowhere", which does not exist; the parts are edge, store, worker');
  told("operations.read.path[2].onMissOf", "no cache earlier in this path");
  told("operations.idle.ratePerSecond", "is missing");
  told("operations.idle.p99Ms", "finite number, got NaN");
  told("operations.loop.perOperation.of", "goes in a circle: loop, loop");
  told("data.posts.itemBytes", "is missing");
  told("data.posts.growsWith", "only reads");
  told("data.posts.itemsPerDay", "contradicts data.posts.growsWith");
  told("data.posts.hitRatio", "no cache answers everything");
  told("data.other.in", '"nowhere", which does not exist');
  told("data.other.itemBytes", "should rise from low over mid to high");
  told("parts.store.kind", "is missing");
  told("parts.worker.from", '"missing", which does not exist');
  told("outOfScope", '"post", which operations have in scope');
  told("decisions[0].choice", "none of its options");
});

test.each([
  ["nothing in scope", { operations: {} }, "operations has none in scope"],
  ["no object", 7, "the declaration should be an object, got 7"],
  ["operations as a list", { operations: [] }, "operations should be an object by name"],
  [
    "users for nothing",
    { operations: { a: { does: "read", ratePerSecond: 1, users: 5 } } },
    "operations.a.users says nothing",
  ],
  [
    "a rate for nobody",
    { operations: { a: { does: "read", perUserPerDay: 1 } } },
    "operations.a.users is missing",
  ],
  [
    "more followers on average than at most",
    {
      ...one,
      dailyUsers: 1000,
      parts: { store: { kind: "database" } },
      operations: {
        read: {
          ...one.operations.read,
          fanOut: { to: "store", readBy: "read", followers: { mean: 50, max: 10 } },
        },
      },
    },
    "followers.max contradicts mean",
  ],
  [
    "more followers than accounts",
    {
      ...one,
      dailyUsers: 1000,
      parts: { store: { kind: "database" } },
      operations: {
        read: {
          ...one.operations.read,
          fanOut: { to: "store", readBy: "read", followers: { mean: 50, max: 2000 } },
        },
      },
    },
    "followers.max contradicts accounts",
  ],
  [
    "dear data in what forgets",
    {
      ...one,
      parts: { hot: { kind: "cache" } },
      data: { rows: { in: "hot", itemBytes: 1, durability: "critical" } },
    },
    "data.rows.durability is critical, which contradicts data.rows.in",
  ],
])("%s is refused", (_, declaration, problem) => {
  expect(problemsOf(declaration).join("; ")).toContain(problem);
});

test("a wrong number of users is told once, not at every operation that counts on it", () => {
  const operations = { a: { does: "read", perUserPerDay: 1 }, b: { does: "read", perUserPerDay: 1 } };
  expect(problemsOf({ dailyUsers: -1, operations })).toEqual(["dailyUsers should be 0 or more, got -1"]);
});

test("what the code declares need not be said again, and may not be contradicted", () => {
  const declared = new Map([["store", { kind: "database" as const, replicas: 1 }]]);
  const read = readRequirements(one, { declared });
  expect(read.parts).toMatchObject([{ name: "store", inCode: true, replicas: 1 }]);
  const contradiction = { ...one, parts: { store: { kind: "cache", replicas: 3 } } } as const;
  expect(() => readRequirements(contradiction, { declared })).toThrow(
    /parts\.store\.kind is cache, but the system declares a database[\s\S]*parts\.store\.replicas is 3, but the system declares 1/,
  );
});

test("requirements() checks where it stands, and is known again", () => {
  expect(isRequirements(requirements(one))).toBe(true);
  expect(isRequirements(one)).toBe(false);
  expect(() => requirements({ operations: {} })).toThrow(/none in scope/);
});

test("a worker takes what the path publishes, whether the path names it or not", () => {
  const parts = {
    api: { kind: "service" },
    log: { kind: "queue" },
    deliver: { kind: "worker", from: "log" },
    index: { kind: "worker", from: "log" },
  } as const;
  const pathOf = (path: readonly (string | { readonly part: string; readonly calls?: number })[]) =>
    readRequirements({
      parts,
      operations: { post: { does: "write", ratePerSecond: 1, path } },
    }).operations[0]?.path.map(({ part, async, calls }) => [part, async, calls.mid]);
  expect(pathOf(["api", { part: "log", calls: 3 }, "index"])).toEqual([
    ["api", false, 1],
    ["log", false, 3],
    ["index", false, 1],
    ["deliver", true, 3],
  ]);
  expect(pathOf(["api"])).toEqual([["api", false, 1]]);
});

test("two rates contradict each other, and each still has to be right", () => {
  const operations = { read: { does: "read", ratePerSecond: Number.NaN, perUserPerDay: -1, users: 5 } };
  expect(problemsOf({ operations })).toEqual([
    "operations.read.ratePerSecond contradicts operations.read.perUserPerDay: give one of perUserPerDay, ratePerSecond",
    "operations.read.ratePerSecond should be a finite number, got NaN",
    "operations.read.perUserPerDay should be 0 or more, got -1",
  ]);
});

test("a kind that does not exist is told once, whatever is kept there", () => {
  const problems = problemsOf({
    operations: { read: { does: "read", ratePerSecond: 1, path: ["store"] } },
    parts: { store: { kind: "databse" } },
    data: { texts: { in: "store", itemBytes: 1 } },
  });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^parts\.store\.kind should be one of .*, got "databse"$/);
});

test("an operation that touches nothing is refused", () => {
  expect(problemsOf({ operations: { read: { does: "read", ratePerSecond: 1, path: [] } } })).toEqual([
    "operations.read.path is empty: name the parts that it touches, or leave it out for the simplest path",
  ]);
});

test("a worker consumes a topic or a queue", () => {
  const parts = { api: { kind: "service" }, deliver: { kind: "worker", from: "api" } };
  expect(problemsOf({ ...one, parts })).toEqual([
    'parts.deliver.from names "api", a service: a worker consumes a topic or a queue',
  ]);
});
