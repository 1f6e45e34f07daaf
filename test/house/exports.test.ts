/**
 * What the library offers, name by name. A change here is a change for every user: it should be made on
 * purpose, by editing `exports.json` along with the index file that lists the name.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository, source } from "./source-files.ts";

const manifest = JSON.parse(readFileSync(join(repository, "packages/holdfast/package.json"), "utf8"));
const subpaths = Object.entries<string>(manifest.exports).filter(([, file]) => file.endsWith(".ts"));
const expected = JSON.parse(readFileSync(new URL("./exports.json", import.meta.url), "utf8"));

test("the list has every subpath, and no other", () => {
  expect(Object.keys(expected)).toEqual(subpaths.map(([subpath]) => subpath));
});

test.each(subpaths)("%s offers what it should", async (subpath, file) => {
  const module = await import(join(repository, "packages/holdfast", file));
  expect(Object.keys(module).sort()).toEqual(expected[subpath]);
});

test("index files list their names by hand", () => {
  for (const [subpath, file] of subpaths) {
    const text = readFileSync(join(repository, "packages/holdfast", file), "utf8");
    if (file !== "./src/index.ts") expect(text, subpath).not.toMatch(/export \* from/);
  }
  // The front door passes on what parts/index.ts lists.
  expect(readFileSync(join(source, "parts/index.ts"), "utf8")).not.toMatch(/export \* from/);
});
