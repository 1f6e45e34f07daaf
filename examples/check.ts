/**
 * Recording what clients see, and judging whether it can be explained. Nothing has to run for it.
 *
 *   node examples/check.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkers, findChecker, illegal, linearizableChecker, readOperations } from "holdfast/check";
import { Recorder } from "holdfast/record";

const folder = await mkdtemp(join(tmpdir(), "holdfast-check-"));
const file = join(folder, "history.jsonl");

// A store with a stale replica: it goes on answering with what it had.
const primary = new Map<string, number>();
const replica = new Map<string, number>([["x", 1]]);
{
  using recorder = new Recorder({ file });
  const [writer, reader] = [recorder.client(), recorder.client()];
  for (const value of [1, 2]) {
    await writer.run(
      { f: "put", key: "x", value },
      async () => primary.set("x", value),
      () => value,
    );
  }
  await reader.run({ f: "get", key: "x" }, async () => primary.get("x"));
  await reader.run({ f: "get", key: "x" }, async () => replica.get("x"));
}

const { operations } = await readOperations(file);
for (const model of ["kv", "sequential-kv", "monotonic-reads", "read-your-writes"]) {
  const result = findChecker(model)?.check(operations);
  console.log(`${model}: ${result?.verdict} ${result?.witnesses[0]?.summary ?? ""}`);
}

// A model of one's own: what it begins with, what a step does, and when two states are the same.
const onlyGrows = linearizableChecker({
  name: "only-grows",
  summary: "A value that is never followed by a lower one.",
  functions: ["put", "get"],
  init: () => 0,
  step(value: number, { f, input, output }) {
    if (f === "put") return Math.max(value, input as number);
    return output === value ? value : illegal;
  },
  key: (value) => value,
});
console.log(`${onlyGrows.name}: ${onlyGrows.check(operations).verdict}`);
console.log(`${checkers.length} models in all; on the command line: holdfast check ${"FILE"} --model NAME`);
await rm(folder, { recursive: true });
