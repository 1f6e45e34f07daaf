/** The lint rule that only clock/ reads time or randomness says no to each way of doing it. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repository } from "./source-files.ts";

const readings = [
  "export const x = Date.now();",
  "export const x = new Date();",
  "export const x = performance.now();",
  "export const x = Math.random();",
  "export const x = process.hrtime.bigint();",
  "export const x = crypto.randomUUID();",
  "export const x = AbortSignal.timeout(5);",
  "setTimeout(() => undefined, 5);",
  "setInterval(() => undefined, 5);",
  'import { setTimeout as wait } from "node:timers/promises";\n\nawait wait(5);',
  'import { randomBytes } from "node:crypto";\n\nexport const x = randomBytes(5);',
];

const allowed = ["clock/example.ts", "parts/example.test.ts"];

const project = mkdtempSync(join(tmpdir(), "holdfast-lint-"));
afterAll(() => rmSync(project, { recursive: true, force: true }));

beforeAll(() => {
  const config = JSON.parse(readFileSync(join(repository, "biome.json"), "utf8"));
  // The copy is no git repository and has no installed packages.
  delete config.vcs;
  delete config.$schema;
  writeFileSync(join(project, "biome.json"), JSON.stringify(config));
  cpSync(join(repository, "lint"), join(project, "lint"), { recursive: true });
  readings.forEach((text, index) => {
    write(`parts/reading-${index}.ts`, text);
  });
  for (const path of allowed) write(path, "export const x = [Date.now(), Math.random(), performance.now()];");
});

function write(path: string, text: string): void {
  const file = join(project, "packages/holdfast/src", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
}

function lint(path: string): { accepted: boolean; output: string } {
  const biome = join(repository, "node_modules/@biomejs/biome/bin/biome");
  const run = spawnSync(process.execPath, [biome, "lint", join("packages/holdfast/src", path)], {
    cwd: project,
    encoding: "utf8",
  });
  return { accepted: run.status === 0, output: run.stdout + run.stderr };
}

test.each(readings.map((text, index) => ({ text, index })))("refused outside clock/: $text", ({ index }) => {
  const { accepted, output } = lint(`parts/reading-${index}.ts`);
  expect(accepted).toBe(false);
  expect(output).toContain("Only clock/ reads time or randomness");
});

test.each(allowed)("allowed in %s", (path) => {
  const { accepted, output } = lint(path);
  expect(accepted, output).toBe(true);
});
