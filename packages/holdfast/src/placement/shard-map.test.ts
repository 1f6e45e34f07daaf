import fc from "fast-check";
import { expect, test } from "vitest";
import { evenShardMap, moveShard, movesToEven, shardMapProblems, shardsOn } from "./shard-map.ts";

const nodeNames = ["a", "b", "c", "d", "e", "f"];

function spread(shards: readonly string[], nodes: readonly string[]): number {
  const shares = nodes.map((node) => shards.filter((holder) => holder === node).length);
  return Math.max(...shares) - Math.min(...shares);
}

test("the first map is even", () => {
  const map = evenShardMap(["a", "b", "c"], 8);
  expect(map).toEqual({ epoch: 1, shards: ["a", "b", "c", "a", "b", "c", "a", "b"] });
  expect(shardsOn(map, "c")).toEqual([2, 5]);
  expect(() => evenShardMap([], 8)).toThrow(RangeError);
  expect(() => evenShardMap(["a"], 0)).toThrow(RangeError);
});

test("a move makes a new map, one epoch on, and leaves the old one as it was", () => {
  const map = evenShardMap(["a", "b"], 4);
  const moved = moveShard(map, 2, "b");
  expect(moved).toEqual({ epoch: 2, shards: ["a", "b", "b", "b"] });
  expect(map.shards).toEqual(["a", "b", "a", "b"]);
  expect(moveShard(moved, 2, "b")).toBe(moved);
  expect(() => moveShard(map, 4, "a")).toThrow("from 0 to 3");
});

test("the planned moves make any map even, leave no shard behind, and are the fewest possible", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...nodeNames), { minLength: 1, maxLength: 64 }),
      fc.subarray(nodeNames, { minLength: 1 }),
      (shards, nodes) => {
        const map = { epoch: 7, shards };
        const moves = movesToEven(map, nodes);
        let after: { readonly epoch: number; readonly shards: readonly string[] } = map;
        for (const { shard, from, to } of moves) {
          expect(after.shards[shard]).toBe(from);
          after = moveShard(after, shard, to);
        }
        expect(after.epoch).toBe(7 + moves.length);
        expect(after.shards.every((node) => nodes.includes(node))).toBe(true);
        expect(spread(after.shards, nodes)).toBeLessThanOrEqual(1);
        // The twin tries every way to hand out the larger shares, and counts what has to move.
        expect(moves.length).toBe(fewestMoves(shards, nodes));
      },
    ),
  );
});

function fewestMoves(shards: readonly string[], nodes: readonly string[]): number {
  const floor = Math.floor(shards.length / nodes.length);
  const extra = shards.length % nodes.length;
  let fewest = Number.POSITIVE_INFINITY;
  for (let larger = 0; larger < 2 ** nodes.length; larger++) {
    const isLarger = nodes.map((_, index) => (larger >> index) & 1);
    if (isLarger.reduce((sum, bit) => sum + bit, 0) !== extra) continue;
    const stay = nodes.map((node, index) =>
      Math.min(shards.filter((holder) => holder === node).length, floor + (isLarger[index] as number)),
    );
    fewest = Math.min(fewest, shards.length - stay.reduce((sum, count) => sum + count, 0));
  }
  return fewest;
}

test("a map from elsewhere is checked, all problems at once", () => {
  expect(shardMapProblems(evenShardMap(["a", "b"], 4), { shardCount: 4, nodes: ["a", "b"] })).toEqual([]);
  const problems = shardMapProblems(
    { epoch: 0, shards: ["a", "x", "x"] },
    { shardCount: 4, nodes: ["a", "b"] },
  );
  expect(problems).toEqual([
    "epoch should be a whole number from 1, got 0",
    "shards should have 4 entries, has 3: the number of shards is fixed for the life of the data",
    'shard 1, 2: there is no node "x"; use one of a, b',
  ]);
});
