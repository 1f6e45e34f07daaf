/**
 * A counter that many raise at once, in four ways: kept by the triggers of `holdfast.keep_count`, raised by hand with
 * an UPDATE beside each INSERT, raised alone by `increment`, and in slots. One hot row, and a thousand rows that share
 * the work. And what development warnings cost a read by key: off, and on. Same server, same writers; every sum is
 * checked.
 */
import { inWorld, World } from "holdfast";
import { seededRandom, systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { developmentWatch, migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { increment, slottedCounter } from "holdfast/rows";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

interface Tables {
  post: { id: number; kept: number; by_hand: number; alone: number };
  kept_like: { post: number; who: string };
  hand_like: { post: number; who: string };
}

const writers = 10;
const posts = 1_000;

const bench: Bench = {
  name: "rows",
  title: "counters kept by triggers, by hand and in slots; what development warnings cost",
  async run(size, seed) {
    await using postgres = await startTestPostgres({
      onDisk: true,
      shards: 1,
      settings: { shared_buffers: "128MB" },
    });
    const declaration = database<Tables>("rows", {
      migrations: new URL("./rows-migrations/", import.meta.url),
      shards: { count: 1 },
      replicas: 0,
    });
    const env = { clock: systemClock, applicationName: "bench", poolSize: writers };
    const nodes = openDatabaseNodes(postgres.config, env);
    const watch = developmentWatch(systemClock, () => {});
    const watched = openDatabaseNodes(postgres.config, { ...env, watch });
    try {
      await migrateDatabase(declaration, nodes);
      const world = new World("bench", systemClock);
      world.bind(declaration, postgresDatabase(declaration, nodes, systemClock));
      const watching = new World("watched", systemClock);
      watching.bind(declaration, postgresDatabase(declaration, watched, systemClock));
      const shard = () => declaration.at("all");
      await inWorld(world, () =>
        shard().write((tx) => sql`insert into post select n from generate_series(0, ${posts}) n`.execute(tx)),
      );

      const random = seededRandom(seed);
      const slots = slottedCounter(declaration, "seen", { slots: 16 });
      const done = { kept: 0, byHand: 0, alone: 0, slotted: 0 };
      const like = (table: "kept_like" | "hand_like", post: number, n: number) =>
        sql`insert into ${sql.table(table)} values (${post}, ${`who-${n}`})`;
      const ways = (pick: () => number) => ({
        kept: () => shard().write((tx) => like("kept_like", pick(), ++done.kept).execute(tx)),
        byHand: () => {
          const post = pick();
          return shard().write(async (tx) => {
            await like("hand_like", post, ++done.byHand).execute(tx);
            await tx.updateTable("post").set({ by_hand: sql`by_hand + 1` }).where("id", "=", post).execute();
          });
        },
        alone: () => {
          done.alone++;
          return shard().write((tx) => increment(tx, "post", { where: { id: pick() }, column: "alone" }));
        },
        slotted: () => {
          done.slotted++;
          return slots.add(String(pick()));
        },
      });

      const figures: Figure[] = [];
      const figure = (name: string, value: number, peer?: string) =>
        figures.push({ name, unit: "operations/s", value, better: "higher", ...(peer ? { peer } : {}) });
      const rounds = size === "smoke" ? 1 : 5;
      const operations = size === "smoke" ? 40 : 500;
      for (const [where, pick] of [
        ["one hot row", () => 0],
        ["1,000 rows", () => 1 + Math.floor(random.next() * posts)],
      ] as const) {
        const way = ways(pick);
        const run = (one: () => Promise<unknown>) => (count: number) => concurrently(count, one);
        const ns = await inWorld(world, () =>
          nanosecondsEach(
            { rounds, operations },
            {
              kept: run(way.kept),
              byHand: run(way.byHand),
              alone: run(way.alone),
              slotted: run(way.slotted),
            },
          ),
        );
        figure(`like, counted by keep_count, ${where}`, perSecond(ns.kept));
        figure(
          `like, counted by hand, ${where}`,
          perSecond(ns.byHand),
          `like, counted by keep_count, ${where}`,
        );
        figure(`increment, ${where}`, perSecond(ns.alone));
        figure(`slotted counter, ${where}`, perSecond(ns.slotted), `increment, ${where}`);
      }

      const read = () =>
        declaration
          .at("all")
          .read("eventual", (db) => db.selectFrom("post").select("kept").where("id", "=", 1).execute());
      const reads = (where: World) => (count: number) => inWorld(where, () => concurrently(count, read));
      const readNs = await nanosecondsEach(
        { rounds, operations: size === "smoke" ? 40 : 10_000 },
        { off: reads(world), on: reads(watching) },
      );
      figure("read by key, warnings off", perSecond(readNs.off));
      figure("read by key, warnings on", perSecond(readNs.on), "read by key, warnings off");

      await inWorld(world, () => check(done));
      return {
        figures,
        checked: `${done.kept + done.byHand + done.alone + done.slotted} counted in four ways, ${writers} at a time, and each sum right`,
      };

      async function check(expected: typeof done): Promise<void> {
        const { rows } = await shard().read("strong", (db) =>
          sql<
            Record<keyof typeof done, string>
          >`select sum(kept) as kept, sum(by_hand) as "byHand", sum(alone) as alone,
            (select sum(n) from seen) as slotted from post`.execute(db),
        );
        for (const [way, count] of Object.entries(expected)) {
          const found = rows[0]?.[way as keyof typeof done];
          if (Number(found) !== count) throw new Error(`${way}: counted ${found} of ${count}`);
        }
      }
    } finally {
      await watch.close();
      await watched.close();
      await nodes.close();
    }
  },
};

export default bench;

/** Runs `one` `count` times, as many at a time as there are connections. */
async function concurrently(count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: writers }, lane));
}
