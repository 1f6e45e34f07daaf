import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { type Clock, systemClock } from "../clock/index.ts";
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import {
  inWorld,
  type Part,
  queue,
  type Schedule,
  schedule,
  system,
  type Tick,
  topic,
} from "../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import { loseDir } from "../testkit/lose-dir.ts";
import { cleanups, expectEveryTick, scene } from "./fixtures/schedule-scene.ts";
import ticking, { beat, main, ticks } from "./fixtures/ticker/parts.ts";
import type { OpenWorld } from "./open-world.ts";

let shared: TestPostgres | undefined;
afterAll(() => shared?.stop());
async function fresh(): Promise<DatabaseConfig> {
  shared ??= await startTestPostgres();
  return shared.freshDatabase();
}

test("processes whose clocks are hours apart send each tick once, by the store's clock", async () => {
  const { open, sent, sql } = await scene(await fresh());
  const aheadBy = (ms: number): Clock => ({ ...systemClock, wallMs: () => systemClock.wallMs() + ms });
  const worlds = [0, -5 * 3_600_000, 7 * 3_600_000].map((ms) => open(ticking, aheadBy(ms)));
  await until(async () => (await sent()).length >= 12, { what: "twelve ticks" });
  await Promise.all(worlds.map((world) => world.close()));
  expectEveryTick(await sent(), 200);
  const [{ now }] = (await sql("select date_part('epoch', clock_timestamp())::float8 * 1000 as now")) as [
    { now: number },
  ];
  expect(Math.abs(((await sent()).at(-1) as Tick).scheduledAtMs - now)).toBeLessThan(60_000);
});

test("what a failover loses is lost with its messages: the ticks are sent again, and none twice", {
  timeout: 60_000,
}, async () => {
  const postgres = await startTestPostgres({ replicas: 1 });
  cleanups.push(() => postgres.stop());
  const { nodes, open, sent } = await scene(postgres.config);
  const [node] = postgres.nodes;
  if (!node) throw new Error("there is no node");
  open(ticking);
  await until(async () => (await sent()).length >= 3, { what: "ticks" });
  await postgres.caughtUp();
  // What is committed from here on dies with the primary.
  await nodes.replica("node-1")?.use(async (session) => {
    await session.send({ text: "alter system set primary_conninfo to ''" });
    await session.send({ text: "select pg_reload_conf()" });
    await until(
      async () => (await session.send({ text: "select 1 from pg_stat_wal_receiver" })).rows.length === 0,
    );
  });
  const before = await sent();
  await until(async () => (await sent()).length >= before.length + 5, { what: "ticks that will be lost" });
  const lost = await sent();
  await loseDir(node.primary.dataDir);
  await node.failOver();
  await until(async () => (await sent().catch(() => [])).length >= lost.length + 3, {
    what: "ticks after the failover",
    timeoutMs: 20_000,
  });
  const after = await sent();
  expectEveryTick(after, 200);
  // The same numbers for the same instants, so that who saw them before knows them again.
  expect(after.slice(0, lost.length)).toEqual(lost);
});

const day = z.object({ name: z.string(), number: z.number(), at: z.number() });
const days = topic("ticks", { schema: day, keyBy: ({ name }) => name, partitions: 1 });
const message = ({ schedule: name, number, scheduledAtMs: at }: Tick) => ({ name, number, at });
const of = (...schedules: Schedule[]) => {
  const named: Record<string, Part> = Object.fromEntries(
    schedules.map((one, index) => [`schedule${index}`, one]),
  );
  return system("days", { parts: { main, days, ...named } });
};
/** Ticks at midnight in UTC: not while a test runs, but when its memory is moved back. */
const midnights = (name: string, more: object = {}) =>
  schedule(name, { cron: "0 0 * * *", to: days, message, ...more } as never) as unknown as Schedule;

