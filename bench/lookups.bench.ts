/**
 * A user with a unique e-mail address: signed up and found by it through lookups over 32 shards, and by hand on a
 * `pg` pool with one table and a unique index, which is as much as one server gives. Same server, same rows.
 */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { randomInt, seededRandom, systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import pg from "pg";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

interface Tables {
  person: { id: string; email: string; city: string | null };
}

const poolSize = 16;
const inFlight = 16;
const users = database<Tables>("users", {
  migrations: new URL("./lookups-migrations/", import.meta.url),
  shards: { count: 32 },
  replicas: 0,
  lookups: { email: { unique: true } },
});

const bench: Bench = {
  name: "lookups",
  title: "claim and find a unique value across shards, beside one table with a unique index",
  async run(size, seed) {
    await using postgres = await startTestPostgres({
      shards: 32,
      onDisk: true,
      settings: { shared_buffers: "128MB" },
    });
    const random = seededRandom(seed);
    const nodes = openDatabaseNodes(postgres.config, {
      clock: systemClock,
      applicationName: "bench",
      poolSize,
    });
    const pool = new pg.Pool({ ...postgres.config.nodes[0]?.primary, max: poolSize });
    try {
      await migrateDatabase(users, nodes);
      await pool.query("create table public.person (id text primary key, email text not null unique)");
      const world = new World("bench", systemClock);
      world.bind(users, postgresDatabase(users, nodes, systemClock));
      const operations = size === "smoke" ? 64 : 1_500;
      const rounds = size === "smoke" ? 1 : 5;
      const drawn = { ours: [] as string[], plain: [] as string[], byHand: [] as string[] };
      const draw = (into: string[]) => {
        const id = Buffer.from(random.bytes(9)).toString("base64url");
        into.push(id);
        return { id, email: `${id}@example.com` };
      };
      const any = (from: string[]) => from[randomInt(random, from.length)] as string;
      const asCall = async <T>(run: () => Promise<T>) => {
        using call = new Call(systemClock, { timeoutMs: 10_000 });
        return await inCall(call, run);
      };
      const insert = (into: string[], claims: boolean) =>
        asCall(() => {
          const { id, email } = draw(into);
          return users
            .at(id)
            .write(
              (tx) => tx.insertInto("person").values({ id, email, city: null }).execute(),
              claims ? { lookups: { email } } : {},
            );
        });
      const insertByHand = async () => {
        const { id, email } = draw(drawn.byHand);
        const client = await pool.connect();
        try {
          await client.query("begin");
          await client.query({
            name: "insert-person",
            text: "insert into public.person (id, email) values ($1, $2)",
            values: [id, email],
          });
          await client.query("commit");
        } finally {
          client.release();
        }
      };
      const expectId = (found: string | undefined, id: string) => {
        if (found !== id) throw new Error(`the address of ${id} led to ${found}`);
      };
      const byEmail = users.lookup("email");
      const find = () => {
        const id = any(drawn.ours);
        return asCall(async () => expectId(await byEmail.find(`${id}@example.com`), id));
      };
      const findByHand = async () => {
        const id = any(drawn.byHand);
        const { rows } = await pool.query({
          name: "find-person",
          text: "select id from public.person where email = $1",
          values: [`${id}@example.com`],
        });
        expectId(rows[0]?.id, id);
      };

      const many = (one: () => Promise<unknown>) => (n: number) => concurrently(n, one);
      const writes = await inWorld(world, () =>
        nanosecondsEach(
          { rounds, operations },
          {
            ours: many(() => insert(drawn.ours, true)),
            plain: many(() => insert(drawn.plain, false)),
            byHand: many(insertByHand),
          },
        ),
      );
      const reads = await inWorld(world, () =>
        nanosecondsEach(
          { rounds, operations: operations * 2 },
          { ours: many(find), byHand: many(findByHand) },
        ),
      );
      const figure = (name: string, ns: number, peer?: string): Figure => ({
        name,
        unit: "ops/s",
        value: perSecond(ns),
        better: "higher",
        ...(peer ? { peer } : {}),
      });
      const checked = await inWorld(world, () => check(pool, drawn));
      return {
        figures: [
          figure("insert and claim", writes.ours),
          figure("insert without a claim", writes.plain, "insert and claim"),
          figure("pg by hand: insert, unique index", writes.byHand, "insert and claim"),
          figure("find by value", reads.ours),
          figure("pg by hand: select by unique index", reads.byHand, "find by value"),
        ],
        checked,
      };
    } finally {
      await pool.end();
      await nodes.close();
    }
  },
};

export default bench;

async function concurrently(operations: number, one: () => Promise<unknown>): Promise<void> {
  let left = operations;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** Every address that was claimed leads to its user, none of the others to anybody; and a second claim is refused. */
async function check(
  pool: pg.Pool,
  drawn: { readonly ours: string[]; readonly plain: string[]; readonly byHand: string[] },
): Promise<string> {
  const byEmail = users.lookup("email");
  const emails = (ids: readonly string[]) => ids.map((id) => `${id}@example.com`);
  for (let at = 0; at < drawn.ours.length; at += 1_000) {
    const ids = drawn.ours.slice(at, at + 1_000);
    const found = await byEmail.findMany(emails(ids), "strong");
    for (const id of ids)
      if (found.get(`${id}@example.com`) !== id) throw new Error(`the address of ${id} is lost`);
  }
  const unclaimed = await byEmail.findMany(emails(drawn.plain.slice(0, 1_000)), "strong");
  if (unclaimed.size > 0) throw new Error("an address leads to a user who never claimed it");
  const [taken] = drawn.ours;
  const second = await users
    .at("somebody else")
    .write(async () => {}, { lookups: { email: `${taken}@example.com` } })
    .then(
      () => "taken twice",
      (error: { code?: string }) => error.code,
    );
  if (second !== "HOLDFAST_LOOKUP_TAKEN") throw new Error(`a second claim ended as ${second}`);
  const { rows } = await pool.query<{ n: number }>("select count(*)::int as n from public.person");
  if (rows[0]?.n !== drawn.byHand.length) throw new Error("pg by hand lost rows");
  return `${drawn.ours.length} addresses lead to their users, a second claim is refused, ${rows[0].n} rows by hand`;
}
