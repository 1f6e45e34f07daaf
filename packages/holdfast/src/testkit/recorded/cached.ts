/**
 * Values behind a cache: a write forgets the key in its own transaction, and every process reads through a cache
 * of its own. What was forgotten is not answered any more, once a bound has passed.
 */
import { sql } from "kysely";
import { type Random, randomInt } from "../../clock/index.ts";
import { cache, database, system } from "../../parts/index.ts";
import { boundedStaleness } from "./bounded-staleness.ts";
import type { PlannedOperation, Workload } from "./workload.ts";

interface Tables {
  item: { key: string; version: number };
}

export interface CachedOptions {
  /** Of the cache, in milliseconds: the bound that is judged. Default 500. */
  readonly busBoundMs?: number;
  /** Default 4. */
  readonly keys?: number;
  /** Leaves the invalidations out: then values are stale, and a harness that cannot say so proves nothing. */
  readonly forgetful?: boolean;
}

export function cached({ busBoundMs = 500, keys = 4, forgetful = false }: CachedOptions = {}): Workload {
  const db = database<Tables>("items", { shards: { count: 4 } });
  const hot = cache("hot", { ttlMs: 600_000, staleMs: 0, negativeTtlMs: 600_000, busBoundMs });
  return {
    name: "cache over the bus",
    system: system("items", { parts: { db, hot } }),
    checkers: [boundedStaleness(busBoundMs)],
    reads: ["read"],
    // A session that has written goes past what was cached before: it would never meet an old answer.
    sessionless: true,
    async prepare() {
      for (const shard of db.shards()) {
        await shard.write(async (tx) => {
          await sql`create table item (key text primary key, version int not null)`.execute(tx);
        });
      }
    },
    plan(_client, random: Random): PlannedOperation {
      const key = `c${randomInt(random, keys)}`;
      return { f: random.next() < 0.15 ? "write" : "read", key, value: null };
    },
    perform({ f, key: planned }) {
      const key = planned as string;
      if (f === "read") {
        return hot.get(key, async () => {
          const row = await db
            .at(key)
            .read((sql) =>
              sql.selectFrom("item").select("version").where("key", "=", key).executeTakeFirst(),
            );
          return row?.version ?? 0;
        });
      }
      return db.at(key).write(async (tx) => {
        const { rows } = await sql<{ version: number }>`insert into item values (${key}, 1)
          on conflict (key) do update set version = item.version + 1 returning version`.execute(tx);
        if (!forgetful) await hot.invalidate(key, { in: tx });
        return rows[0]?.version;
      });
    },
  };
}
