/**
 * Three processes of a worker, killed, paused beyond their leases and started again, while their topic's home
 * is killed too: every acknowledged message is counted exactly once, on both nodes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Call, type HoldfastError, inCall } from "../call/index.ts";
import { randomInt, seededRandom, systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { inWorld } from "../parts/index.ts";
import { startTestPostgres, until } from "../testkit/index.ts";
import tallying, { counts, events } from "./fixtures/tally/parts.ts";
import { openWorld } from "./open-world.ts";

const seed = 11;
const rounds = 24;

test(`kills, pauses and a dead home, seed ${seed}`, { timeout: 300_000 }, async () => {
  await using postgres = await startTestPostgres({ nodes: 2 });
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "migrate" });
  await migrateDatabase(counts, nodes);
  await nodes.close();
  const config = { name: "tallying", databases: { counts: postgres.config }, poolSize: 4 };
  const open = openWorld(tallying, config, { clock: systemClock, applicationName: "deep" });
  const random = seededRandom(seed);

  const acknowledged = new Map<string, number>();
  const unknown = new Map<string, number>();
  let stop = false;
  const count = (into: Map<string, number>, code: string) => into.set(code, (into.get(code) ?? 0) + 1);
  const publishing = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!stop) {
        const code = `code-${randomInt(random, 25)}`;
        using call = new Call(systemClock, { timeoutMs: 20_000 });
        try {
          await inCall(call, () => inWorld(open.world, () => events.publish({ code })));
          count(acknowledged, code);
        } catch (error) {
          if ((error as HoldfastError).outcome !== "not-applied") count(unknown, code);
        }
        await systemClock.sleep(3);
      }
    }),
  );

  const file = fileURLToPath(new URL("./fixtures/tally/consumer.ts", import.meta.url));
  const batches = [0, 0, 0];
  const start = (n: number): ChildProcess => {
    const child = spawn(process.execPath, [file, `tally-${n}`], { stdio: ["pipe", "pipe", "ignore"] });
    child.stdout.on("data", (data: Buffer) => {
      batches[n] = (batches[n] as number) + data.toString().split("\n").length - 1;
    });
    child.stdin.end(JSON.stringify(config));
    return child;
  };
  const children = [0, 1, 2].map(start);
  const done = () => batches.reduce((sum, one) => sum + one, 0);
  const goesOn = async (what: string) => {
    const before = done();
    await until(() => done() > before + 5, { what: `work to go on after ${what}`, timeoutMs: 60_000 });
  };
  try {
    await goesOn("the start");
    for (let round = 0; round < rounds; round++) {
      const n = randomInt(random, 3);
      const child = children[n] as ChildProcess;
      if (round === rounds / 2) {
        const [home] = postgres.nodes;
        home?.primary.kill("SIGKILL");
        await home?.restartServer("primary");
        await goesOn("the home's death");
      } else if (round % 3 === 0) {
        // Longer than a lease of two seconds, by the store's clock: others have taken over when it wakes.
        child.kill("SIGSTOP");
        await until(async () => !(await holds(n)), { what: "a lease to run out", timeoutMs: 30_000 });
        await goesOn("a pause");
        child.kill("SIGCONT");
        await goesOn("waking");
      } else {
        child.kill("SIGKILL");
        await once(child, "exit");
        children[n] = start(n);
        await goesOn("a kill");
      }
    }
    stop = true;
    await publishing;
    const port = open.world.port(events);
    await until(async () => (await port.lag("tally")) === 0n, { what: "the end", timeoutMs: 60_000 });
  } finally {
    stop = true;
    for (const child of children) child.kill("SIGKILL");
  }

  const counted = new Map<string, number>();
  for (const shard of inWorld(open.world, () => counts.shards())) {
    const rows = await inWorld(open.world, () =>
      shard.read("strong", (sql) => sql.selectFrom("tally").selectAll().execute()),
    );
    for (const { code, n } of rows) counted.set(code, n);
  }
  for (const [code, least] of acknowledged) {
    expect(counted.get(code), code).toBeGreaterThanOrEqual(least);
    expect(counted.get(code), code).toBeLessThanOrEqual(least + (unknown.get(code) ?? 0));
  }
  expect(unknown.size).toBe(0);
  await open.close();

  async function holds(n: number): Promise<boolean> {
    const look = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "look" });
    try {
      const { rows } = await look.primary(look.home).use((session) =>
        session.send<{ n: number }>({
          text: "select count(*)::int as n from holdfast.topic_member where name like $1",
          values: [`tally-${n}@%`],
        }),
      );
      return (rows[0]?.n ?? 0) > 0;
    } finally {
      await look.close();
    }
  }
});
