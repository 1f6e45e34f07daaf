import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { until } from "../testkit/index.ts";
import { findProject, type Project } from "./project.ts";
import { claimProject, identifyProcess, readSupervisor, runningSupervisor } from "./supervisor-file.ts";

const dirs: string[] = [];
const sleepers: ChildProcess[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  for (const sleeper of sleepers.splice(0)) sleeper.kill("SIGKILL");
});

function project(): Project {
  const dir = mkdtempSync(join(tmpdir(), "hf-claim-"));
  dirs.push(dir);
  writeFileSync(join(dir, "package.json"), "{}");
  return findProject(dir);
}

function sleeper(): number {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  sleepers.push(child);
  return child.pid as number;
}

/** Writes the claim that another process would have made. */
async function claimAs(at: Project, pid: number, startTime?: string) {
  const claim = await claimProject(at, "notes", "/tmp/none");
  const record = readSupervisor(at);
  claim.release();
  const supervisor = startTime === undefined ? await identifyProcess(pid) : { pid, startTime };
  writeFileSync(join(at.stateDir, "supervisor.json"), JSON.stringify({ ...record, supervisor }));
}

test("a project with a living supervisor refuses a second one, and names it", async () => {
  const at = project();
  const pid = sleeper();
  await claimAs(at, pid);
  await expect(claimProject(at, "notes", "/tmp/none")).rejects.toMatchObject({
    code: "HOLDFAST_ALREADY_RUNNING",
    data: { pid },
  });
});

test("a pid that belongs to another program by now is no supervisor", async () => {
  const at = project();
  const pid = sleeper();
  await claimAs(at, pid, "some earlier boot:1");
  expect(await runningSupervisor(at)).toBeUndefined();
  const claim = await claimProject(at, "notes", "/tmp/none");
  expect(claim.stale?.supervisor.pid).toBe(pid);
  expect((await runningSupervisor(at))?.supervisor.pid).toBe(process.pid);
});

test("a claim is lost when its record is removed, and does not overwrite or remove the next one", async () => {
  const at = project();
  const claim = await claimProject(at, "notes", "/tmp/none");
  expect(claim.lost()).toBeUndefined();
  rmSync(at.stateDir, { recursive: true });
  expect(claim.lost()).toMatchObject({
    code: "HOLDFAST_FENCED",
    message: expect.stringContaining("removed"),
  });
  const pid = sleeper();
  await claimAs(at, pid);
  expect(claim.lost()).toMatchObject({ code: "HOLDFAST_FENCED", data: { pid } });
  claim.update([pid]);
  await identifyProcess(pid);
  claim.release();
  expect(readSupervisor(at)).toMatchObject({ supervisor: { pid }, children: [] });
});

test.each(["{}", "null", '{"superv'])("a record that says %s is nobody's", async (text) => {
  const at = project();
  (await claimProject(at, "notes", "/tmp/none")).release();
  writeFileSync(join(at.stateDir, "supervisor.json"), text);
  expect((await claimProject(at, "notes", "/tmp/none")).stale).toBeUndefined();
});

test("children are recorded with their start times, and nothing is left after the release", async () => {
  const at = project();
  const pid = sleeper();
  const claim = await claimProject(at, "notes", "/tmp/none");
  claim.update([]);
  claim.update([pid]);
  const child = await identifyProcess(pid);
  await until(() => readSupervisor(at)?.children.length === 1);
  expect(readSupervisor(at)?.children).toEqual([child]);
  claim.release();
  claim.release();
  claim.update([pid]);
  expect(await runningSupervisor(at)).toBeUndefined();
  expect(readdirSync(at.stateDir)).toEqual(["compile-cache"]);
});
