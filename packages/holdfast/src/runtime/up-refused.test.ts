/** What keeps a system from starting: one clear message each, and nothing left half-started. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
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

const answering = "export default { fetch: () => new Response('hello') };";

function nothingIsLeft(project: TestProject): void {
  expect(existsSync(join(project.dir, ".holdfast", "supervisor.json"))).toBe(false);
}

test("whatever the umask is, nobody else can write to the state folder", async () => {
  const project = make({ ...smallSystem(answering), "api.ts": "throw new Error();" });
  const before = process.umask(0);
  const ended = project.holdfast("up", "--port", "0");
  process.umask(before);
  expect((await ended).code).toBe(1);
  const state = join(project.dir, ".holdfast");
  const mode = (path: string) => statSync(path).mode & 0o777;
  expect([mode(state), mode(join(state, "compile-cache"))]).toEqual([0o755, 0o700]);
});

test("a port that is in use", async () => {
  const project = make(smallSystem(answering));
  const other = createServer().listen(0, "127.0.0.1");
  await eventually(() => other.listening);
  const { port } = other.address() as { port: number };
  const { code, stderr } = await project.holdfast("up", "--port", String(port));
  other.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`Port ${port}`);
  expect(stderr).toContain("HOLDFAST_PORT_IN_USE");
  expect(existsSync(join(project.dir, ".holdfast", "notes"))).toBe(false);
  nothingIsLeft(project);
});

test("modules that lack what their parts need, all at once", async () => {
  const project = make({
    "api.ts": "export default { get: () => new Response() };",
    "tally.ts": "export const tally = () => {};",
  });
  const { code, stderr } = await project.holdfast("up", "--port", "0");
  expect(code).toBe(1);
  expect(stderr).toContain('service "api": its module\'s default export has no fetch(request)');
  expect(stderr).toContain('worker "tally": its module\'s default export is no function');
  expect(stderr).toContain("2 problems");
  nothingIsLeft(project);
});

test("a broken module is named with its line", async () => {
  const project = make({ "api.ts": "const x = 1;\nexport default { fetch: ( };\n" });
  const { code, stderr } = await project.holdfast("up", "--port", "0");
  expect(code).toBe(1);
  expect(stderr).toContain('service "api": its module cannot be loaded');
  expect(stderr).toContain("api.ts:2");
});

test("a declaration with several problems tells all of them", async () => {
  const project = make(
    smallSystem(answering, {
      more: `export const twin = service("api", { load: () => import("./api.ts") });
       export { hidden as gone } from "./hidden.ts";`,
    }),
  );
  project.write("hidden.ts", 'import { topic } from "holdfast"; export const hidden = { schema: topic };');
  project.write(
    "system.ts",
    `import { gateway, service, system } from "holdfast";
     import * as parts from "./parts.ts";
     const lost = service("lost", { load: () => import("./api.ts") });
     export default system("notes", { parts, edge: gateway({ routes: [{ path: "/", to: lost }] }) });`,
  );
  const { code, stderr } = await project.holdfast("up", "--port", "0");
  expect(code).toBe(1);
  expect(stderr).toContain('service "api" has the name of a service');
  expect(stderr).toContain('route "/" goes to service "lost", which parts does not export');
});

test("a folder without a system, and a file that exports none", async () => {
  const project = make(smallSystem(answering));
  expect(await project.holdfast("up", "nowhere")).toMatchObject({ code: 2 });
  const { code, stderr } = await project.holdfast("up", "api.ts");
  expect(code).toBe(1);
  expect(stderr).toContain("exports no system");
});

test("a broken migration stops everything again", async () => {
  const project = make({ "migrations/002_broken.sql": "create tabel oops (id int);\n" });
  const { code, stderr } = await project.holdfast("up", "--port", "0");
  expect(code).toBe(1);
  expect(stderr).toContain("002_broken.sql");
  nothingIsLeft(project);
  // Repaired, it starts on the same data.
  project.write("migrations/002_broken.sql", "create table oops (id int);\n");
  const up = project.up("--no-watch");
  const { url } = await up.ready();
  expect((await fetch(`${url}/notes/none`)).status).toBe(404);
});

test("traffic without a load.ts", async () => {
  const project = make(smallSystem(answering));
  const { code, stderr } = await project.holdfast("up", "--traffic");
  expect(code).toBe(2);
  expect(stderr).toContain("has no load.ts");
  nothingIsLeft(project);
});

test("an instance that keeps dying is reported as a crash loop, with its last error", async () => {
  const project = make(smallSystem(answering));
  project.write(
    "api.ts",
    `import { existsSync } from "node:fs";
     if (existsSync("${project.dir}/broken")) throw new Error("no luck today");
     ${answering}`,
  );
  const up = project.up("--no-watch");
  const { instances } = await up.ready();
  project.write("broken", "");
  process.kill(instances[0]?.pid as number, "SIGKILL");
  const api = await eventually(async () => {
    const found = (await project.status()).instances.find(({ name }) => name === "api-1");
    return found?.state === "crash-looping" && found;
  });
  expect(api.lastError).toContain("no luck today");
  const { stdout } = await project.holdfast("status");
  expect(stdout).toContain("crash-looping");
  expect(stdout).toContain("no luck today");
  const log = readdirSync(join(project.dir, ".holdfast", "notes", "logs"));
  expect(log).toContain("supervisor.log");
});

test("Ctrl-C while it starts leaves nothing", async () => {
  const project = make({});
  const up = project.up();
  await eventually(() => up.events.some(({ text }) => text === "Starting Postgres"));
  up.process.kill("SIGINT");
  expect((await up.ended).code).toBe(130);
  nothingIsLeft(project);
});
