/** Kill, restart, pause, starvation and storms, on real processes. */
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type Harmed, startHarmed } from "../fixtures/harmed.ts";
import type { InjectorContext } from "../run/injector.ts";
import { type UndoGuard, undoGuard } from "../undo/undo-guard.ts";
import { connectionStorm } from "./connection-storm.ts";
import { cpuGroupRefusal } from "./cpu-group.ts";
import { cpuStarvation } from "./cpu-starvation.ts";
import { kill, restart } from "./kill.ts";
import { pause } from "./pause.ts";
import { isWholeStopped, processTree, readStat } from "./proc.ts";
import { byTurns } from "./turns.ts";

let server: Harmed;
let guard: UndoGuard;
let context: InjectorContext;
beforeEach(async () => {
  server = await startHarmed({ children: 2 });
  guard = undoGuard();
  context = { clock: systemClock, guard, probeMs: 10_000 };
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await guard.close();
});

test("kill ends the process and its children, and the end starts it again", async () => {
  const before = await processTree(server.pid);
  expect(before).toHaveLength(3);
  const fault = await kill.inject({ kind: "kill" }, server.member, context);
  expect(fault.effect).toBe("all 3 processes are gone");
  expect(await Promise.all(before.map((pid) => readStat(pid)))).toEqual([undefined, undefined, undefined]);
  await expect(server.ask("hello")).rejects.toThrow();
  expect(await fault.undo()).toMatch(/^runs again as process \d+$/);
  expect(await server.ask("hello")).toBe("hello");
});

test("a kill of what does not run counts as no fault", async () => {
  const first = await kill.inject({ kind: "kill" }, server.member, context);
  const again = kill.inject({ kind: "kill" }, server.member, { ...context, probeMs: 50 });
  await expect(again).rejects.toMatchObject({
    code: "HOLDFAST_FAULT_NO_EFFECT",
    message: expect.stringMatching(/it did not run/),
  });
  await first.undo();
});

test("restart lasts until another process answers", async () => {
  const { pid } = server;
  const fault = await restart.inject({ kind: "restart" }, server.member, context);
  expect(server.pid).not.toBe(pid);
  expect(fault.effect).toBe(`all 3 processes are gone; runs again as process ${server.pid}`);
  expect(await server.ask("hello")).toBe("hello");
  await fault.undo();
});

test("pause stops every thread of the process and its children, and lets them go on", async () => {
  const pids = await processTree(server.pid);
  const fault = await pause.inject({ kind: "pause" }, server.member, context);
  expect(fault).toMatchObject({ by: "SIGSTOP", effect: "every thread of 3 processes stands still" });
  expect(await Promise.all(pids.map(isWholeStopped))).toEqual([true, true, true]);
  await expect(server.ask("hello", { boundMs: 200 })).rejects.toThrow("no answer");
  expect(await fault.undo()).toBe("no thread stands still");
  expect(await Promise.all(pids.map(isWholeStopped))).toEqual([false, false, false]);
  expect(await server.ask("hello")).toBe("hello");
});

test("starvation leaves the process a share of a CPU, and gives the rest back", async () => {
  const home = await readFile(`/proc/${server.pid}/cgroup`, "utf8");
  const fault = await cpuStarvation.inject({ kind: "cpu-starvation", share: 0.1 }, server.member, context);
  const quota = (await cpuGroupRefusal()) === undefined;
  expect(fault.by).toMatch(quota ? /^CPU quota of a control group/ : /^SIGSTOP and SIGCONT in turns \(.+\)$/);
  expect(await server.ask("hello")).toBe("hello");
  await fault.undo();
  expect(await readFile(`/proc/${server.pid}/cgroup`, "utf8")).toBe(home);
  expect(await server.ask("hello")).toBe("hello");
});

test("starvation by turns, where there are no control groups, says why", async () => {
  const fault = await byTurns(
    { kind: "cpu-starvation", share: 0.1 },
    server.member,
    context,
    "no cgroups here",
  );
  expect(fault.by).toBe("SIGSTOP and SIGCONT in turns (no cgroups here)");
  expect(fault.effect).toMatch(/^its processes stood still in \d+ % of 40 looks$/);
  expect(await server.ask("hello")).toBe("hello");
  expect(await fault.undo()).toBe("no process stands still");
  expect(await isWholeStopped(server.pid)).toBe(false);
});

test("a storm opens connections, and closes them", async () => {
  const fault = await connectionStorm.inject(
    { kind: "connection-storm", connections: 200 },
    server.member,
    context,
  );
  expect(fault.effect).toBe("200 of 200 connections are open");
  expect(await fault.undo()).toBe("all of them are closed");
});

test("a storm on nobody is no fault", async () => {
  await server[Symbol.asyncDispose]();
  const storm = connectionStorm.inject({ kind: "connection-storm", connections: 3 }, server.member, context);
  await expect(storm).rejects.toMatchObject({
    code: "HOLDFAST_FAULT_NO_EFFECT",
    message: expect.stringMatching(/3 ECONNREFUSED/),
  });
});
