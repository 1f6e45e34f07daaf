/** A message that kills its process each time it is handled. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { inWorld, type World } from "../parts/index.ts";
import { until } from "../testkit/index.ts";
import tallying, { counts, events } from "./fixtures/tally/parts.ts";
import { twoNodeScene } from "./fixtures/two-node-scene.ts";

const { scene, cleanups } = twoNodeScene(tallying, counts);

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
