/**
 * Pages over 8 shards in one order, beside the same rows in one big table that `pg` pages through by hand (named
 * statements, keyset conditions): the newest page, every page one after another, and a count. Same server.
 */
import { inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";
import pg from "pg";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

interface Tables {
  event: { id: string; at: Date; kind: number; note: string };
}

const shardCount = 8;
const events = database<Tables>("events", {
  migrations: new URL("./everywhere-migrations/", import.meta.url),
  shards: { count: shardCount },
  replicas: 0,
});

interface Row {
  readonly id: string;
  readonly at: Date;
}

/** Rows `from` to `rows`, in steps; many have the same time. */
const fill = (from: number, step: number, rows: number) => `
  insert into event (id, at, kind, note)
  select n, timestamptz '2026-01-01' + (hashint8(n) % 100000) * interval '1 second', n % 10, repeat('x', 40)
  from generate_series(${from}, ${rows - 1}, ${step}) n`;

const bench: Bench = {
  name: "everywhere",
  title: "pages over 8 shards in one order, beside one big table",
  async run(size) {
    const rows = size === "smoke" ? 2_000 : 50_000;
    const rounds = size === "smoke" ? 1 : 5;
    const pageRows = 1_000;
    await using postgres = await startTestPostgres({
      shards: shardCount,
      settings: { shared_buffers: "128MB" },
    });
    const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "bench" });
    const pool = new pg.Pool({ ...postgres.config.nodes[0]?.primary, max: 4 });
    try {
      await migrateDatabase(events, nodes);
      const world = new World("bench", systemClock);
      world.bind(events, postgresDatabase(events, nodes, systemClock));
      await pool.query(
        "create table public.event (id bigint primary key, at timestamptz not null, kind int not null, note text not null)",
      );
      await pool.query("create index on public.event (at desc, id)");
      await pool.query(fill(0, 1, rows));
      await pool.query("analyze public.event");
      return await inWorld(world, async () => {
        for (const shard of events.shards()) {
          await shard.write((tx) => sql.raw(fill(shard.index, shardCount, rows)).execute(tx));
          await shard.write((tx) => sql`analyze event`.execute(tx));
        }

        const page = (limit: number, after?: string) =>
          events.everywhere(
            {
              orderBy: [
                ["at", "desc"],
                ["id", "asc"],
              ],
              limit,
              after,
              level: "eventual",
            },
            (db) => db.selectFrom("event").select(["id", "at", "kind", "note"]),
          );
        const pageByHand = async (limit: number, last?: { at: string; id: string }) => {
          const { rows: found } = last
            ? await pool.query({
                name: "next",
                text: "select id, at, kind, note, at::text as cursor from public.event where at <= $1 and (at < $1 or (at = $1 and id > $2)) order by at desc, id limit $3",
                values: [last.at, last.id, limit],
              })
            : await pool.query({
                name: "first",
                text: "select id, at, kind, note, at::text as cursor from public.event order by at desc, id limit $1",
                values: [limit],
              });
          return found as (Row & { cursor: string })[];
        };
        const all = async (seen?: string[]) => {
          let after: string | undefined;
          do {
            const { rows: found, next } = await page(pageRows, after);
            if (seen) for (const { id } of found) seen.push(id);
            after = next;
          } while (after !== undefined);
        };
        const allByHand = async (seen?: string[]) => {
          let last: { at: string; id: string } | undefined;
          for (;;) {
            const found = await pageByHand(pageRows, last);
            if (seen) for (const { id } of found) seen.push(id);
            const end = found.at(-1);
            if (!end || found.length < pageRows) return;
            last = { at: end.cursor, id: end.id };
          }
        };
        const count = () =>
          events.totals({ level: "eventual" }, (db) =>
            db
              .selectFrom("event")
              .select(({ fn }) => fn.countAll().as("n"))
              .where("kind", "=", 3),
          );
        const countByHand = () =>
          pool.query({
            name: "count",
            text: "select count(*) as n from public.event where kind = $1",
            values: [3],
          });

        const [seen, seenByHand] = [[] as string[], [] as string[]];
        await all(seen);
        await allByHand(seenByHand);
        if (seen.length !== rows || seen.some((id, index) => id !== seenByHand[index]))
          throw new Error("the shards' pages are not those of the one table");
        const counted = (await count()).rows[0]?.n;
        if (counted !== (await countByHand()).rows[0].n)
          throw new Error("another count than that of the one table");

        const times = size === "smoke" ? 5 : 30;
        const repeat = (run: () => Promise<unknown>) => async () => {
          for (let i = 0; i < times; i++) await run();
        };
        const pages = await nanosecondsEach(
          { rounds, operations: times },
          {
            "newest 100, 8 shards": repeat(() => page(100)),
            "newest 100, one table": repeat(() => pageByHand(100)),
            "count, 8 shards": repeat(count),
            "count, one table": repeat(countByHand),
          },
        );
        const merged = await nanosecondsEach(
          { rounds, operations: rows },
          {
            "all rows by pages of 1000, 8 shards": () => all(),
            "all rows by pages of 1000, one table": () => allByHand(),
          },
        );
        const ms = (name: keyof typeof pages, peer?: keyof typeof pages): Figure => ({
          name,
          unit: "ms",
          value: pages[name] / 1e6,
          better: "lower",
          ...(peer ? { peer } : {}),
        });
        const rate = (name: keyof typeof merged, peer?: keyof typeof merged): Figure => ({
          name,
          unit: "rows/s",
          value: perSecond(merged[name]),
          better: "higher",
          ...(peer ? { peer } : {}),
        });
        return {
          figures: [
            ms("newest 100, 8 shards"),
            ms("newest 100, one table", "newest 100, 8 shards"),
            rate("all rows by pages of 1000, 8 shards"),
            rate("all rows by pages of 1000, one table", "all rows by pages of 1000, 8 shards"),
            ms("count, 8 shards"),
            ms("count, one table", "count, 8 shards"),
          ],
          checked: `${rows} rows by pages of ${pageRows}, each once, in the order of the one table; the same count`,
        };
      });
    } finally {
      await pool.end();
      await nodes.close();
    }
  },
};
export default bench;
