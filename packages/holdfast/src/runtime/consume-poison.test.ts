/** Messages that throw, that kill, that never end: their partition goes on, and everything else counts once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { type BatchHandler, inWorld, type WorkerOptions, type World, worker } from "../parts/index.ts";
import { until } from "../testkit/index.ts";
import { consumeTopic } from "./consume.ts";
import tallying, { count, counts, events } from "./fixtures/tally/parts.ts";
import { twoNodeScene } from "./fixtures/two-node-scene.ts";

type Event = { readonly code: string };

const { scene, cleanups } = twoNodeScene(tallying, counts);

function consuming(
  world: World,
  handler: BatchHandler<Event>,
  options: Partial<WorkerOptions<Event>> = {},
  drainMs = 10_000,
) {
  const stopping = new AbortController();
  const errors: unknown[] = [];
  const tally = worker<Event>("tally", {
    from: events,
    batch: 20,
    leaseMs: 2_000,
    load: async () => ({ default: handler }),
    ...options,
    retry: { attemptsMax: 3, baseMs: 1, capMs: 20, ...options.retry },
  });
  const running = consumeTopic<Event>({
    worker: tally,
    topic: world.port(events),
    handler,
    clock: systemClock,
    world,
    signal: stopping.signal,
    memberName: "tally-1",
    drainMs,
    onError: (error) => errors.push(error),
  });
  const stop = () => {
    stopping.abort();
    return running;
  };
  cleanups.push(() => stop().catch(() => {}));
  return { stop, errors };
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

const codesOf = (messages: readonly { readonly value: Event }[]) => messages.map(({ value }) => value.code);

test("a message that always fails is put aside, and whatever was with it counts once, on every shard", async () => {
  const { world } = await scene();
  const codes = Array.from({ length: 60 }, (_, n) => `code-${n}`);
  // It fails after the batch has been applied on some shards, so that pieces meet shards that had the whole.
  const { errors } = consuming(world, async (batch) => {
    const poisoned = codesOf(batch.messages).includes("code-7");
    await batch.apply(
      counts,
      (event) => event.code,
      async (tx, messages) => {
        if (codesOf(messages).includes("code-7")) throw new Error("not code-7");
        await tx
          .insertInto("tally")
          .values(messages.map(({ value }) => ({ code: value.code, n: 1 })))
          .execute(); // twice would be a conflict
      },
    );
    expect(poisoned).toBe(false);
  });
  await publish(world, ...codes);
  await consumed(world);
  const expected = codes.filter((code) => code !== "code-7");
  expect(await tallied(world)).toEqual(Object.fromEntries(expected.map((code) => [code, 1])));
  const [letter, ...more] = await letters(world);
  expect(more).toEqual([]);
  expect(letter).toMatchObject({
    key: "code-7",
    value: { code: "code-7" },
    failure: { code: "ERROR", message: "not code-7", outcome: "unknown" },
  });
  const told = errors.filter(
    (error) => error instanceof HoldfastError && error.code === "HOLDFAST_DEAD_LETTER",
  );
  expect(told).toHaveLength(1);
  expect(String(told[0])).toMatch(/not code-7.*redrive/);
});

test("a dead letter that was put right is tried once more, and counts", async () => {
  const { world } = await scene();
  let broken = true;
  consuming(world, async (batch) => {
    if (broken && codesOf(batch.messages).includes("b")) throw new Error("b is broken");
    await count(batch);
  });
  await publish(world, "a", "b", "c", "b");
  await until(async () => (await letters(world)).length === 2, { what: "both to be dead" });
  await consumed(world);
  expect(await tallied(world)).toEqual({ a: 1, c: 1 });
  broken = false;
  expect(await inWorld(world, () => events.consumer("tally").deadLetters.redrive({ key: "b" }))).toBe(2);
  await until(async () => (await letters(world)).length === 0, { what: "the letters to be delivered" });
  expect(await tallied(world)).toEqual({ a: 1, b: 2, c: 1 });
});

test("what is permanent is put aside without another attempt; what is away is waited for, however long", async () => {
  const { world } = await scene();
  let away = 12;
  let attemptsOfBad = 0;
  consuming(world, async (batch) => {
    const codes = codesOf(batch.messages);
    if (codes.includes("bad")) {
      attemptsOfBad++;
      throw new HoldfastError("HOLDFAST_INPUT_INVALID", "There is no such code. Publish others.");
    }
    if (codes.includes("patient") && away-- > 0) {
      throw new HoldfastError("HOLDFAST_UNAVAILABLE", "The service is away. Wait for it.");
    }
    await count(batch);
  });
  await publish(world, "bad");
  await publish(world, "patient");
  await consumed(world);
  expect(attemptsOfBad).toBe(1);
  expect(away).toBeLessThanOrEqual(0);
  expect(await tallied(world)).toEqual({ patient: 1 });
  expect((await letters(world)).map(({ key, failure }) => [key, failure.code])).toEqual([
    ["bad", "HOLDFAST_INPUT_INVALID"],
  ]);
});

test("a handler that never returns is given up: told to stop, counted as failed, and not waited for", async () => {
  const { world } = await scene();
  let told = 0;
  consuming(
    world,
    async (batch) => {
      if (codesOf(batch.messages).includes("stuck")) {
        batch.signal.addEventListener("abort", () => told++);
        await new Promise(() => {});
      }
      await count(batch);
    },
    { timeoutMs: 100, retry: { attemptsMax: 2 } },
    0,
  );
  await publish(world, "stuck", "a", "b", "c");
  await consumed(world);
  expect(told).toBeGreaterThanOrEqual(2);
  expect(await tallied(world)).toEqual({ a: 1, b: 1, c: 1 });
  expect(await letters(world)).toMatchObject([
    { key: "stuck", failure: { code: "HOLDFAST_ATTEMPT_TIMEOUT", outcome: "unknown" } },
  ]);
});

test("a partition that is to stop at poison waits at it, with everything before it applied", async () => {
  const { world } = await scene();
  let broken = true;
  consuming(
    world,
    async (batch) => {
      const isPoison = ({ value }: { readonly value: Event & { readonly n?: number } }) => value.n === 4;
      if (broken && batch.messages.some(isPoison)) throw new Error("stop here");
      await count(batch);
    },
    { onPoison: "stop-partition" },
  );
  const numbered = Array.from({ length: 7 }, (_, n) => ({ code: "k", n }));
  await inWorld(world, () => events.publish(numbered));
  await until(async () => (await tallied(world)).k === 4, {
    what: "what is before the poison to be applied",
  });
  expect(await letters(world)).toEqual([]);
  expect(await world.port(events).lag("tally")).toBe(3n);
  broken = false;
  await consumed(world);
  expect(await tallied(world)).toEqual({ k: 7 });
});

test("a replay applies again, on purpose, and a worker that is killed meanwhile changes nothing about how often", {
  timeout: 120_000,
}, async () => {
  const { config, world } = await scene();
  const codes = Array.from({ length: 30 }, (_, n) => `code-${n}`);
  await publish(world, ...codes);
  const spawned = () => {
    const file = fileURLToPath(new URL("./fixtures/tally/consumer.ts", import.meta.url));
    const child = spawn(process.execPath, [file, "tally-1"], { stdio: ["pipe", "ignore", "inherit"] });
    cleanups.push(() => child.kill("SIGKILL"));
    child.stdin.end(JSON.stringify(config));
    return child;
  };
  let child = spawned();
  await until(async () => (await world.port(events).consumers("tally")).length > 0, { what: "a consumer" });
  await consumed(world);
  const told = await inWorld(world, () => events.consumer("tally").replay({ from: "beginning" }));
  expect(told.messages).toBeLessThanOrEqual(30n);
  for (let kill = 0; kill < 2; kill++) {
    child.kill("SIGKILL");
    await once(child, "exit");
    child = spawned();
  }
  await consumed(world, 60_000);
  expect(await tallied(world)).toEqual(Object.fromEntries(codes.map((code) => [code, 2])));
  child.kill("SIGTERM");
  await once(child, "exit");
});
