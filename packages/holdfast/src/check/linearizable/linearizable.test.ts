import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { history } from "../fixtures/hand-made.ts";
import { readOperations } from "../history/read-history.ts";
import { findChecker } from "../registry.ts";
import { checkLinearizable } from "./check-linearizable.ts";
import { linearizableChecker } from "./checkers.ts";
import { illegal, type Model } from "./model.ts";
import { registerModel } from "./models/register.ts";
import { wholeModel } from "./whole-model.ts";

function resultOf(model: string, lines: readonly string[]) {
  const result = findChecker(model)?.check(history(...lines).operations);
  if (!result) throw new Error(`there is no model ${model}`);
  return result;
}

describe("what each model refuses, and what it allows", () => {
  test.each([
    ["register", "a stale read", ["0 write 1", "0 write 2", "1 read 1"]],
    ["register", "a value that nobody wrote", ["0 write 1", "1 read 7"]],
    ["register", "a value whose write failed", ["0 write 1 fail", "1 read 1"]],
    [
      "register",
      "two reads that disagree about the order",
      ["+0 write 1", "+1 write 2", "2 read 1", "2 read 2", "2 read 1"],
    ],
    [
      "register",
      "a read that is newer than the next one",
      ["0 write 1", "+0 write 2", "1 read 2", "2 read 1", "-0"],
    ],
    ["cas-register", "two who both won", ["0 write 1", "1 cas [1 2]", "2 cas [1 3]"]],
    ["cas-register", "a comparison that cannot have held", ["0 write 1", "1 cas [2 3]"]],
    ["kv", "a lost append", ["0 append x a", "1 append x b", "0 get x b"]],
    ["kv", "an append seen twice", ["0 append x a", "1 append x b", "0 get x abb"]],
    ["kv", "a key that came back", ["0 put x 1", "0 delete x nil", "1 get x 1"]],
    ["set", "a lost element", ["0 add 1", "0 add 2", "1 read [2]"]],
    ["set", "an element that came back", ["0 add 1", "0 remove 1", "1 read [1]"]],
    ["queue", "out of order", ["0 enqueue 1", "0 enqueue 2", "1 dequeue 2"]],
    ["queue", "taken twice", ["0 enqueue 1", "1 dequeue 1", "2 dequeue 1"]],
    ["queue", "empty although it is not", ["0 enqueue 1", "1 dequeue nil"]],
    ["unordered-queue", "taken twice", ["0 enqueue 1", "1 dequeue 1", "2 dequeue 1"]],
    ["mutex", "held by two", ["0 acquire 1", "1 acquire 2"]],
    ["mutex", "released by somebody else", ["0 acquire 1", "1 release"]],
    ["mutex", "a token that went back", ["0 acquire 2", "0 release", "1 acquire 1"]],
    ["fenced-mutex", "a paused holder that was let in", ["0 acquire 1", "1 acquire 2", "1 use 2", "0 use 1"]],
    ["fenced-mutex", "a token given twice", ["0 acquire 1", "1 acquire 1"]],
    ["counter", "a lost increment", ["0 increment", "1 increment", "0 read 1"]],
    ["counter", "more than was added", ["0 add 2", "1 read 3"]],
  ])("%s: %s is illegal", (model, _, lines) => {
    const { verdict, witnesses } = resultOf(model, lines);
    expect(verdict).toBe("illegal");
    expect(witnesses[0]?.anomaly).toBe("nonlinearizable");
    expect(witnesses[0]?.steps.length).toBeGreaterThan(1);
  });

  test.each([
    ["register", "concurrent writes in either order", ["+0 write 1", "+1 write 2", "-0", "-1", "2 read 1"]],
    [
      "register",
      "an unknown write that happened late",
      ["0 write 1 info", "1 write 2", "1 read 2", "1 read 1"],
    ],
    ["register", "an unknown write that never happened", ["0 write 1 info", "1 read nil"]],
    ["register", "an unknown read", ["0 read 7 info", "1 read nil"]],
    ["cas-register", "an unknown one that won", ["0 write 1", "1 cas [1 2] info", "0 read 2"]],
    [
      "kv",
      "keys that have nothing to do with each other",
      ["0 put x 1", "1 put y 2", "0 get x 1", "0 get z nil"],
    ],
    [
      "queue",
      "an unknown dequeue that took the first",
      ["0 enqueue 1", "0 enqueue 2", "1 dequeue nil info", "0 dequeue 2"],
    ],
    [
      "unordered-queue",
      "any order",
      ["0 enqueue 1", "0 enqueue 2", "1 dequeue 2", "1 dequeue 1", "1 dequeue nil"],
    ],
    [
      "unordered-queue",
      "an unknown dequeue emptied it",
      ["0 enqueue 1", "1 dequeue nil info", "0 dequeue nil"],
    ],
    ["mutex", "one after the other", ["0 acquire 1", "0 release", "1 acquire 2"]],
    [
      "fenced-mutex",
      "a paused holder that was refused",
      ["0 acquire 1", "1 acquire 2", "1 use 2", "0 use 1 fail"],
    ],
    ["counter", "an unknown increment", ["0 increment nil info", "1 read 0", "1 read 1"]],
  ])("%s: %s is ok", (model, _, lines) => {
    expect(resultOf(model, lines).verdict).toBe("ok");
  });
});

