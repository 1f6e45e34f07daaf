/**
 * A report every night at three in Berlin, and a heartbeat. Two worlds stand for two processes: both look at what is
 * due, and each tick is sent once.
 *
 *   node examples/schedule.ts
 */
import { database, inWorld, schedule, system, topic } from "holdfast";
import { systemClock as clock, isoTime } from "holdfast/clock";
import { installFramework, openDatabaseNodes } from "holdfast/postgres";
import { openWorld } from "holdfast/runtime";
import { startTestPostgres, until } from "holdfast/testkit";
import * as v from "valibot";

const main = database("main", { shards: { count: 4 } });
const Task = v.object({ what: v.string(), tick: v.number(), at: v.string() });
const tasks = topic("tasks", { schema: Task, keyBy: ({ what }) => what, partitions: 1 });

const nightly = schedule("nightly", {
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin",
  missed: "last",
  to: tasks,
  message: (tick) => ({ what: "report", tick: tick.number, at: tick.scheduledAt }),
});
const heartbeat = schedule("heartbeat", {
  every: { ms: 250 },
  missed: "skip",
  to: tasks,
  message: (tick) => ({ what: "heartbeat", tick: tick.number, at: tick.scheduledAt }),
});

// Without a world: the nights around the change to summer time, in UTC.
console.log("nightly:", nightly.next(Date.parse("2026-03-27T12:00Z"), 3).map(isoTime).join(", "));

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await installFramework(nodes);
await nodes.close();
const config = { name: "example", databases: { main: postgres.config }, poolSize: 4 };
const declared = system("example", { parts: { main, tasks, nightly, heartbeat } });
const start = (n: number) => openWorld(declared, config, { clock, applicationName: `example ${n}` });
const [one, other] = [start(1), start(2)];
const { world } = one;

await until(async () => (await inWorld(world, () => heartbeat.state())).number >= 4, {
  what: "four heartbeats",
});
await inWorld(world, () => heartbeat.pause());
const { number, paused } = await inWorld(world, () => heartbeat.state());
console.log(`heartbeat: ${number} sent, ${paused ? "paused" : "on"}`);

// What is in the topic: as many messages as ticks, though two processes looked.
const port = world.port(tasks);
const [claim] = await port.heartbeat("reader", "reader-1", 10_000);
const batch = claim && (await port.next(claim, 100));
for (const { value } of batch?.messages ?? []) {
  const { what, tick, at } = value as v.InferOutput<typeof Task>;
  console.log(`${what} ${tick} of ${at.slice(11)}`);
}
await Promise.all([one.close(), other.close()]);
