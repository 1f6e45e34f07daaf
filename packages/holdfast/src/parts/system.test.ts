import type { StandardSchemaV1 } from "@standard-schema/spec";
import { expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { cache } from "./cache/index.ts";
import { database } from "./database/index.ts";
import { gateway } from "./gateway/index.ts";
import { queue } from "./queue/index.ts";
import { service } from "./service/index.ts";
import { isSystem, system } from "./system.ts";
import { topic } from "./topic/index.ts";
import { type Batch, type Job, worker } from "./worker/index.ts";

const anything = schemaOf<string>();
const load = async () => ({ default: { fetch: () => new Response() } });
const loadWorker = async () => ({ default: () => undefined });

function problemsOf(declare: () => unknown): readonly string[] {
  try {
    declare();
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    const { code, outcome, data } = error as HoldfastError;
    expect(["HOLDFAST_SYSTEM_INVALID", "HOLDFAST_OPTIONS_INVALID"]).toContain(code);
    expect(outcome).toBe("not-applied");
    return data.problems as string[];
  }
  throw new Error("it was accepted");
}

const links = database("links");
const clicks = topic("clicks", { schema: anything, keyBy: (click) => click });
const api = service("api", { load });
const tally = worker("tally", { from: clicks, load: loadWorker });

test("parts are gathered by kind; schemas and constants may stand beside them", () => {
  const hot = cache("hot");
  const edge = gateway({ routes: [{ path: "/", to: api }] });
  const declared = system("shop", {
    parts: { links, clicks, api, tally, hot, Click: anything, limit: 5, nothing: null },
    edge,
  });
  expect(isSystem(declared)).toBe(true);
  expect(declared.databases).toEqual([links]);
  expect(declared.topics).toEqual([clicks]);
  expect(declared.services).toEqual([api]);
  expect(declared.workers).toEqual([tally]);
  expect(declared.caches).toEqual([hot]);
  expect(declared.edge).toBe(edge);
});

test("a part exported under two names is one part", () => {
  expect(system("shop", { parts: { links, same: links } }).databases).toEqual([links]);
});

test("all problems are told at once, each saying what to change", () => {
  const elsewhere = topic("elsewhere", { schema: anything, keyBy: String });
  const problems = problemsOf(() =>
    system("Shop!", {
      parts: {
        first: service("api", { load }),
        second: database("api"),
        lost: worker("lost", { from: elsewhere, load: loadWorker }),
      },
      edge: gateway({ routes: [{ path: "/x", to: service("hidden", { load }) }] }),
    }),
  );
  expect(problems).toHaveLength(4);
  expect(problems[0]).toContain("lowercase letters");
  expect(problems[1]).toBe('database "api" has the name of a service: rename one of them');
  expect(problems[2]).toBe('route "/x" goes to service "hidden", which parts does not export: export it');
  expect(problems[3]).toBe('worker "lost" reads topic "elsewhere", which parts does not export: export it');
});

test("the door may not have the name of a part", () => {
  const edge = gateway({ name: "api", routes: [{ path: "/", to: api }] });
  expect(problemsOf(() => system("shop", { parts: { api }, edge }))).toEqual([
    'gateway "api" has the name of a service: rename one of them',
  ]);
});

test("a topic needs a home, and the home must be there", () => {
  expect(problemsOf(() => system("shop", { parts: { clicks } }))[0]).toContain("declare a database");
  const away = topic("away", { schema: anything, keyBy: String, home: database("attic") });
  expect(problemsOf(() => system("shop", { parts: { away, links } }))[0]).toContain(
    "which parts does not export",
  );
});

test("a system without parts is refused", () => {
  expect(problemsOf(() => system("shop", { parts: {} }))[0]).toContain("has no part");
});

test("a route to nothing, twice the same route, and none at all are refused", () => {
  // @ts-expect-error a route leads to a service
  expect(problemsOf(() => gateway({ routes: [{ path: "/", to: undefined }] }))[0]).toContain(
    "should be a service",
  );
  // @ts-expect-error a route leads to a service
  expect(problemsOf(() => gateway({ routes: [{ path: "/", to: links }] }))[0]).toContain("got a database");
  const twice = [
    { path: "/", to: api },
    { path: "/", to: api },
  ];
  expect(problemsOf(() => gateway({ routes: twice }))[0]).toContain("is there twice");
  expect(problemsOf(() => gateway({ routes: [] }))[0]).toContain("at least one route");
});

test("a worker without a source is refused", () => {
  // @ts-expect-error a worker needs a topic or a queue
  expect(problemsOf(() => worker("w", { load: loadWorker }))[0]).toContain("a worker needs a source");
});

test("every part says all that is wrong with its options at once", () => {
  const wrong: Record<string, () => unknown> = {
    database: () => database("Bad Name", { shards: { count: 0 }, replicas: 9, nodes: -1 }),
    cache: () => cache("Bad Name", { ttlMs: 0, staleMs: -1, maxBytes: 3 }),
    topic: () => topic("Bad Name", { schema: anything, keyBy: String, partitions: 0, maxMessageBytes: 0 }),
    service: () => service("Bad Name", { load, instances: { min: 0 }, timeoutMs: -1 }),
    worker: () => worker("Bad Name", { from: clicks, load: loadWorker, batch: 0, instances: 0, leaseMs: 1 }),
  };
  for (const [kind, declare] of Object.entries(wrong)) {
    expect(problemsOf(declare).length, kind).toBeGreaterThanOrEqual(3);
  }
});

test("the compiler checks what the loaded modules offer", () => {
  // @ts-expect-error the default export needs a fetch
  service("s", { load: async () => ({ default: {} }) });
  const numbers = topic("numbers", { schema: schemaOf<number>(), keyBy: (value) => value.toFixed() });
  // @ts-expect-error the handler takes batches of strings, the topic has numbers
  worker("w", { from: numbers, load: async () => ({ default: (_: Batch<string>) => {} }) });
  const jobs = queue("jobs", { schema: schemaOf<number>() });
  worker("w", { from: jobs, load: async () => ({ default: async (job: Job<number>) => job.value + 1 }) });
  // @ts-expect-error the handler takes jobs of strings, the queue has numbers
  worker("w", { from: jobs, load: async () => ({ default: (_: Job<string>) => {} }) });
  // @ts-expect-error a queue's jobs come one by one
  worker("w", { from: jobs, load: async () => ({ default: (_: Batch<number>) => {} }) });
});

function schemaOf<Value>(): StandardSchemaV1<Value, Value> {
  return { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as Value }) } };
}
