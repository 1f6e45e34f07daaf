import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isRunning, parseLsof, processStartTime } from "./processes.ts";

test("a process is the same one only while it runs, whoever gets its id later", async () => {
  const child = spawn("sleep", ["60"]);
  const pid = child.pid ?? 0;
  const startTime = (await processStartTime(pid)) ?? "";
  expect(startTime).not.toBe("");
  expect(await isRunning({ pid, startTime })).toBe(true);
  expect(await isRunning({ pid, startTime: `${startTime}1` })).toBe(false);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await isRunning({ pid, startTime })).toBe(false);
});

test("of what lsof lists, only processes in exactly this directory count", () => {
  const listed = "p11\nfcwd\nn/data/primary\np12\nfcwd\nn/data/primary-2\np13\nfcwd\nn/data/primary\n";
  expect(parseLsof(listed, "/data/primary")).toEqual([11, 13]);
  expect(parseLsof("", "/data/primary")).toEqual([]);
});
