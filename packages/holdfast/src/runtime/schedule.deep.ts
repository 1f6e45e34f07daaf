/** Schedules whose processes are killed, at a home that crashes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../clock/index.ts";
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import { installFramework } from "../engines/postgres/install.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../engines/postgres/nodes.ts";
import type { Tick } from "../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import type ticking from "./fixtures/ticker/parts.ts";
import { type OpenWorld, openWorld } from "./open-world.ts";

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let shared: TestPostgres | undefined;
afterAll(() => shared?.stop());

interface Scene {
  readonly config: { name: string; databases: { main: DatabaseConfig }; poolSize: number };
  readonly nodes: DatabaseNodes;
  open(system: typeof ticking, clock?: Clock): OpenWorld;
  /** What the topic holds, in the order of its log. */
  sent(): Promise<Tick[]>;
  sql(text: string, values?: readonly unknown[]): Promise<unknown[]>;
}

async function scene(database: DatabaseConfig): Promise<Scene> {
  const config = { name: "test", databases: { main: database }, poolSize: 4 };
  const nodes = openDatabaseNodes(database, { clock: systemClock, applicationName: "scene" });
  cleanups.push(() => nodes.close());
  await installFramework(nodes);
  const sql: Scene["sql"] = (text, values = []) =>
    nodes.primary(nodes.home).use(async (session) => {
      session.push({ text: "begin read write" });
      const { rows } = await session.send({ text, values });
      await session.send({ text: "commit" });
      return rows;
    });
  return {
    config,
    nodes,
    sql,
    open(declared, clock = systemClock) {
      const open = openWorld(declared, config, { clock, applicationName: "test" });
      cleanups.push(() => open.close());
      return open;
    },
    async sent() {
      const rows = (await sql("select id from holdfast.topic where name = 'ticks'")) as { id: number }[];
      if (!rows[0]) return [];
      return (
        (await sql(`select value from holdfast.topic_${rows[0].id} order by id`)) as { value: Tick }[]
      ).map(({ value }) => value);
    },
  };
}

/** Every tick between the first and the last is there, once, in order, under its number. */
function expectEveryTick(sent: readonly Tick[], everyMs: number): void {
  const [first] = sent;
  expect(sent.map(({ number }) => number)).toEqual(sent.map((_, index) => index + 1));
  expect(sent.map(({ scheduledAtMs }) => scheduledAtMs)).toEqual(
    sent.map((_, index) => (first as Tick).scheduledAtMs + index * everyMs),
  );
  expect((first as Tick).scheduledAtMs % everyMs).toBe(0);
}

test("processes that are killed, and a home that crashes, neither lose a tick nor repeat one", {
  timeout: 60_000,
}, async () => {
  const postgres = await startTestPostgres();
  cleanups.push(() => postgres.stop());
  const { config, sent } = await scene(postgres.config);
  const file = fileURLToPath(new URL("./fixtures/ticker/process.ts", import.meta.url));
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, [file], { stdio: ["pipe", "ignore", "ignore"] });
    cleanups.push(() => child.kill("SIGKILL"));
    child.stdin?.end(JSON.stringify(config));
    return child;
  };
  const children = [start(), start()];
  let seen = 0;
  const more = () =>
    until(async () => (await sent().catch(() => [])).length > seen + 3, {
      what: "more ticks",
      timeoutMs: 20_000,
    });
  await more();
  for (let round = 0; round < 2; round++) {
    seen = (await sent()).length;
    const [killed] = children.splice(0, 1) as [ChildProcess];
    killed.kill("SIGKILL");
    await once(killed, "exit");
    if (round === 1) {
      await postgres.members[0]?.kill();
      await postgres.members[0]?.restart();
    }
    children.push(start());
    await more();
  }
  for (const child of children) child.kill("SIGKILL");
  expectEveryTick(await sent(), 200);
});