test("a witness is the few operations that contradict each other, not the history", () => {
  const before = Array.from({ length: 300 }, (_, i) => [`0 write ${i % 5}`, `1 read ${i % 5}`]).flat();
  const { witnesses } = resultOf("register", [...before, "0 write 8", "1 write 9", "2 read 8", "2 read 9"]);
  const involved = witnesses[0]?.operations.filter((operation) => operation.involved);
  expect(involved?.map(({ label }) => label)).toEqual(["write 9", "read -> 8"]);
  expect(witnesses[0]?.edges).toEqual([
    expect.objectContaining({ kind: "realtime", why: "process 1 had its answer before process 2 asked" }),
  ]);
});

test("the contradiction of one key is shown, whatever the other keys do", () => {
  const { witnesses } = resultOf("kv", ["0 put x 1", "0 put y 1", "1 put x 2", "1 get x 1", "1 get y 1"]);
  expect(witnesses.map(({ operations }) => operations.map(({ label }) => label))).toEqual([
    ["put 2 of x", "get -> 1 of x"],
  ]);
});

test("when time or memory ends first, the verdict is unknown and says which", () => {
  const writes = Array.from({ length: 18 }, (_, i) => `+${i} write ${i}`);
  const ends = Array.from({ length: 18 }, (_, i) => `-${i}`);
  const { operations } = history(...writes, ...ends, "20 read 99");
  const hard: Model<readonly number[]> = {
    name: "order",
    summary: "Every order is another state.",
    functions: ["read", "write"],
    init: () => [],
    step: (state, { f, input }) => (f === "write" ? [...state, input as number] : illegal),
    key: (state) => state.join(),
  };
  let nowMs = 0;
  const inTime = checkLinearizable(hard, operations, { nowMs: () => nowMs++, budget: { timeMs: 10 } });
  expect(inTime).toMatchObject({ verdict: "unknown", witnesses: [] });
  expect(inTime.reason).toContain("timeMs 10");
  const inMemory = checkLinearizable(hard, operations, { nowMs: () => 0, budget: { memoryBytes: 1 << 20 } });
  expect(inMemory.verdict).toBe("unknown");
  expect(inMemory.reason).toContain("memoryBytes 1048576");
});

test("a model of one's own is four small functions", () => {
  const highScore: Model<number> = {
    name: "high-score",
    summary: "Only a higher score replaces the one that stands.",
    functions: ["submit", "best"],
    init: () => 0,
    step(best, { f, input, output }) {
      if (f === "submit") return Math.max(best, input as number);
      return output === best ? best : illegal;
    },
    key: (best) => best,
    partition: () => "the only one",
  };
  const checker = linearizableChecker(highScore);
  expect(checker.check(history("0 submit 7", "1 submit 3").operations).verdict).toBe("ok");
  const operations = ["0 submit 7", "1 submit 3"].concat("1 best 3");
  expect(checker.check(history(...operations).operations).verdict).toBe("illegal");
});

test("judged as a whole, the verdict is the same as object by object", () => {
  for (const last of ["0 read x 1", "0 read x 2"]) {
    const { operations } = history("0 write x 1", "1 write y 2", "+0 write y 3", "1 read y 2", "-0", last);
    const whole = wholeModel(registerModel(), operations);
    expect(checkLinearizable(whole, operations).verdict).toBe(
      checkLinearizable(registerModel(), operations).verdict,
    );
  }
});

/** Recorded histories with verdicts, as `etcd_000.log` with those listed linearizable, and `*-ok`, `*-bad`. */
const recorded = process.env.HOLDFAST_HISTORIES ?? "";
const linearizableLogs = ["002", "005", "007", "018", "025"];

describe.skipIf(!existsSync(recorded))("recorded histories (HOLDFAST_HISTORIES names their folder)", () => {
  const files = (folder: string) =>
    readdirSync(join(recorded, folder)).map((file) => join(recorded, folder, file));

  test("registers of etcd", async () => {
    const logs = files("etcd-register").filter((file) => file.endsWith(".log"));
    for (const file of logs) {
      const { operations } = await readOperations(file);
      const expected = linearizableLogs.some((number) => file.endsWith(`_${number}.log`)) ? "ok" : "illegal";
      expect([file, findChecker("cas-register")?.check(operations).verdict]).toEqual([file, expected]);
    }
    expect(logs.length).toBeGreaterThanOrEqual(30);
  });

  test("key-value stores", async () => {
    for (const file of files("kv")) {
      const { operations } = await readOperations(file);
      const expected = file.includes("-ok") ? "ok" : "illegal";
      expect([file, findChecker("kv")?.check(operations).verdict]).toEqual([file, expected]);
    }
  });
});
