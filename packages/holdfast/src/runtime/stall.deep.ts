/** A process that stands still is as bad as a dead one, and harder to notice. */
import { expect, test, vi } from "vitest";
import { systemClock } from "../clock/index.ts";
import { beatMissingMs } from "./child.ts";
import { isAlive } from "./fixtures/processes.ts";
import { smallSystem } from "./fixtures/small-system.ts";
import { eventually, eventuallyMs, testProject } from "./fixtures/test-project.ts";
import { beatMs } from "./messages.ts";

vi.setConfig({ testTimeout: 2 * eventuallyMs, hookTimeout: 2 * eventuallyMs });

test("a paused instance is killed when its heartbeat is missing, and replaced", async () => {
  const project = testProject();
  try {
    const up = project.up("--no-watch");
    const { url, instances } = await up.ready();
    const paused = instances.find(({ name }) => name === "api-1")?.pid as number;
    process.kill(paused, "SIGSTOP");
    const api = await eventually(async () => {
      const found = (await project.status()).instances.find(({ name }) => name === "api-1");
      return found?.state === "ready" && found.restarts === 1 && found;
    });
    expect(api.lastError).toContain("no heartbeat");
    expect(isAlive(paused)).toBe(false);
    expect((await fetch(`${url}/who`)).status).toBe(200);
  } finally {
    await project.remove();
  }
});

test("a paused child of a killed supervisor does not survive the next start", async () => {
  const project = testProject();
  try {
    const first = project.up("--no-watch");
    const { instances } = await first.ready();
    const paused = instances.find(({ name }) => name === "tally-1")?.pid as number;
    process.kill(paused, "SIGSTOP");
    process.kill(first.pid, "SIGKILL");
    await first.ended;
    const { url } = await project.up("--no-watch").ready();
    expect(isAlive(paused)).toBe(false);
    expect((await fetch(`${url}/who`)).status).toBe(200);
  } finally {
    await project.remove();
  }
});

test("a supervisor that was paused for long does not take its children for dead", async () => {
  const project = testProject(smallSystem('export default { fetch: () => new Response("hello") };'));
  try {
    const up = project.up("--no-watch");
    const { instances } = await up.ready();
    up.process.kill("SIGSTOP");
    await systemClock.sleep(beatMissingMs + 2 * beatMs);
    up.process.kill("SIGCONT");
    // Twice as long as it would take to kill them, now that it runs again.
    await systemClock.sleep(4 * beatMs);
    const after = (await project.status()).instances;
    expect(after.map(({ pid }) => pid)).toEqual(instances.map(({ pid }) => pid));
  } finally {
    await project.remove();
  }
});
