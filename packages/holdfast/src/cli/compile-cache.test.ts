import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const bin = fileURLToPath(new URL("../../bin/holdfast.js", import.meta.url));

let dir: string;
let state: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "holdfast-cache-"));
  state = join(dir, ".holdfast");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the command there, without a cache that this test was given. */
function runs(): void {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...env } = process.env;
  execFileSync(process.execPath, [bin, "--version"], { cwd: dir, env });
}
const cached = () => existsSync(join(state, "compile-cache"));

test("the command keeps compiled modules in a state folder of its user, and makes no such folder", () => {
  runs();
  expect(existsSync(state)).toBe(false);
  mkdirSync(state, { mode: 0o700 });
  runs();
  expect(cached()).toBe(true);
});

test.each([0o777, 0o775, 0o702])("a state folder that others may write to (%o) is not trusted", (mode) => {
  mkdirSync(state);
  chmodSync(state, mode);
  runs();
  expect(cached()).toBe(false);
});

test("a state folder that is a link is not trusted", () => {
  mkdirSync(join(dir, "elsewhere"));
  symlinkSync("elsewhere", state);
  runs();
  expect(cached()).toBe(false);
});
