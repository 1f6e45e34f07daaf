import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exitCodes } from "./command.ts";
import { runCommandLine } from "./main.ts";

test.each(["status", "down"])("%s where nothing runs says so, and exits with 3", async (verb) => {
  const cwd = mkdtempSync(join(tmpdir(), "hf-not-running-"));
  writeFileSync(join(cwd, "package.json"), "{}");
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    cwd,
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    draw: () => {},
    columns: undefined,
    color: false,
  };
  expect(exitCodes.notRunning).toBe(3);
  expect(await runCommandLine([verb], io)).toBe(exitCodes.notRunning);
  expect(err.join("\n")).toContain(`No system of ${cwd} is running. Start one with`);
  expect(await runCommandLine([verb, "--json"], io)).toBe(exitCodes.notRunning);
  expect(JSON.parse(out.join("\n"))).toMatchObject({ error: { code: "HOLDFAST_NOT_RUNNING" } });
  rmSync(cwd, { recursive: true });
});
