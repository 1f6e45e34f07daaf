/**
 * Moving a shard between two nodes while it is written to: what writers see of it, and how fast rows are copied.
 * Writers of the moving shard go on all the time; what was acknowledged is counted at the end. There is no peer to put
 * beside it in one run: the same writers without a move are the comparison.
 */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, openReshard, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";
import { type Bench, type Figure, median } from "./bench.ts";

interface Tables {
  link: { code: string; url: string; visits: number };
}

const links = database<Tables>("links", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 1 },
  nodes: 1,
});
const writers = 4;

const bench: Bench = {
  name: "reshard",
  title: "move a shard between nodes under writes: the pause that writers see, and the copy",
  async run(size) {
    const rows = size === "smoke" ? 2_000 : 400_000;
    const rounds = size === "smoke" ? 1 : 5;
    await using postgres = await startTestPostgres({ nodes: 2, shards: 1, onDisk: true });
    const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "bench" });
    try {
      await migrateDatabase(links, nodes);
      const world = new World("bench", systemClock);
      world.bind(links, postgresDatabase(links, nodes, systemClock));
      await inWorld(world, () =>
        links.at("all").write(async (tx) => {
          await sql`insert into link select 'code-' || n, repeat(md5(n::text), 8), 0 from generate_series(1, ${rows}) n`.execute(
            tx,
          );
        }),
      );

      let stopped = false;
      let acknowledged = 0;
      let latencies: number[] = [];
      const writing = Array.from({ length: writers }, (_, writer) =>
        inWorld(world, async () => {
          const code = `code-${writer + 1}`;
          while (!stopped) {
            const beganAtMs = systemClock.monotonicMs();
            await inCall(new Call(systemClock, { timeoutMs: 30_000 }), () =>
              links.at(code).write((tx) =>
                tx
                  .updateTable("link")
                  .set((it) => ({ visits: it("visits", "+", 1) }))
                  .where("code", "=", code)
                  .execute(),
              ),
            );
            acknowledged++;
            latencies.push(systemClock.monotonicMs() - beganAtMs);
          }
        }),
      );
      const phase = async (run: () => Promise<unknown>) => {
        latencies = [];
        await run();
        const taken = latencies;
        latencies = [];
        return taken.sort((a, b) => a - b);
      };

      const idle = await phase(() => systemClock.sleep(size === "smoke" ? 300 : 5_000));
      const during: number[] = [];
      const cutovers: number[] = [];
      const rates: number[] = [];
      await using resharder = await openReshard(links, postgres.config, { clock: systemClock });
      for (let round = 0; round < rounds; round++) {
        const [from] = resharder.map.places;
        const to = from?.node === "node-1" ? "node-2" : "node-1";
        during.push(
          ...(await phase(async () => {
            const [move] = await resharder.move({ nodes: [to], shards: [0], keep: false });
            const { bytes = 0, copyMs = 1, cutoverMs = 0 } = move?.data ?? {};
            cutovers.push(cutoverMs);
            rates.push(bytes / 1e6 / (copyMs / 1e3));
          })),
        );
      }
      stopped = true;
      await Promise.all(writing);

      const counted = await inWorld(world, () =>
        links.at("all").read("strong", (db) =>
          db
            .selectFrom("link")
            .select((it) => [it.fn.sum<string>("visits").as("visits"), it.fn.countAll<string>().as("rows")])
            .executeTakeFirstOrThrow(),
        ),
      );
      if (Number(counted.visits) !== acknowledged)
        throw new Error(`${acknowledged} writes were acknowledged, and ${counted.visits} are there`);
      if (Number(counted.rows) !== rows) throw new Error(`of ${rows} rows ${counted.rows} are there`);

      during.sort((a, b) => a - b);
      const ms = (name: string, value: number): Figure => ({ name, unit: "ms", value, better: "lower" });
      return {
        figures: [
          ms("write without a move, p50", at(idle, 0.5)),
          ms("write without a move, p99", at(idle, 0.99)),
          ms("write during moves, p50", at(during, 0.5)),
          ms("write during moves, p99", at(during, 0.99)),
          ms("write during moves, longest", during.at(-1) ?? 0),
          ms("handover: fence to new map", median(cutovers)),
          { name: "copy", unit: "MB/s", value: median(rates), better: "higher" },
        ],
        checked: `${acknowledged} writes acknowledged over ${rounds} moves of ${rows} rows, each there once`,
      };
    } finally {
      await nodes.close();
    }
  },
};

export default bench;

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
