/** The examples of docs/checking.md are judged as it says. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { history } from "./fixtures/hand-made.ts";
import { checkers, findChecker } from "./registry.ts";

const text = readFileSync(new URL("../../../../docs/checking.md", import.meta.url), "utf8");
const families = ["linearizable", "causal", "session"];

const examples = text
  .split(/^(?=##+ )/m)
  .map((section) => ({
    model: /^#+ (.*)/.exec(section)?.[1] ?? "",
    lines: /```text\n([\s\S]*?)```/.exec(section)?.[1]?.trim().split("\n") ?? [],
  }))
  .map(({ model, lines }) => ({ model: model === "Sequential" ? "sequential-register" : model, lines }))
  .filter(({ model, lines }) => lines.length > 0 && findChecker(model) !== undefined)
  .filter(({ model }) => [...families, "sequential"].includes(findChecker(model)?.family ?? ""));

test.each(examples)("$model", ({ model, lines }) => {
  const operations = history(...lines.map((line) => line.replace(/ {2,}.*/, ""))).operations;
  const expected = lines.some((line) => line.includes("illegal:")) ? "illegal" : "ok";
  expect(findChecker(model)?.check(operations).verdict).toBe(expected);
  expect(lines.length).toBeLessThanOrEqual(5);
});

test("every model has its example", () => {
  const named = checkers.filter(({ family }) => families.includes(family)).map(({ name }) => name);
  expect(named.filter((name) => !examples.some(({ model }) => model === name))).toEqual([]);
});
