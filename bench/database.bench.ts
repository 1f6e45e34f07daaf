/**
 * A transaction that inserts one row, and a read of one row by its key: through the handle of a database part
 * (32 shards, routing, commit marker, a call with a deadline), and on one table with `pg` by hand, postgres.js, Kysely
 * and Drizzle, each the way its documentation calls fastest (named or prepared statements). Same server, same rows,
 * checked afterwards.
 */

import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { randomInt, seededRandom, systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgresJs from "postgres";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

interface Tables {
  link: { code: string; url: string; visits: number };
}

const poolSize = 16;
const links = database<Tables>("links", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 32 },
});

const linkTable = pgTable("link", {
  code: text("code").primaryKey(),
  url: text("url").notNull(),
  visits: integer("visits").notNull(),
});

const bench: Bench = {
  name: "database",
  title: "write and read one row through a database part, beside pg, postgres.js, Kysely and Drizzle",
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
    const endpoint = postgres.config.nodes[0]?.primary;
    const pool = new pg.Pool({ ...endpoint, max: poolSize });
    const js = postgresJs({ ...endpoint, max: poolSize, onnotice: () => {} });
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    const drizzled = drizzle(pool);
    const drizzleSelect = drizzled
      .select()
      .from(linkTable)
      .where(eq(linkTable.code, sql.placeholder("code")))
      .prepare("drizzle-select");
    try {
      await migrateDatabase(links, nodes);
      await pool.query(
        "create table public.link (code text primary key, url text not null, visits int not null)",
      );
      const world = new World("bench", systemClock);
      world.bind(links, postgresDatabase(links, nodes, systemClock));

      const operations = size === "smoke" ? 64 : 4_000;
      const rounds = size === "smoke" ? 1 : 5;
      const codes = { ours: [] as string[], bare: [] as string[], peers: [] as string[] };
      const draw = (into: string[]) => {
        const code = Buffer.from(random.bytes(9)).toString("base64url");
        into.push(code);
        return code;
      };
      const url = "https://example.com/a/page?with=query";
      const asCall = async <T>(run: () => Promise<T>) => {
        using call = new Call(systemClock, { timeoutMs: 10_000 });
        return await inCall(call, run);
      };

      const write = (code: string, marker: boolean) =>
        asCall(() =>
          links
            .at(code)
            .write((tx) => tx.insertInto("link").values({ code, url, visits: 0 }).execute(), { marker }),
        );
      const writeByHand = async (code: string) => {
        const client = await pool.connect();
        try {
          await client.query("begin");
          await client.query({
            name: "insert-link",
            text: "insert into public.link (code, url, visits) values ($1, $2, $3)",
            values: [code, url, 0],
          });
          await client.query("commit");
        } finally {
          client.release();
        }
      };
      const writeJs = (code: string) =>
        js.begin((tx) => tx`insert into link ${tx({ code, url, visits: 0 })}`);
      const writeKysely = (code: string) =>
        kysely
          .transaction()
          .execute((tx) => tx.insertInto("link").values({ code, url, visits: 0 }).execute());
      const writeDrizzle = (code: string) =>
        drizzled.transaction((tx) => tx.insert(linkTable).values({ code, url, visits: 0 }));

      const read = (code: string, level: "session" | "eventual") =>
        asCall(() =>
          links
            .at(code)
            .read(level, (sql) =>
              sql.selectFrom("link").selectAll().where("code", "=", code).executeTakeFirst(),
            ),
        );
      const readByHand = async (code: string) => {
        const { rows } = await pool.query({
          name: "select-link",
          text: "select * from public.link where code = $1",
          values: [code],
        });
        return rows[0] as Tables["link"] | undefined;
      };
      const readJs = async (code: string) =>
        (await js<Tables["link"][]>`select * from link where code = ${code}`)[0];
      const readKysely = (code: string) =>
        kysely.selectFrom("link").selectAll().where("code", "=", code).executeTakeFirst();
      const readDrizzle = async (code: string) => (await drizzleSelect.execute({ code }))[0];

      const expectUrl = async (reading: Promise<Tables["link"] | undefined>) => {
        const row = await reading;
        if (row?.url !== url) throw new Error("a row that was written was not read back");
      };
      const any = (from: string[]) => from[randomInt(random, from.length)] as string;
      const figures: Figure[] = [];
      for (const inFlight of [1, 16]) {
        const count = inFlight === 1 ? Math.ceil(operations / 4) : operations;
        const many = (one: () => Promise<unknown>) => (n: number) => concurrently(inFlight, n, one);
        const writes = await inWorld(world, () =>
          nanosecondsEach(
            { rounds, operations: count },
            {
              ours: many(() => write(draw(codes.ours), true)),
              bare: many(() => write(draw(codes.bare), false)),
              byHand: many(() => writeByHand(draw(codes.peers))),
              js: many(() => writeJs(draw(codes.peers))),
              kysely: many(() => writeKysely(draw(codes.peers))),
              drizzle: many(() => writeDrizzle(draw(codes.peers))),
            },
          ),
        );
        const reads = await inWorld(world, () =>
          nanosecondsEach(
            { rounds, operations: count },
            {
              session: many(() => expectUrl(read(any(codes.ours), "session"))),
              eventual: many(() => expectUrl(read(any(codes.ours), "eventual"))),
              byHand: many(() => expectUrl(readByHand(any(codes.peers)))),
              js: many(() => expectUrl(readJs(any(codes.peers)))),
              kysely: many(() => expectUrl(readKysely(any(codes.peers)))),
              drizzle: many(() => expectUrl(readDrizzle(any(codes.peers)))),
            },
          ),
        );
        const figure = (name: string, ns: number, of?: string) =>
          figures.push({
            name: `${name}, ${inFlight} in flight`,
            unit: "ops/s",
            value: perSecond(ns),
            better: "higher",
            ...(of ? { peer: `${of}, ${inFlight} in flight` } : {}),
          });
        // A second figure of the same work, so that the peers can be compared with each.
        figure("write", writes.ours);
        for (const [peer, ns] of peersOf(writes)) figure(`${peer}: begin, insert, commit`, ns, "write");
        figure("write without marker", writes.bare);
        figure("pg by hand again: begin, insert, commit", writes.byHand, "write without marker");
        figure("read", reads.session);
        for (const [peer, ns] of peersOf(reads)) figure(`${peer}: select`, ns, "read");
        figure("read at level eventual", reads.eventual, "read");
        figure("pg by hand again: select", reads.byHand, "read at level eventual");
      }
      const checked = await inWorld(world, () => check(pool, codes));
      return { figures, checked };
    } finally {
      await js.end();
      await pool.end();
      await nodes.close();
    }
  },
};

