/** docs/models.md: every model is on the page, and every example there prints what stands behind it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as models from "../../packages/holdfast/src/plan/models/index.ts";
import { repository } from "./source-files.ts";

const byName = new Map<string, unknown>(Object.entries(models));
const page = readFileSync(join(repository, "docs/models.md"), "utf8");
const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code as string);

test("there is an example for each section", () => {
  const sections = page.match(/^### /gm) ?? [];
  expect(sections.length).toBeGreaterThan(10);
  expect(examples).toHaveLength(sections.length);
});

test("every function of holdfast/models is on the page", () => {
  const names = [...byName.keys()];
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
});

test.each(examples.map((code) => [/\{ (.*) \}/.exec(code)?.[1] ?? "", code]))("%s", (_, code) => {
  const imported = /^import \{ (.*) \} from "holdfast\/models";\n/.exec(code);
  const names = (imported?.[1] ?? "").split(", ");
  expect(names.filter((name) => !byName.has(name))).toEqual([]);
  const printed: string[] = [];
  const run = new Function("console", ...names, code.slice(imported?.[0].length));
  const console = { log: (...values: unknown[]) => void printed.push(values.join(" ")) };
  run(console, ...names.map((name) => byName.get(name)));
  const written = [...code.matchAll(/ \/\/ (.*)$/gm)].map(([, text]) => text);
  expect(written.length).toBeGreaterThan(0);
  expect(printed).toEqual(written);
});
