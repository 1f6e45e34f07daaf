/** docs/map.md: each concept's code, demonstration and proof are real. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository } from "./source-files.ts";

interface Row {
  readonly concept: string;
  readonly cells: readonly string[];
}

const columns = ["concept", "in one line", "code", "see it", "proof"];

const lines = readFileSync(join(repository, "docs/map.md"), "utf8").split("\n");
const rows: readonly Row[] = lines
  .filter((line) => line.startsWith("| ") && !line.startsWith("| concept"))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  )
  .map((cells) => ({ concept: cells[0] ?? "", cells }));

const scripts = Object.keys(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).scripts);
const verbs = readdirSync(join(repository, "packages/holdfast/src/cli"));

const links = (cell: string): string[] =>
  [...cell.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] as string);
const commands = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);

test("there are concepts, each with every column filled", () => {
  expect(rows.length).toBeGreaterThan(20);
  for (const { concept, cells } of rows) {
    expect(cells.length, concept).toBe(columns.length);
    for (const cell of cells) expect(cell, concept).not.toBe("");
    expect(links(cells[2] as string).length, `${concept}: code`).toBeGreaterThan(0);
    expect(links(cells[4] as string).length, `${concept}: proof`).toBeGreaterThan(0);
    const shown = [...links(cells[3] as string), ...commands(cells[3] as string)];
    expect(shown.length, `${concept}: see it`).toBeGreaterThan(0);
  }
});

test("each concept is there once", () => {
  const names = rows.map((row) => row.concept);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("every link leads to a file of the repository", () => {
  const broken = rows.flatMap(({ concept, cells }) =>
    cells
      .flatMap(links)
      .filter((link) => !existsSync(join(repository, "docs", link.replace(/#.*$/, ""))))
      .map((link) => `${concept}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test("every proof is a test", () => {
  const notTests = rows.flatMap(({ concept, cells }) =>
    links(cells[4] as string)
      .filter((link) => !/\.(test|deep)\.ts$/.test(link))
      .map((link) => `${concept}: ${link}`),
  );
  expect(notTests).toEqual([]);
});

test("every command is one that can be typed", () => {
  const unknown = rows.flatMap(({ concept, cells }) =>
    commands(cells[3] as string)
      .filter((command) => !isReal(command))
      .map((command) => `${concept}: ${command}`),
  );
  expect(unknown).toEqual([]);
});

function isReal(command: string): boolean {
  const [program = "", ...words] = command.split(" ");
  if (program === "node") return existsSync(join(repository, words[0] ?? ""));
  if (program !== "npm") return program === "curl" || program === "kill";
  if (words[0] === "start" || words[0] === "test") return true;
  if (words[0] !== "run" || !scripts.includes(words[1] ?? "")) return false;
  const argument = words[3];
  if (words[1] === "bench") {
    return argument === undefined || existsSync(join(repository, `bench/${argument}.bench.ts`));
  }
  if (words[1] === "holdfast") return verbs.some((file) => file === `${argument}.ts`);
  return true;
}
