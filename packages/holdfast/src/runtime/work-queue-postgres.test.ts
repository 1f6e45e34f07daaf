/** Workers of jobs on real servers: jobs of transactions, and large ones. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { inWorld, type World } from "../parts/index.ts";
import { until } from "../testkit/index.ts";
import noting, { jobs, notes } from "./fixtures/jobs/parts.ts";
import { twoNodeScene } from "./fixtures/two-node-scene.ts";
import type { WorldConfig } from "./messages.ts";

const { scene, cleanups } = twoNodeScene(noting, notes);

function spawnWorker(config: WorldConfig, member: string): { child: ChildProcess; lines: string[] } {
  const file = fileURLToPath(new URL("./fixtures/jobs/work.ts", import.meta.url));
  const child = spawn(process.execPath, [file, member], { stdio: ["pipe", "pipe", "inherit"] });
  cleanups.push(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  child.stdout.on("data", (data: Buffer) => lines.push(...data.toString().split("\n").filter(Boolean)));
  child.stdin.end(JSON.stringify(config));
  return { child, lines };
}

async function noted(world: World): Promise<Record<string, number>> {
  const shards = inWorld(world, () => notes.shards());
  const rows = await Promise.all(
    shards.map((shard) =>
      inWorld(world, () => shard.read("strong", (sql) => sql.selectFrom("done").selectAll().execute())),
    ),
  );
  return Object.fromEntries(rows.flat().map((row) => [row.job, row.times]));
}

test("a job enqueued in a transaction comes when it commits, and not when it does not", async () => {
  const { config, world } = await scene();
  const write = (key: string, n: number, fail: boolean) =>
    inWorld(world, () =>
      notes.at(key).write(async (tx) => {
        await jobs.enqueue({ n }, { in: tx });
        if (fail) throw new Error("roll back");
      }),
    );
  await write("a", 0, false);
  await expect(write("b", 1, true)).rejects.toThrow("roll back");
  await write("c", 2, false);
  const { lines } = spawnWorker(config, "noter-1");
  await until(() => lines.filter((line) => line.endsWith("done")).length === 2, {
    what: "both jobs to arrive",
    timeoutMs: 40_000,
  });
  expect(await noted(world)).toEqual({ "job-0": 1, "job-2": 1 });
});

test("a payload of 10 MB goes the whole way, and one that is larger than it may be says so", async () => {
  const { config, world } = await scene();
  const { lines } = spawnWorker(config, "noter-1");
  const text = "kelp ".repeat(2 << 20);
  const { id } = await inWorld(world, () => jobs.enqueue({ n: 0, text } as never));
  await until(() => lines.includes("0 1 done"), { what: "the job to be done", timeoutMs: 40_000 });
  const job = await inWorld(world, () => jobs.get(id));
  expect((job?.value as { text: string } | undefined)?.text === text).toBe(true);
  const tooLarge = inWorld(world, () => jobs.enqueue({ n: 1, text: text + text } as never));
  await expect(tooLarge).rejects.toThrow(/larger than maxJobBytes \(16777216\)/);
});
