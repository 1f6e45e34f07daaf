/** The command is run by a real shell, over directories with names that somebody will have. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { restoreCommand } from "./restore-command.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "hf-command-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** As Postgres fills it in. */
const filled = (command: string, file: string, path: string) =>
  command.replace(/%[%fp]/g, (sign) => ({ "%%": "%", "%f": file, "%p": path })[sign] ?? sign);

test("the first directory that has the file serves it, whatever the directories are called", () => {
  const names = [`it's "here" $HOME`, "100 % & more;rm -rf x", "plain"];
  const dirs = names.map((name) => join(dir, name));
  for (const path of dirs) mkdirSync(path);
  writeFileSync(join(dirs[1] ?? "", "A"), "second");
  writeFileSync(join(dirs[2] ?? "", "A"), "third");
  writeFileSync(join(dirs[0] ?? "", "B"), "first");
  const command = restoreCommand(dirs, "linux");
  for (const [file, text] of [
    ["A", "second"],
    ["B", "first"],
  ] as const) {
    execFileSync("/bin/sh", ["-c", filled(command, file, "got")], { cwd: dir });
    expect(readFileSync(join(dir, "got"), "utf8")).toBe(text);
  }
  const missing = spawnSync("/bin/sh", ["-c", filled(command, "C", "none")], { cwd: dir, encoding: "utf8" });
  expect([missing.status, missing.stderr]).toEqual([1, ""]);
});

test("without a directory nothing is there, and the command says so", () => {
  expect(spawnSync("/bin/sh", ["-c", restoreCommand([], "linux")]).status).toBe(1);
});
