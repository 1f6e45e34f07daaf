/** Workers of jobs as processes of their own, killed and paused beyond their leases. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
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

const counts = (world: World) => inWorld(world, () => jobs.counts());
const empty = (world: World) =>
  until(
    async () => {
      const { waiting, delayed, active } = await counts(world);
      return waiting + delayed + active === 0;
    },
    { what: "all jobs to have ended", timeoutMs: 60_000 },
  );

async function noted(world: World): Promise<Record<string, number>> {
  const shards = inWorld(world, () => notes.shards());
  const rows = await Promise.all(
    shards.map((shard) =>
      inWorld(world, () => shard.read("strong", (sql) => sql.selectFrom("done").selectAll().execute())),
    ),
  );
  return Object.fromEntries(rows.flat().map((row) => [row.job, row.times]));
}

const onceEach = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`job-${n}`, 1]));

test("workers killed again and again do every job, and each is applied once", {
  timeout: 120_000,
}, async () => {
  const { config, world } = await scene();
  const count = 600;
  const values = Array.from({ length: count }, (_, n) => ({ value: { n, ms: n % 10 } }));
  await inWorld(world, () => jobs.enqueueMany(values));
  for (let kill = 0; kill < 3; kill++) {
    const { child, lines } = spawnWorker(config, "noter-1");
    await until(() => lines.length >= 20, { what: "the worker to work", timeoutMs: 30_000 });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
  }
  const last = spawnWorker(config, "noter-1");
  await empty(world);
  last.child.kill("SIGTERM");
  const [exitCode] = await once(last.child, "exit");
  expect(exitCode).toBe(0);
  expect(await noted(world)).toEqual(onceEach(count));
  expect(await counts(world)).toMatchObject({ dead: 0 });
});

test("a worker paused beyond its lease is replaced, and what it does afterwards does not count", {
  timeout: 120_000,
}, async () => {
  const { config, world } = await scene();
  const paused = spawnWorker(config, "noter-1");
  const [first = { id: "" }] = await inWorld(world, () =>
    jobs.enqueueMany([{ value: { n: 0, ms: 1_000 } }, { value: { n: 1, ms: 1_000 } }]),
  );
  await until(async () => (await counts(world)).active === 2, { what: "the jobs to run", timeoutMs: 30_000 });
  paused.child.kill("SIGSTOP");
  const other = spawnWorker(config, "noter-2");
  await until(() => other.lines.filter((line) => line.endsWith("done")).length === 2, {
    what: "the other to take over",
    timeoutMs: 60_000,
  });
  paused.child.kill("SIGCONT");
  await until(() => paused.lines.some((line) => line.startsWith("error HOLDFAST_FENCED")), {
    what: "the paused one to notice",
    timeoutMs: 30_000,
  });
  expect(paused.lines.filter((line) => line.endsWith("done"))).toEqual([]);
  expect(await noted(world)).toEqual(onceEach(2));
  const job = await inWorld(world, () => jobs.get(first.id));
  expect(job).toMatchObject({ state: "done", attempt: 2, result: 2 });
  // It has joined anew, and works.
  other.child.kill("SIGTERM");
  await once(other.child, "exit");
  await inWorld(world, () => jobs.enqueue({ n: 2 }));
  await until(() => paused.lines.includes("2 1 done"), {
    what: "the first to work again",
    timeoutMs: 30_000,
  });
});