test("a pause holds in every process and after a restart; what ticks meanwhile is left out", async () => {
  const { open, sent, sql } = await scene(await fresh());
  const first = open(ticking);
  await until(async () => (await sent()).length >= 2, { what: "ticks" });
  await inWorld(first.world, () => beat.pause());
  const paused = await inWorld(first.world, () => beat.state());
  expect(paused).toMatchObject({ paused: true, nextMs: undefined });
  expect(paused.number).toBe((await sent()).length);
  await first.close();
  const second = open(ticking);
  // As if it had been paused for an hour.
  await sql("update holdfast.schedule set last_ms = last_ms - 3600000");
  expect((await inWorld(second.world, () => beat.state())).paused).toBe(true);
  await inWorld(second.world, () => beat.resume());
  await until(async () => (await sent()).length >= paused.number + 2, { what: "ticks after the pause" });
  const times = (await sent()).map(({ scheduledAtMs }) => scheduledAtMs);
  expect(new Set(times).size).toBe(times.length);
  // None of the hour.
  expect(Math.min(...times.slice(paused.number)) - (times[paused.number - 1] as number)).toBeGreaterThan(0);
});

test("missed ticks: all of them within the bound, the last, or none that is too old", async () => {
  const { open, sent, sql } = await scene(await fresh());
  const declared = of(
    midnights("all", { missed: "all", missedMax: 3 }),
    midnights("last", { missed: "last" }),
    midnights("skip", { missed: "skip" }),
  );
  const first = open(declared);
  await until(async () => (await sql("select 1 from holdfast.schedule")).length === 3, {
    what: "the schedules",
  });
  await first.close();
  await sql("update holdfast.schedule set last_ms = last_ms - 10 * 86400000");
  open(declared);
  const moved = () =>
    sql(
      "select 1 from holdfast.schedule where last_ms < date_part('epoch', clock_timestamp()) * 1000 - 86400000",
    );
  await until(async () => (await moved()).length === 0, { what: "all to be looked at" });
  const seen = (await sent()) as unknown as z.infer<typeof day>[];
  const midnight = Math.floor(Math.max(...seen.map(({ at }) => at)) / 86_400_000) * 86_400_000;
  expect(
    seen.filter(({ name }) => name === "all").map(({ number, at }) => [number, (midnight - at) / 86_400_000]),
  ).toEqual([
    [1, 2],
    [2, 1],
    [3, 0],
  ]);
  expect(seen.filter(({ name }) => name === "last").map(({ number, at }) => [number, midnight - at])).toEqual(
    [[1, 0]],
  );
  // Unless the test runs in the first minute of a day.
  expect(seen.filter(({ name }) => name === "skip").length).toBeLessThanOrEqual(1);
});

test("a store's clock that went back sends nothing until it has passed what was sent", async () => {
  const { open, sql, sent } = await scene(await fresh());
  const first = open(ticking);
  await until(async () => (await sent()).length >= 2, { what: "ticks" });
  await inWorld(first.world, () => beat.pause());
  await inWorld(first.world, () => beat.resume());
  // As the clock sees it that was set back by a day.
  await sql("update holdfast.schedule set last_ms = last_ms + 86400000");
  const { number } = await inWorld(first.world, () => beat.state());
  const { lastMs, nextMs, nowMs } = await inWorld(first.world, () => beat.state());
  expect(lastMs - nowMs).toBeGreaterThan(80_000_000);
  expect(nextMs).toBeGreaterThan(lastMs);
  await first.close();
  expect((await sent()).length).toBe(number);
});

test("a release with another rule takes the schedule over, from now on", async () => {
  const { open, sent } = await scene(await fresh());
  const before = midnights("report");
  const older = open(of(before));
  const state = () => older.world.port(before).state();
  expect(await state()).toMatchObject({ taken: false, number: 0, nextMs: expect.any(Number) });
  open(of(schedule("report", { every: { ms: 100 }, to: days, message }) as unknown as Schedule));
  await until(async () => (await sent()).length >= 2, { what: "ticks of the new rule" });
  expect(await state()).toMatchObject({ taken: true, nextMs: undefined });
});

