/** Two supervisors and one project: at most one of them ever has its data. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { smallSystem } from "./fixtures/small-system.ts";
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

test.each([false, true])(
  "of two that start at the same moment one runs (after a killed one: %s)",
  async (killed) => {
    const project = make(smallSystem("export default { fetch: () => new Response('hello') };"));
    if (killed) {
      const dead = project.up("--no-watch");
      await dead.ready();
      dead.process.kill("SIGKILL");
      await dead.ended;
    }
    const both = [project.up("--no-watch"), project.up("--no-watch")];
    const outcomes = await Promise.all(
      both.map((up) => Promise.race([up.ready().catch(() => up.ended), up.ended])),
    );
    const winner = both.find((_, index) => "url" in (outcomes[index] ?? {}));
    const loser = both.find((up) => up !== winner);
    expect(outcomes.filter((outcome) => "url" in outcome)).toHaveLength(1);
    expect(await loser?.ended).toMatchObject({
      code: 4,
      stdout: expect.stringContaining("HOLDFAST_ALREADY_RUNNING"),
    });
    expect((await loser?.ended)?.stdout).toContain(`Process ${winner?.pid} runs`);
    expect((await project.status()).pid).toBe(winner?.pid);
    winner?.process.kill("SIGINT");
    expect((await winner?.ended)?.code).toBe(0);
    expect(existsSync(join(project.dir, ".holdfast", "supervisor.json"))).toBe(false);
  },
);
