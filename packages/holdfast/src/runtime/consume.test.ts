import { expect, test } from "vitest";
import { Call, currentCall, HoldfastError, inCall, Session } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { type Batch, type BatchHandler, currentWorld, inWorld, type World } from "../parts/index.ts";
import { until } from "../testkit/index.ts";
import { consumeTopic } from "./consume.ts";
import type { ConsumeErrorContext, ConsumeOptions } from "./consume-options.ts";
import tallying, { count, counts, events, tally } from "./fixtures/tally/parts.ts";
import { twoNodeScene } from "./fixtures/two-node-scene.ts";

type Event = { readonly code: string };

const { scene, cleanups } = twoNodeScene(tallying, counts);

/** Consumes in this process until the test ends or `stop` is called. */
function consuming(world: World, handler: BatchHandler<Event>, options: Partial<ConsumeOptions<Event>> = {}) {
  const stopping = new AbortController();
  const errors: { error: unknown; context: ConsumeErrorContext }[] = [];
  const running = consumeTopic<Event>({
    worker: tally,
    topic: world.port(events),
    handler,
    clock: systemClock,
    world,
    signal: stopping.signal,
    memberName: "tally-1",
    onError: (error, context) => errors.push({ error, context }),
    ...options,
  });
  const stop = () => {
    stopping.abort();
    return running;
  };
  cleanups.push(() => stop().catch(() => {}));
  return { stop, running, errors };
}

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

test("every message is counted once, in the worker's world, in a call linked to the publisher's trace", async () => {
  const { world } = await scene();
  const seen: { world: World; traceId: string | undefined; deadlineAtMs: number | undefined }[] = [];
  consuming(world, async (batch) => {
    const call = currentCall();
    seen.push({
      world: currentWorld(),
      traceId: call?.trace.traceId,
      deadlineAtMs: call?.deadlineAtMs,
    });
    await count(batch);
  });
  using call = new Call(systemClock, { timeoutMs: 30_000 });
  await inCall(call, () => publish(world, "a", "b", "a", "c", "a"));
  await consumed(world);
  expect(await tallied(world)).toEqual({ a: 3, b: 1, c: 1 });
  for (const one of seen) {
    expect(one).toEqual({ world, traceId: call.trace.traceId, deadlineAtMs: Number.POSITIVE_INFINITY });
  }
});

test("a batch's call has heard what its publishers knew, in every attempt the same session", async () => {
  const { world } = await scene();
  const at = (lsn: bigint) => ({ system: "7", timeline: 1, lsn });
  const sessions: (Session | undefined)[] = [];
  const known: unknown[] = [];
  consuming(world, async () => {
    const session = currentCall()?.session;
    sessions.push(session);
    known.push(session?.get("node-1"));
    if (sessions.length === 1) throw new Error("once more");
  });
  const publisher = new Session();
  publisher.raise("node-1", at(5n), "written");
  publisher.raise("node-1", at(9n), "read");
  const other = new Session();
  other.raise("node-1", at(7n), "written");
  await Promise.all(
    [publisher, other].map((session) =>
      inCall(new Call(systemClock, { session }), () => publish(world, "a")),
    ),
  );
  await consumed(world);
  expect(sessions[0]).toBe(sessions[1]);
  expect(known).toContainEqual(expect.objectContaining({ heard: at(9n) }));
});

test("a batch whose handler throws comes again, the same, while other partitions go on", async () => {
  const { world } = await scene();
  const codes = Array.from({ length: 40 }, (_, n) => `code-${n}`);
  await publish(world, ...codes);
  const failing = new Set<string>();
  let broken = true;
  let poisoned: number | undefined;
  const { errors } = consuming(world, async (batch) => {
    poisoned ??= batch.partition;
    if (broken && batch.partition === poisoned) {
      failing.add(`${batch.sequence} ${batch.messages.map((message) => message.id).join()}`);
      throw new Error("not today");
    }
    await count(batch);
  });
  await until(() => errors.length >= 3, { what: "the batch to have failed three times" });
  const poison = failing.size;
  await until(async () => (await lag(world)) < 40n, { what: "the other partitions to go on" });
  broken = false;
  await consumed(world);
  expect(poison).toBe(1);
  expect(errors.map(({ context }) => context.attempt).slice(0, 3)).toEqual([1, 2, 3]);
  expect(errors[0]).toMatchObject({
    error: { message: "not today" },
    context: { stage: "handle", partition: poisoned, sequence: 1n },
  });
  expect(await tallied(world)).toEqual(Object.fromEntries(codes.map((code) => [code, 1])));
});

