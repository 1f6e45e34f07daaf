/** A supervisor whose project is taken from under it. */
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { isAlive } from "./fixtures/processes.ts";
import { eventuallyMs, type TestProject, testProject } from "./fixtures/test-project.ts";

vi.setConfig({ testTimeout: 2 * eventuallyMs, hookTimeout: 2 * eventuallyMs });

const projects: TestProject[] = [];
afterEach(async () => {
  for (const project of projects.splice(0)) await project.remove();
});

function make(files: Readonly<Record<string, string>>): TestProject {
  const project = testProject(files);
  projects.push(project);
  return project;
}

test("a supervisor whose folder is taken away stops everything, and leaves the next one's servers alone", async () => {
  const parts = readFileSync(new URL("./fixtures/notes/parts.ts", import.meta.url), "utf8");
  const project = make({ "parts.ts": parts.replace("replicas: 1", "replicas: 0") });
  const first = project.up("--no-watch");
  const before = await first.ready();
  // Paused, so that it looks only when the next one has everything.
  first.process.kill("SIGSTOP");
  // Moved, because Postgres makes and removes files while a folder is being emptied.
  renameSync(join(project.dir, ".holdfast"), join(project.dir, "gone"));
  const second = project.up("--no-watch");
  const { url, servers } = await second.ready().finally(() => first.process.kill("SIGCONT"));

  const { code, stdout } = await first.ended;
  expect(code).toBe(1);
  expect(stdout).toContain("HOLDFAST_FENCED");
  const pids = [...before.instances, ...before.servers].map(({ pid }) => pid as number);
  expect(pids.filter(isAlive)).toEqual([]);

  expect(
    second.events.filter(({ event, text }) => event === "notice" && /Postgres/.test(String(text))),
  ).toEqual([]);
  expect(servers.every(({ pid }) => isAlive(pid as number))).toBe(true);
  expect((await fetch(`${url}/notes/a`, { method: "PUT", body: "kept" })).status).toBe(201);
  second.process.kill("SIGINT");
  expect((await second.ended).code).toBe(0);

  // The node's record is still the second one's: its password and ports open what it has written.
  const third = await project.up("--no-watch").ready();
  expect(await (await fetch(`${third.url}/notes/a`)).json()).toEqual({ id: "a", text: "kept" });
});
