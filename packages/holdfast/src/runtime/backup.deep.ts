/** Backup and restore through the real command, killed at their worst moments. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  eventually,
  eventuallyMs,
  type RunningCommand,
  type TestProject,
  testProject,
} from "./fixtures/test-project.ts";

vi.setConfig({ testTimeout: 3 * eventuallyMs, hookTimeout: 2 * eventuallyMs });

let project: TestProject;
let up: RunningCommand;
let url: string;

beforeAll(async () => {
  project = testProject({
    "parts.ts": `
      import { database, service } from "holdfast";
      export const notes = database("notes", {
        migrations: new URL("./migrations/", import.meta.url), shards: { count: 4 }, nodes: 2 });
      export const api = service("api", { load: () => import("./api.ts") });`,
    "system.ts": `
      import { gateway, system } from "holdfast";
      import * as parts from "./parts.ts";
      export default system("notes", { parts, edge: gateway({ routes: [{ path: "/", to: parts.api }] }) });`,
    "api.ts": `
      import { notes } from "./parts.ts";
      export default { async fetch(request) {
        const [, id] = new URL(request.url).pathname.split("/");
        if (request.method === "PUT") {
          const text = await request.text();
          await notes.at(id).write((tx) => tx.insertInto("note").values({ id, text }).execute());
        }
        const row = await notes.at(id).read("strong", (sql) =>
          sql.selectFrom("note").selectAll().where("id", "=", id).executeTakeFirst());
        return Response.json(row ?? null);
      } };`,
  });
  await begin();
});
afterAll(() => project.remove());

async function begin(): Promise<void> {
  up = project.up("--no-watch");
  ({ url } = await up.ready());
}
const put = (id: string) =>
  fetch(`${url}/${id}`, { method: "PUT", body: "text" }).then((answer) => answer.json());
const has = async (id: string) => (await (await fetch(`${url}/${id}`)).json()) !== null;
const many = (prefix: string) => Array.from({ length: 12 }, (_, index) => `${prefix}${index}`);
const hasAll = async (prefix: string) => (await Promise.all(many(prefix).map(has))).filter(Boolean).length;
const backups = join(".holdfast", "backups");
const stateOf = (node: string) => join(project.dir, ".holdfast", "notes", "postgres", node, "servers");

/** Kills a command, with a signal that it cannot hear, as soon as something is there. */
async function killWhen(command: RunningCommand, there: () => boolean): Promise<void> {
  while (!there()) {
    if (command.process.exitCode !== null) throw new Error(`it ended before: ${command.stderr()}`);
    await sleep(1);
  }
  command.process.kill("SIGKILL");
  await command.ended;
}

test("a killed backup is none, and the next one takes its traces away", async () => {
  await Promise.all(many("a").map(put));
  const dir = join(project.dir, backups);
  const making = () => existsSync(dir) && readdirSync(dir).some((name) => name.endsWith(".making"));
  await killWhen(project.start("backup"), making);
  expect(making()).toBe(true);
  expect((await project.holdfast("backup", "--list")).stdout).toContain("There is no backup yet");
  const { code, stdout, stderr } = await project.holdfast("backup", "--pause-writes", "--json");
  expect(stderr).not.toContain("(HOLDFAST_");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ system: "notes", archive: "on", cut: { exact: true } });
  expect(readdirSync(dir)).toHaveLength(1);
  expect((await project.holdfast("backup", "--verify")).stdout).toContain("is whole");
});

test("status shows the archive of every node", async () => {
  const { archives } = await project.status();
  expect(archives.map(({ node, state }) => [node, state])).toEqual([
    ["node-1", "on"],
    ["node-2", "on"],
  ]);
  expect((await project.holdfast("status")).stdout).toMatch(/NODE +ARCHIVE[\s\S]*node-2 +on/);
});

test("a killed restore has changed nothing, and run again it puts everything back to the time", async () => {
  await Promise.all(many("b").map(put));
  const at = new Date().toISOString();
  await sleep(5); // the next commit is stamped in another millisecond
  await Promise.all(many("c").map(put));
  expect(await project.holdfast("restore", "--at", at)).toMatchObject({ code: 4 });
  await project.holdfast("down");
  await up.ended;
  const copying = () => existsSync(join(stateOf("node-1"), "primary.restoring"));
  await killWhen(project.start("restore", "--at", at), copying);
  await begin();
  expect([await hasAll("a"), await hasAll("b"), await hasAll("c")]).toEqual([12, 12, 12]);
  await project.holdfast("down");
  await up.ended;
  const { code, stdout, stderr } = await project.holdfast("restore", "--at", at);
  expect(stderr).not.toContain("(HOLDFAST_");
  expect(code).toBe(0);
  expect(stdout).toContain("Each node has what its own clock stamped up to");
  expect(stdout).toContain("primary.before-restore-1");
  await begin();
  expect([await hasAll("a"), await hasAll("b"), await hasAll("c")]).toEqual([12, 12, 0]);
  await Promise.all(many("d").map(put));
  expect(await eventually(() => hasAll("d"))).toBe(12);
});
