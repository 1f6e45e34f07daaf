/** A system without a database, whose parts start in a moment: what does not need more than that. */
import { afterEach, expect, test, vi } from "vitest";
import { isAlive } from "./fixtures/processes.ts";
import { smallSystem } from "./fixtures/small-system.ts";
import { eventually, eventuallyMs, type TestProject, testProject } from "./fixtures/test-project.ts";

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

test("gentle traffic goes through the gateway, as load.ts describes it", async () => {
  const project = make({
    ...smallSystem(`export default {
      fetch: (request) => {
        console.log("asked for " + new URL(request.url).pathname);
        return new Response("hello");
      },
    };`),
    "load.ts": `
      import { loadPlan } from "holdfast/load";
      export default loadPlan({ mix: [{ name: "hello", weight: 1, request: () => ({ path: "/hello" }) }] });`,
  });
  const up = project.up("--traffic");
  const { instances } = await up.ready();
  expect(instances.map(({ name }) => name)).toEqual(["api-1", "edge-1", "edge-2", "traffic"]);
  await eventually(() => up.events.filter(({ line }) => line === "asked for /hello").length >= 3);
});

test("Ctrl-C is not held up by a part that never becomes ready", async () => {
  const project = make(
    smallSystem(`
      if (process.title.endsWith("api-1")) {
        console.log("hanging as " + process.pid);
        await new Promise(() => {});
      }
      export default { fetch: () => new Response("hello") };`),
  );
  const up = project.up();
  const hanging = await eventually(() =>
    up.events.find(({ line }) => String(line).startsWith("hanging as ")),
  );
  up.process.kill("SIGINT");
  expect((await up.ended).code).toBe(130);
  expect(isAlive(Number(String(hanging.line).split(" ").at(-1)))).toBe(false);
});

test("what the declaration takes on only at the next start is said", async () => {
  const project = make(smallSystem('export default { fetch: () => new Response("hello") };'));
  const up = project.up();
  await up.ready();
  project.write("parts.ts", smallSystem("", { instances: 2 })["parts.ts"]);
  const notice = await eventually(() =>
    up.events.find(({ text }) => typeof text === "string" && text.includes("the declaration of")),
  );
  expect(notice.text).toContain("parts.ts: the declaration of services changed");
});

test("requests are answered while the supervisor is paused", async () => {
  const project = make(smallSystem('export default { fetch: () => new Response("hello") };'));
  const up = project.up("--no-watch");
  const { url, instances } = await up.ready();
  up.process.kill("SIGSTOP");
  expect(await (await fetch(url)).text()).toBe("hello");
  up.process.kill("SIGCONT");
  const after = (await project.status()).instances;
  expect(after.map(({ pid }) => pid)).toEqual(instances.map(({ pid }) => pid));
});