export default bench;

const peerNames = { byHand: "pg by hand", js: "postgres.js", kysely: "Kysely", drizzle: "Drizzle" } as const;

function peersOf(ns: Readonly<Record<keyof typeof peerNames, number>>): [string, number][] {
  return Object.entries(peerNames).map(([key, name]) => [name, ns[key as keyof typeof peerNames]]);
}

/** Runs `one` `count` times, `inFlight` of them at a time. */
async function concurrently(inFlight: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** Every code that was written is there, once, on the shard of its key; and nothing else. */
async function check(
  pool: pg.Pool,
  codes: { readonly ours: string[]; readonly bare: string[]; readonly peers: string[] },
): Promise<string> {
  const written = [...codes.ours, ...codes.bare];
  const byShard = await Promise.all(
    links.shards().map(async (shard) => {
      const rows = await shard.read((sql) => sql.selectFrom("link").select("code").execute());
      return rows.map(({ code }) => {
        if (links.at(code).index !== shard.index)
          throw new Error(`${code} is on a shard that is not its own`);
        return code;
      });
    }),
  );
  const found = byShard.flat();
  if (found.length !== written.length || new Set(found).size !== new Set([...found, ...written]).size)
    throw new Error(`wrote ${written.length} rows, found ${found.length}`);
  const { rows } = await pool.query<{ n: number }>("select count(*)::int as n from public.link");
  if (rows[0]?.n !== codes.peers.length) throw new Error("a peer lost rows");
  const markers = await pool.query<{ n: number }>("select count(*)::int as n from holdfast.marker");
  if (markers.rows[0]?.n !== codes.ours.length) throw new Error("a write has no marker, or more than one");
  return `${found.length} rows on ${byShard.length} shards, ${markers.rows[0].n} markers, ${rows[0].n} rows of the peers; every read answered its row`;
}
