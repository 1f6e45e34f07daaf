/** A project that grows from one node to two and back, by the real command, with everything it had written. */
import { afterEach, expect, test } from "vitest";
import { eventuallyMs, type TestProject, testProject } from "./fixtures/test-project.ts";

let project: TestProject | undefined;
afterEach(() => project?.remove());

const parts = (nodes: number) => `
  import { database, service } from "holdfast";
  export const notes = database("notes", {
    migrations: new URL("./migrations/", import.meta.url),
    shards: { count: 4 }, replicas: 1, nodes: ${nodes},
  });
  export const api = service("api", { load: () => import("./api.ts") });`;
const api = `
  import { notes } from "./parts.ts";
  export default { async fetch(request) {
    const id = new URL(request.url).pathname.slice(1);
    if (request.method === "PUT") {
      const text = await request.text();
      await notes.at(id).write((tx) => tx.insertInto("note").values({ id, text }).execute());
      return new Response("", { status: 201 });
    }
    const row = await notes.at(id).read((sql) =>
      sql.selectFrom("note").selectAll().where("id", "=", id).executeTakeFirst());
    return row ? Response.json(row) : new Response("", { status: 404 });
  } };`;
const system = `
  import { gateway, system } from "holdfast";
  import * as parts from "./parts.ts";
  export default system("notes", { parts, edge: gateway({ routes: [{ path: "/", to: parts.api }] }) });`;

test("a declaration with more nodes moves nothing; reshard does, and back again", {
  timeout: 5 * eventuallyMs,
}, async () => {
  project = testProject({ "parts.ts": parts(1), "api.ts": api, "system.ts": system });
  const ids = Array.from({ length: 24 }, (_, index) => `note-${index}`);
  const found = async (url: string) => {
    const answers = await Promise.all(ids.map((id) => fetch(`${url}/${id}`)));
    return answers.filter(({ status }) => status === 200).length;
  };
  const first = project.up("--no-watch");
  const { url } = await first.ready();
  for (const id of ids) {
    expect((await fetch(`${url}/${id}`, { method: "PUT", body: "text" })).status).toBe(201);
  }
  expect((await project.holdfast("down")).code).toBe(0);

  project.write("parts.ts", parts(2));
  const second = project.up("--no-watch");
  const wider = await second.ready();
  expect(await found(wider.url)).toBe(ids.length);
  expect(wider.shards).toMatchObject([{ epoch: 1, nodes: { "node-1": [0, 1, 2, 3], "node-2": [] } }]);
  const moved = await project.holdfast("reshard");
  expect(moved).toMatchObject({ code: 0 });
  expect(await found(wider.url)).toBe(ids.length);
  expect((await project.status()).shards[0]?.nodes["node-2"]).toHaveLength(2);
  expect((await project.holdfast("reshard", "--finish")).code).toBe(0);
  expect((await project.holdfast("down")).code).toBe(0);

  project.write("parts.ts", parts(1));
  const third = project.up("--no-watch");
  const narrower = await third.ready();
  expect(await found(narrower.url)).toBe(ids.length);
  expect((await project.holdfast("reshard", "--no-back")).code).toBe(0);
  expect((await project.status()).shards[0]?.nodes).toEqual({ "node-1": [0, 1, 2, 3], "node-2": [] });
  expect(await found(narrower.url)).toBe(ids.length);
});