test("a message that cannot be made waits, and keeps no other schedule from its ticks", async () => {
  const { open, sent, sql } = await scene(await fresh());
  let broken = true;
  const fragile = schedule("fragile", {
    every: { ms: 100 },
    to: days,
    message: (tick) => {
      if (broken) throw new Error("not yet");
      return message(tick);
    },
  }) as unknown as Schedule;
  const sound = schedule("sound", { every: { ms: 100 }, to: days, message }) as unknown as Schedule;
  const wrong = schedule("wrong", {
    every: { ms: 100 },
    to: days,
    message: () => ({ name: 1 }) as never,
  }) as unknown as Schedule;
  const world = open(of(fragile, sound, wrong));
  const failed = new Set<string>();
  world.world.seam.observe({
    end: ({ part, error }) => void (error && failed.add(`${part}: ${(error as Error).message}`)),
  });
  const sentBy = async (name: string) =>
    ((await sent()) as unknown as z.infer<typeof day>[]).filter((one) => one.name === name);
  await until(async () => (await sentBy("sound")).length >= 10, { what: "ticks of the sound one" });
  expect(await sentBy("fragile")).toEqual([]);
  expect(await sql("select number::int from holdfast.schedule where name in ('fragile', 'wrong')")).toEqual([
    { number: 0 },
    { number: 0 },
  ]);
  expect([...failed].sort()).toEqual([
    "fragile: not yet",
    expect.stringMatching(/^wrong: topic "ticks": .*name/),
  ]);
  broken = false;
  await until(async () => (await sentBy("fragile")).length >= 2, {
    what: "ticks of the one that was broken",
    timeoutMs: 20_000,
  });
  expect((await sentBy("fragile"))[0]).toMatchObject({ number: 1 });
});

test("a queue gets a job for each tick; with a unique key, none while an earlier one is not done", async () => {
  const { open, sql } = await scene(await fresh());
  const jobs = queue("jobs", { schema: day });
  const each = schedule("each", { every: { ms: 100 }, to: jobs, message });
  const alone = schedule("alone", {
    every: { ms: 100 },
    to: jobs,
    message,
    job: ({ schedule: name }) => ({ unique: name, name: "report" }),
  });
  const declared = system("days", { parts: { main, jobs, each, alone } });
  const worlds = [open(declared), open(declared)];
  const { world } = worlds[0] as OpenWorld;
  await until(async () => (await inWorld(world, () => each.state())).number >= 8, { what: "ticks" });
  await Promise.all([each, alone].map((one) => inWorld(world, () => one.pause())));
  const { number } = await inWorld(world, () => each.state());
  const found = await inWorld(world, () => jobs.search({ limit: 1_000 }));
  const values = found.jobs.map(({ value }) => value as z.infer<typeof day>);
  const numbers = values.filter(({ name }) => name === "each").map((one) => one.number);
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: number }, (_, n) => n + 1));
  expect(values.filter(({ name }) => name === "alone")).toMatchObject([{ number: 1 }]);
  expect(found.jobs.find(({ name }) => name === "report")?.value).toMatchObject({ name: "alone" });
  expect(await sql("select number >= 5 as many from holdfast.schedule where name = 'alone'")).toEqual([
    { many: true },
  ]);
});

test("a thousand schedules that tick at the same moment are sent in a few transactions", async () => {
  const { open, sent, sql } = await scene(await fresh());
  const thousand = of(...Array.from({ length: 1_000 }, (_, n) => midnights(`s-${n}`)));
  const first = open(thousand);
  await until(
    async () => (await sql("select count(*)::int as n from holdfast.schedule"))[0]?.["n" as never] === 1_000,
    { what: "the schedules" },
  );
  await first.close();
  await sql("update holdfast.schedule set last_ms = last_ms - 86400000");
  const worlds = [open(thousand), open(thousand)];
  await until(async () => (await sent()).length >= 1_000, { what: "a thousand ticks", timeoutMs: 20_000 });
  await Promise.all(worlds.map((world) => world.close()));
  const names = ((await sent()) as unknown as z.infer<typeof day>[]).map(({ name }) => name);
  expect([names.length, new Set(names).size]).toEqual([1_000, 1_000]);
  const [batches] = (await sql("select count(*)::int as n from holdfast.topic_batch")) as [{ n: number }];
  expect(batches.n).toBeLessThanOrEqual(4);
});

test("a schedule whose destination is not exported is refused with the system", () => {
  expect(() => system("days", { parts: { main, nightly: midnights("nightly") } })).toThrow(
    'schedule "nightly" sends to topic "ticks", which parts does not export: export it',
  );
  expect(() => system("ticking", { parts: { main, ticks, beat } })).not.toThrow();
});