test("a batch that was applied on some shards only is applied on the others when it comes again", async () => {
  const { world } = await scene();
  const codes = Array.from({ length: 60 }, (_, n) => `code-${n}`);
  const shardOf = (code: string) => inWorld(world, () => counts.at(code).index);
  expect(new Set(codes.map(shardOf)).size).toBe(4);
  const sick = shardOf("code-0");
  let sickFor = 2;
  const ran: number[] = [];
  consuming(world, async (batch) => {
    const failNow = batch.messages.some(({ value }) => shardOf(value.code) === sick) && sickFor-- > 0;
    await batch.apply(
      counts,
      (event) => event.code,
      async (tx, messages) => {
        const shard = shardOf(messages[0]?.value.code ?? "");
        if (failNow && shard === sick) throw new Error("this shard is sick");
        ran.push(shard);
        await tx
          .insertInto("tally")
          .values(messages.map(({ value }) => ({ code: value.code, n: 1 })))
          .execute(); // twice would be a conflict
      },
    );
  });
  await publish(world, ...codes);
  await consumed(world);
  expect(await tallied(world)).toEqual(Object.fromEntries(codes.map((code) => [code, 1])));
  expect(sickFor).toBeLessThanOrEqual(0);
});

test("applying twice to one database is refused instead of doing nothing", async () => {
  const { world } = await scene();
  const twice = async (batch: Batch<Event>) => {
    await count(batch);
    await count(batch);
  };
  const { errors } = consuming(world, twice);
  await publish(world, "a");
  await until(() => errors.length > 0, { what: "the handler to fail" });
  expect(errors[0]?.error).toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
  expect(await tallied(world)).toEqual({ a: 1 });
});

test("draining lets the batch under way end, completes it, and leaves the group", async () => {
  const { world } = await scene();
  let release: (() => void) | undefined;
  let aborted = false;
  const { stop } = consuming(world, async (batch) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    aborted = batch.signal.aborted;
    await count(batch);
  });
  await publish(world, "a");
  await until(() => release !== undefined, { what: "the handler to begin" });
  const stopped = stop();
  release?.();
  await stopped;
  expect(aborted).toBe(false);
  expect(await lag(world)).toBe(0n);
  expect(await tallied(world)).toEqual({ a: 1 });
  // Nobody has to wait for its lease.
  expect(await world.port(events).heartbeat("tally", "next", 60_000)).toHaveLength(4);
});

test("a handler that outlasts draining is told to stop, and its batch comes again elsewhere", async () => {
  const { world } = await scene();
  let begun = false;
  let reason: unknown;
  const { running, stop } = consuming(
    world,
    (batch) => {
      begun = true;
      // Never ends by itself.
      return new Promise((_, reject) => {
        batch.signal.addEventListener("abort", () => {
          reason = batch.signal.reason;
          reject(batch.signal.reason);
        });
      });
    },
    { drainMs: 50 },
  );
  await publish(world, "a");
  await until(() => begun, { what: "the handler to begin" });
  await stop();
  await running;
  expect(reason).toMatchObject({ code: "HOLDFAST_ABORTED" });
  expect(await lag(world)).toBe(1n);
  consuming(world, count, { memberName: "tally-2" });
  await consumed(world);
  expect(await tallied(world)).toEqual({ a: 1 });
});

test("a process whose name another has taken ends: its handlers are aborted, and the other counts once", async () => {
  const { world } = await scene();
  let reason: unknown;
  let begun = false;
  const first = consuming(world, (batch) => {
    begun = true;
    return new Promise((_, reject) => {
      batch.signal.addEventListener("abort", () => {
        reason = batch.signal.reason;
        reject(batch.signal.reason);
      });
    });
  });
  await publish(world, "a");
  await until(() => begun, { what: "the handler to begin" });
  const ended = first.running.catch((error: unknown) => error);
  // Its successor starts under the same name, as after a pause that looked like death.
  const successor = consuming(world, count);
  await consumed(world);
  expect(await ended).toMatchObject({ code: "HOLDFAST_FENCED" });
  expect(reason).toMatchObject({ code: "HOLDFAST_FENCED" });
  expect(successor.errors).toEqual([]);
  expect(await tallied(world)).toEqual({ a: 1 });
});

test("a topic that cannot be consumed as declared ends the loop with the reason", async () => {
  const { world } = await scene();
  const port = world.port(events);
  const wrongPartitions = new HoldfastError("HOLDFAST_OPTIONS_INVALID", "another number of partitions");
  const refusing = { ...port, heartbeat: () => Promise.reject(wrongPartitions) };
  const { running } = consuming(world, count, { topic: refusing });
  await expect(running).rejects.toBe(wrongPartitions);
});

test("a handler is told to stop when its lease runs out while a heartbeat has no answer at all", async () => {
  const { world } = await scene();
  const port = world.port(events);
  const silence = Promise.withResolvers<never>();
  let beats = 0;
  const silent: typeof port = {
    ...port,
    heartbeat: (...beat) => (++beats === 1 ? port.heartbeat(...beat) : silence.promise),
  };
  await publish(world, "a");
  let stopped: unknown;
  const { stop } = consuming(
    world,
    async (batch) => {
      await new Promise((resolve) => batch.signal.addEventListener("abort", resolve));
      stopped ??= batch.signal.reason;
    },
    { topic: silent },
  );
  await until(() => stopped !== undefined, { what: "the handler to be told", timeoutMs: 20_000 });
  expect(beats).toBe(2);
  expect(stopped).toMatchObject({ code: "HOLDFAST_FENCED" });
  silence.reject(new HoldfastError("HOLDFAST_UNAVAILABLE", "The home is away. Wait for it."));
  await stop();
});
