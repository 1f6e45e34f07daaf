/**
 * `docs/errors.md` and the table of codes say the same. A failure prints the missing entries ready to paste;
 * what to do about an error is the one line to write by hand.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type ErrorCodeFacts, errorCodes } from "./error-codes.ts";

const text = readFileSync(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
const placeholder = "WRITE: what should the reader do?";

/** The part of an entry that the table decides. */
function head(code: string, { outcome, permanent, summary }: ErrorCodeFacts): string {
  return `### ${code}\n\n\`${outcome}\`, ${permanent ? "permanent" : "transient"}. ${summary}`;
}

const table = new Map<string, ErrorCodeFacts>(Object.entries(errorCodes));
const entries = new Map(
  text
    .split(/^(?=### )/m)
    .filter((section) => section.startsWith("### "))
    .map((section) => {
      const [title = "", facts = "", remedy = ""] = section.split(/^## /m)[0]?.trim().split("\n\n") ?? [];
      return [title.slice(4), { head: `${title}\n\n${facts}`, remedy }];
    }),
);

test("every code has its entry", () => {
  const missing = [...table].filter(([code]) => !entries.has(code));
  const paste = missing.map(([code, facts]) => `${head(code, facts)}\n\n${placeholder}\n`).join("\n");
  expect(paste, "paste these into docs/errors.md").toBe("");
});

test("no entry is left of a code that is gone", () => {
  expect([...entries.keys()].filter((code) => !table.has(code))).toEqual([]);
});

test("an entry says of outcome and meaning what the table says", () => {
  for (const [code, entry] of entries) {
    const facts = table.get(code);
    if (facts) expect(entry.head).toBe(head(code, facts));
  }
});

test("each entry says what to do", () => {
  const silent = [...entries].filter(([, { remedy }]) => remedy.length < 20 || remedy === placeholder);
  expect(silent.map(([code]) => code)).toEqual([]);
});
