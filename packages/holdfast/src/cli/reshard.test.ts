import { expect, test } from "vitest";
import type { MoveRecord, PlannedMove } from "../runtime/reshard-system.ts";
import { runCommandLine } from "./main.ts";
import { shardList } from "./reshard.ts";
import { movedLine, planLines, ranges } from "./reshard-report.ts";
import { shardLines } from "./status-shards.ts";

const move: MoveRecord = {
  id: 12,
  shard: 3,
  source: "node-1",
  target: "node-2",
  schema: "s3",
  schemaAfter: "s3_m12",
  stream: "holdfast_links_m12",
  mark: 12,
  state: "kept",
  intent: "forward",
  keep: true,
  step: "kept",
  data: { bytes: 3 << 20, copyMs: 2_000, cutoverMs: 95, verified: { tables: 3, rows: "1200" } },
  startedAt: "2026-01-02 03:04:05+00",
  changedAt: "2026-01-02 03:04:09+00",
};

async function holdfast(...words: string[]) {
  const out: string[] = [];
  const code = await runCommandLine(words, {
    cwd: "/",
    out: (line) => out.push(line),
    err: (line) => out.push(line),
    draw: () => {},
    columns: undefined,
    color: false,
  });
  return { code, text: out.join("\n") };
}

test("shards are named one by one and in ranges", () => {
  expect(shardList("3")).toEqual([3]);
  expect(shardList("3, 4,10-12,4")).toEqual([3, 4, 10, 11, 12]);
  expect(ranges([0, 1, 2, 3, 7, 9, 10])).toBe("0-3, 7, 9-10");
  expect(ranges([])).toBe("");
});

test.each([
  [["--shards", "3"], "--shards needs --to NODE"],
  [["--shards", "9-3", "--to", "node-2"], "9-3 runs backwards"],
  [["--shards", "three", "--to", "node-2"], "three"],
  [["--shards", "-1", "--to", "node-2"], "--shards needs a value"],
  [["--back", "--finish"], "--back and --finish do different things"],
  [["--back", "--to", "node-2"], "takes no --to"],
  [["--abort", "--shards", "3"], "takes no --shards"],
])("%j is refused before anything is looked at", async (words, problem) => {
  const { code, text } = await holdfast("reshard", ...words);
  expect(code).toBe(2);
  expect(text).toContain(problem);
});

test("a move is told in one line, by how it ended", () => {
  expect(movedLine(move)).toBe(
    "Shard 3  node-1 → node-2  3.0 MiB copied in 2.0 s (1.5 MiB/s), 1200 rows compared, writes waited 95 ms, can be taken back (--back) until --finish",
  );
  expect(movedLine({ ...move, state: "finished" })).toContain("the old copy is gone");
  expect(movedLine({ ...move, state: "finished", intent: "finish" })).toContain("finished: the old copy");
  expect(movedLine({ ...move, state: "aborted" })).toContain("given up; node-1 goes on serving it");
  expect(movedLine({ ...move, state: "moving", step: "copy" })).toContain("stopped at copy");
});

test("a plan shows the map, what was begun, what is planned, and what is in the way", () => {
  const map = { epoch: 5, places: ["node-1", "node-2", "node-1"].map((node) => ({ node })) };
  const planned: PlannedMove[] = [{ shard: 2, source: "node-1", target: "node-2", schema: "s2" }];
  expect(planLines(map, [move], planned, ["node-2: something"])).toEqual([
    "NODE    SHARDS  MAP, EPOCH 5",
    "node-1  2       0, 2",
    "node-2  1       1",
    "",
    "Move 12: shard 3 from node-1 to node-2, moved, and can be taken back.",
    "",
    "SHARD  FROM    TO",
    "2      node-1  node-2",
    "",
    "In the way:",
    "  - node-2: something",
    "",
    "1 move planned; nothing was changed.",
  ]);
});

test("status says where shards are, and that nobody works on a move that was begun", () => {
  const status = {
    id: 7,
    shard: 2,
    source: "node-1",
    target: "node-2",
    step: "copy",
    intent: "forward",
    startedAt: "",
    changedAt: "",
    error: "the disk is full\nof things",
  } as const;
  const lines = shardLines([
    {
      database: "links",
      epoch: 4,
      nodes: { "node-1": [0, 1, 2], "node-2": [] },
      moves: [
        { ...status, state: "stopped" },
        { ...status, id: 8, shard: 5, state: "kept" },
      ],
    },
  ]);
  expect(lines).toEqual([
    "DATABASE  NODE    SHARDS  WHICH  MAP EPOCH",
    "links     node-1  3       0-2    4",
    "links     node-2  0       none   4",
    "",
    'links: shard 2 is moving from node-1 to node-2, at "copy" (move 7). Nobody works on it: `holdfast reshard` goes on, `holdfast reshard --abort` gives it up. It stopped: the disk is full',
    "",
    "links: moves of shard 5 can be taken back (holdfast reshard --back) until they are finished (--finish).",
  ]);
});
