import { expect, test } from "vitest";
import { readOperations } from "../history/read-history.ts";
import { findChecker } from "../registry.ts";

/** `FUNCTION VALUE` or `FUNCTION VALUE ANSWER`, in EDN, one after the other. */
async function judge(
  model: string,
  ...lines: readonly (readonly [f: string, asked: string, answer?: string])[]
) {
  const text = lines
    .map(
      ([f, asked, answer = asked]) =>
        `{:process 0, :type :invoke, :f :${f}, :value ${asked}}\n{:process 0, :type :ok, :f :${f}, :value ${answer}}\n`,
    )
    .join("");
  async function* source() {
    yield new TextEncoder().encode(text);
  }
  const { operations } = await readOperations(source(), { name: "given" });
  const result = findChecker(model)?.check(operations);
  return [result?.verdict, ...new Set(result?.witnesses.map(({ anomaly }) => anomaly))];
}

test.each(["set-final", "set-full", "set-full-fresh"])(
  "%s: the sets of two keys have nothing to do with each other",
  async (model) => {
    const adds = [
      ["add", "[1 1]"],
      ["add", "[2 7]"],
    ] as const;
    expect(
      await judge(model, ...adds, ["read", "[1 nil]", "[1 [1]]"], ["read", "[2 nil]", "[2 #{7}]"]),
    ).toEqual(["ok"]);
    expect(
      await judge(model, ...adds, ["read", "[1 nil]", "[1 [7]]"], ["read", "[2 nil]", "[2 [7]]"]),
    ).toEqual(["illegal", "lost", "unexpected"]);
  },
);

test("queues, banks and generators of several keys are judged apart", async () => {
  expect(await judge("total-queue", ["enqueue", "[1 1]"], ["drain", "[2 nil]", "[2 [1]]"])).toEqual([
    "illegal",
    "lost",
    "unexpected",
  ]);
  expect(
    await judge(
      "total-queue-once",
      ["enqueue", "[1 1]"],
      ["enqueue", "[2 1]"],
      ["drain", "[1 nil]", "[1 [1]]"],
      ["drain", "[2 nil]", "[2 [1]]"],
    ),
  ).toEqual(["ok"]);
  const bankOfKey1 = ["read", "[1 nil]", "[1 {0 5, 1 5}]"] as const;
  expect(await judge("bank", bankOfKey1, ["read", "[2 nil]", "[2 {0 7, 1 5}]"])).toEqual(["ok"]);
  expect(
    await judge(
      "bank",
      bankOfKey1,
      bankOfKey1,
      ["read", "[2 nil]", "[2 {0 7}]"],
      ["read", "[1 nil]", "[1 {0 5, 1 4}]"],
    ),
  ).toEqual(["illegal", "wrong-total"]);
  expect(
    await judge("unique-ids", ["generate", "[1 nil]", "[1 9]"], ["generate", "[2 nil]", "[2 9]"]),
  ).toEqual(["ok"]);
});

test("what Jepsen's workloads answer: balances as a vector, nothing instead of an empty set", async () => {
  expect(await judge("bank", ["read", "nil", "[5 5]"], ["read", "nil", "[4 6]"])).toEqual(["ok"]);
  expect(
    await judge("bank", ["read", "nil", "[5 5]"], ["read", "nil", "[5 5]"], ["read", "nil", "[4 5]"]),
  ).toEqual(["illegal", "wrong-total"]);
  expect(await judge("set-full", ["read", "nil"], ["add", "1"], ["read", "nil", "[1]"])).toEqual(["ok"]);
  expect(await judge("set-final", ["add", "1"], ["read", "nil"])).toEqual(["unknown"]);
});

test("a set that shows an element twice is none", async () => {
  expect(await judge("set-full", ["add", "1"], ["read", "nil", "[1 1]"])).toEqual(["illegal", "duplicated"]);
});
