/** docs/findings.md has a section for each kind of finding, and each says who remedies it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findingKinds } from "holdfast/plan";
import { expect, test } from "vitest";
import { repository } from "./source-files.ts";

const sections = new Map(
  readFileSync(join(repository, "docs/findings.md"), "utf8")
    .split(/^## /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf("\n")).trim(), text]),
);

test("every kind has its section, in the same order, and none is left of a kind that is gone", () => {
  expect([...sections.keys()]).toEqual(Object.keys(findingKinds));
});

test.each(Object.entries(findingKinds))(
  "%s says what it is, by which rule, and who remedies it",
  (kind, meaning) => {
    const text = sections.get(kind) ?? "";
    expect(text).toContain(`\n\n${meaning}\n`);
    expect(text).toMatch(/\*\*Rule\.\*\* .{20,}/);
    const remedy = /\*\*In Holdfast\.\*\* (.+)/.exec(text)?.[1] ?? "";
    const links = [...remedy.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map((match) => match[1] as string);
    expect(links.length > 0 || /none yet/i.test(remedy), "a part of the project, or none yet").toBe(true);
    expect(links.filter((link) => !existsSync(join(repository, link)))).toEqual([]);
  },
);
