/** A worker of a topic that is killed again and again: every message counts once, on both nodes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { inWorld, type World } from "../parts/index.ts";
import { until } from "../testkit/index.ts";
import tallying, { counts, events } from "./fixtures/tally/parts.ts";
import { twoNodeScene } from "./fixtures/two-node-scene.ts";
import type { WorldConfig } from "./messages.ts";

const { scene, cleanups } = twoNodeScene(tallying, counts);

const publish = (world: World, ...codes: string[]) =>
  inWorld(world, () => events.publish(codes.map((code) => ({ code }))));

const lag = (world: World) => world.port(events).lag("tally");
const consumed = (world: World, timeoutMs = 20_000) =>
  until(async () => (await lag(world)) === 0n, { what: "all messages to be completed", timeoutMs });

async function tallied(world: World): Promise<Record<string, number>> {
  const shards = inWorld(world, () => counts.shards());
  const rows = await Promise.all(
    shards.map((shard) =>
      inWorld(world, () => shard.read("strong", (sql) => sql.selectFrom("tally").selectAll().execute())),
    ),
  );
  return Object.fromEntries(rows.flat().map((row) => [row.code, row.n]));
}

test("a worker killed again and again in the middle of batches counts every message exactly once, on both nodes", {
  timeout: 120_000,
}, async () => {
  const { config, world } = await scene();
  const codes = Array.from({ length: 30 }, (_, n) => `code-${n}`);
  let published = 0;
  let stop = false;
  const publishing = (async () => {
    while (!stop) {
      await publish(world, ...codes);
      published++;
      await systemClock.sleep(40);
    }
  })();
  let kills = 0;
  while (kills < 3) {
    const { child, batches } = spawnConsumer(config);
    // The next batch is under way when it has completed some.
    await until(() => batches() >= 2 + kills, { what: "the worker to work", timeoutMs: 30_000 });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
    kills++;
  }
  stop = true;
  await publishing;
  const last = spawnConsumer(config);
  await consumed(world, 60_000);
  last.child.kill("SIGTERM");
  const [exitCode] = await once(last.child, "exit");
  expect(exitCode).toBe(0);
  expect(await tallied(world)).toEqual(Object.fromEntries(codes.map((code) => [code, published])));
});

function spawnConsumer(config: WorldConfig): { child: ChildProcess; batches: () => number } {
  const file = fileURLToPath(new URL("./fixtures/tally/consumer.ts", import.meta.url));
  const child = spawn(process.execPath, [file, "tally-1"], { stdio: ["pipe", "pipe", "inherit"] });
  cleanups.push(() => child.kill("SIGKILL"));
  let batches = 0;
  child.stdout.on("data", (data: Buffer) => {
    batches += data.toString().split("\n").length - 1;
  });
  child.stdin.end(JSON.stringify(config));
  return { child, batches: () => batches };
}
