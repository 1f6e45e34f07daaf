import type { Generated } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Call, inCall, Session } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { database, inWorld, World } from "../../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { postgresDatabase } from "../database.ts";
import { migrateDatabase } from "../migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../nodes.ts";
import { openReshard, type ReshardOptions } from "./reshard.ts";

interface Tables {
  account: { id: Generated<number>; owner: string; cents: number };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./fixtures/migrations/", import.meta.url),
  shards: { count: 4 },
  replicas: 1,
  nodes: 2,
});

let postgres: TestPostgres;
let config: DatabaseConfig;
let nodes: DatabaseNodes;
let world: World;

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase();
  nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bank" });
  await migrateDatabase(bank, nodes);
  world = new World("bank", systemClock);
  world.bind(bank, postgresDatabase(bank, nodes, systemClock));
});
afterEach(() => nodes.close());

const options: ReshardOptions = { clock: systemClock, patienceMs: 10_000 };
const shardOf = (owner: string) => inWorld(world, async () => bank.at(owner).index);
const add = (owner: string, session = new Session(), key?: string) =>
  inWorld(world, () =>
    inCall(new Call(systemClock, { timeoutMs: 8_000, session }), () =>
      bank
        .at(owner)
        .write(
          (tx) =>
            tx.insertInto("account").values({ owner, cents: 1 }).returning("id").executeTakeFirstOrThrow(),
          key === undefined ? {} : { idempotencyKey: key },
        ),
    ),
  );
const count = (owner: string, session = new Session()) =>
  inWorld(world, () =>
    inCall(new Call(systemClock, { timeoutMs: 8_000, session }), () =>
      bank.at(owner).read(async (sql) => {
        const row = await sql
          .selectFrom("account")
          .select((it) => it.fn.countAll<string>().as("n"))
          .where("owner", "=", owner)
          .executeTakeFirstOrThrow();
        return Number(row.n);
      }),
    ),
  );

test("a shard moves while it is written to: nothing is lost, nothing doubled, and sessions see what they wrote", async () => {
  const owner = "ada";
  const shard = await shardOf(owner);
  const from = nodes.map.place(shard).node;
  const to = from === "node-1" ? "node-2" : "node-1";
  for (let i = 0; i < 50; i++) await add(owner);

  let stop = false;
  let acknowledged = 50;
  const stale: string[] = [];
  const writers = Array.from({ length: 3 }, async (_, writer) => {
    const session = new Session();
    const own = `${owner}`;
    while (!stop) {
      const { id } = await add(own, session);
      acknowledged++;
      const seen = await inWorld(world, () =>
        inCall(new Call(systemClock, { timeoutMs: 8_000, session }), () =>
          bank.at(own).read((sql) => sql.selectFrom("account").select("id").where("id", "=", id).execute()),
        ),
      );
      if (seen.length !== 1) stale.push(`${writer} did not see ${id}`);
    }
  });
  await using resharder = await openReshard(bank, config, options);
  const [move] = await resharder.move({ nodes: [to], shards: [shard] }).finally(() => {
    stop = true;
  });
  await Promise.all(writers);
  expect(move).toMatchObject({ state: "kept", source: from, target: to });
  expect(stale).toEqual([]);
  expect(nodes.map.place(shard).node).toBe(to);
  expect(await count(owner)).toBe(acknowledged);
  console.log(move?.data);
});
