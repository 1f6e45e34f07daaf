/** A message that kills its process each time it is handled. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { inWorld, type World } from "../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import tallying, { counts, events } from "./fixtures/tally/parts.ts";
import type { WorldConfig } from "./messages.ts";
import { openWorld } from "./open-world.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2 });
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function scene(): Promise<{ config: WorldConfig; world: World }> {
  const database = await postgres.freshDatabase({ shards: 4 });
  const nodes = openDatabaseNodes(database, { clock: systemClock, applicationName: "migrate" });
  await migrateDatabase(counts, nodes);
  await nodes.close();
  const config = { name: "tallying", databases: { counts: database }, poolSize: 4 };
  const open = openWorld(tallying, config, { clock: systemClock, applicationName: "test" });
  cleanups.push(() => open.close());
  return { config, world: open.world };
}

const publish = (world: World, ...codes: string[]) =>
  inWorld(world, () => events.publish(codes.map((code) => ({ code }))));
const consumed = (world: World, timeoutMs = 30_000) =>
  until(async () => (await world.port(events).lag("tally")) === 0n, { what: "the end", timeoutMs });
const letters = (world: World) =>
  inWorld(world, async () => (await events.consumer("tally").deadLetters.search()).letters);

async function tallied(world: World): Promise<Record<string, number>> {
  const shards = inWorld(world, () => counts.shards());
  const rows = await Promise.all(
    shards.map((shard) =>
      inWorld(world, () => shard.read("strong", (sql) => sql.selectFrom("tally").selectAll().execute())),
    ),
  );
  return Object.fromEntries(rows.flat().map((row) => [row.code, row.n]));
}

test("a message that kills its process each time is put aside, and nobody else's message is taken for it", {
  timeout: 120_000,
}, async () => {
  const { config, world } = await scene();
  const codes = Array.from({ length: 24 }, (_, n) => `code-${n}`);
  await publish(world, ...codes, "killer");
  const file = fileURLToPath(new URL("./fixtures/tally/killed-consumer.ts", import.meta.url));
  let deaths = 0;
  let child: ChildProcess | undefined;
  let stop = false;
  const running = (async () => {
    while (!stop) {
      child = spawn(process.execPath, [file], { stdio: ["pipe", "ignore", "inherit"] });
      child.stdin?.end(JSON.stringify(config));
      await once(child, "exit");
      if (!stop) deaths++;
    }
  })();
  cleanups.push(async () => {
    stop = true;
    child?.kill("SIGKILL");
    await running;
  });
  await consumed(world, 90_000);
  stop = true;
  child?.kill("SIGKILL");
  await running;
  expect(deaths).toBeGreaterThanOrEqual(3);
  expect(await tallied(world)).toEqual(Object.fromEntries(codes.map((code) => [code, 1])));
  expect(await letters(world)).toMatchObject([
    { key: "killer", failure: { code: "DIED", outcome: "unknown" } },
  ]);
});
