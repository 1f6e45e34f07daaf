/** Declaring how a database is cut, and the keys that callers give: what is wrong is told, all at once. */
import { expect, test } from "vitest";
import { HoldfastError } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { inWorld, World } from "../../world.ts";
import { type DatabaseOptions, database } from "../declare.ts";
import type { DatabasePort, ShardKey } from "../port.ts";
import { keyPartsOf } from "./shard-key.ts";
import { shardOptionsOf } from "./shard-options.ts";

const problemsOf = (shards: unknown, more: DatabaseOptions = {}): string => {
  try {
    database("db", { shards: shards as never, ...more });
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: "HOLDFAST_OPTIONS_INVALID", outcome: "not-applied" });
    return (error as Error).message;
  }
};

test("every strategy says what it comes to, and can be declared again from that", () => {
  const declared = [
    [{}, { by: "hash" }, 32],
    [{ count: 8, keyParts: 2 }, { by: "hash", keyParts: 2 }, 8],
    [
      { by: "range", of: "text", bounds: ["b", "\uffff", "🐢"] },
      { by: "range", of: "text", bounds: ["b", "\uffff", "🐢"] },
      4,
    ],
    [
      { by: "range", of: "integer", bounds: [-1, 10n, "9223372036854775807"] },
      { by: "range", of: "integer", bounds: ["-1", "10", "9223372036854775807"] },
      4,
    ],
    [
      { by: "directory", groups: { eu: 3, us: 5 } },
      {
        by: "directory",
        groups: [
          { name: "eu", shards: 3 },
          { name: "us", shards: 5 },
        ],
      },
      8,
    ],
  ] as const;
  for (const [shards, strategy, shardCount] of declared) {
    const { options } = database("db", { shards });
    expect(options).toMatchObject({ strategy, shardCount, shardBy: strategy.by });
    // Over the pipe to another process, and declared anew there.
    const again = database("db", { shards: shardOptionsOf(JSON.parse(JSON.stringify(options))) });
    expect(again.options.strategy).toEqual(strategy);
    expect(again.options.shardCount).toBe(shardCount);
  }
});

test("all problems of a declaration are told at once", () => {
  const hash = problemsOf({ count: 0, keyParts: 9, bounds: [1], keys: { t: [] } });
  for (const part of ["shards.count", "shards.keyParts", "shards.bounds means nothing", "shards.keys.t"])
    expect(hash).toContain(part);
  expect(problemsOf({ by: "luck" })).toMatch(/"hash", "range" or "directory"/);
  expect(problemsOf({ by: "range", of: "text", bounds: ["b", "a"] })).toMatch(/should rise/);
  expect(problemsOf({ by: "range", of: "text", bounds: ["🐢", "\uffff"] })).toMatch(/should rise/);
  expect(problemsOf({ by: "range", of: "integer", bounds: ["1", 1] })).toMatch(/should rise/);
  expect(problemsOf({ by: "range", of: "integer", bounds: [0.5, "x", 2 ** 60, 2n ** 64n] })).toMatch(
    /whole number[\s\S]*integer[\s\S]*not exact[\s\S]*64 bits/,
  );
  expect(problemsOf({ by: "range", of: "date", bounds: [] })).toMatch(
    /shards.of[\s\S]*shards.bounds should be a list/,
  );
  expect(problemsOf({ by: "directory", groups: {} })).toMatch(/a group at least/);
  expect(problemsOf({ by: "directory", groups: { "EU'; drop": 1, eu: 2_000 } })).toMatch(
    /a-z[\s\S]*1024[\s\S]*at most 1024/,
  );
  expect(problemsOf({ by: "directory", groups: { eu: 1, us: 8 } }, { nodes: 4 })).toMatch(
    /leaves 1 without a shard/,
  );
  expect(problemsOf({ by: "range", of: "text", bounds: ["m"] }, { nodes: 3 })).toMatch(
    /number of shards \(2\)/,
  );
  expect(problemsOf({ keyParts: 2, keys: { t: "id" } })).toMatch(/at least 2 columns/);
});

const port = {
  shardCount: 4,
  shardOf: (key: ShardKey) => keyPartsOf({ by: "hash" }, key, "db").length - 1,
} as Partial<DatabasePort> as DatabasePort;

test("what is no key is refused at the call, whatever the strategy", () => {
  const db = database("db");
  const world = new World("keys", systemClock);
  world.bind(db, port);
  const wrong: [unknown, RegExp][] = [
    [undefined, /should be a string, number or bigint, got undefined/],
    [null, /got null/],
    [Number.NaN, /whole number, got NaN/],
    [Number.POSITIVE_INFINITY, /whole number, got Infinity/],
    [1.5, /whole number, got 1.5/],
    [2 ** 53, /not exact/],
    [2n ** 63n, /64 bits/],
    [true, /got true/],
    [{}, /got an object \(Object\)/],
    [new Date(0), /got an object \(Date\)/],
    [() => 1, /got a function/],
    [Symbol("x"), /got Symbol\(x\)/],
    ["", /should not be empty/],
    ["a\0b", /NUL/],
    ["\ud800", /well-formed/],
    ["é".repeat(513), /at most 1024 bytes, got 1026/],
    [[], /2 to 8 parts, got 0/],
    [["a"], /2 to 8 parts, got 1/],
    [Array.from({ length: 9 }, () => "a"), /2 to 8 parts, got 9/],
    [["a", undefined, ""], /part 2 of the key should be a string.*part 3 of the key should not be empty/],
    [["a", ["b"]], /part 2 .*an array of 1/],
  ];
  inWorld(world, () => {
    for (const [key, message] of wrong) {
      expect(() => db.at(key as never)).toThrow(message);
      expect(() => db.at(key as never)).toThrow(
        expect.objectContaining({ code: "HOLDFAST_INPUT_INVALID", outcome: "not-applied" }),
      );
    }
    for (const key of ["a", "é".repeat(512), 0, -1, 2n ** 63n - 1n, ["a", 1], ["a", "b", 3n]])
      db.at(key as ShardKey);
  });
});

test("ranges take keys of their own kind, and keyParts as many parts as it says", () => {
  const text = { by: "range", of: "text", bounds: ["m"] } as const;
  const integer = { by: "range", of: "integer", bounds: ["0"] } as const;
  expect(() => keyPartsOf(text, 5, "db")).toThrow(/10 comes before 9/);
  expect(() => keyPartsOf(integer, "five", "db")).toThrow(/integer/);
  expect(() => keyPartsOf(integer, "007", "db")).toThrow(/integer/);
  expect(keyPartsOf(integer, ["5", "x"], "db")).toEqual(["5", "x"]);
  expect(() => keyPartsOf({ by: "hash", keyParts: 3 }, ["a", "b"], "db")).toThrow(/at least 3 parts/);
});
