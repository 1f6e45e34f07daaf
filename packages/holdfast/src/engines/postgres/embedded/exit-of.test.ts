import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { exitOf } from "./exit-of.ts";

const node = (script: string) => spawn(process.execPath, ["-e", script], { stdio: "ignore" });

test("a process that ended before anybody asked is known to have ended", async () => {
  const refused = node("process.exit(3)");
  await once(refused, "exit");
  expect(await exitOf(refused)).toEqual({ code: 3, signal: null });
  const killed = node("setInterval(() => {}, 1000)");
  killed.kill("SIGKILL");
  await once(killed, "exit");
  expect(await exitOf(killed)).toEqual({ code: null, signal: "SIGKILL" });
});

test("the end of a process that still runs is waited for, and one that cannot start ends too", async () => {
  expect(await exitOf(node("process.exit(4)"))).toEqual({ code: 4, signal: null });
  expect(await exitOf(spawn("/nowhere/at/all"))).toEqual({ code: null, signal: null });
});
