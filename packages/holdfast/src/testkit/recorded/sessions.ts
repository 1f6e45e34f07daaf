/**
 * Sessions that write and read on primaries and replicas: each client has one, writes keys of its own and reads
 * everybody's, with reads of level `session`.
 */
import { type Random, randomInt } from "../../clock/index.ts";
import { database, type ReadLevel, system } from "../../parts/index.ts";
import {
  checkersNamed,
  type PlannedOperation,
  type RecordedChecker,
  UniqueValues,
  type Workload,
} from "./workload.ts";

interface Tables {
  note: { key: string; value: number };
}

export interface SessionsOptions {
  /** Default: the four session guarantees. */
  readonly checkers?: readonly RecordedChecker[];
  /** Default `session`. `eventual` promises none of the session guarantees. */
  readonly level?: ReadLevel;
}

const guarantees = ["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"];

export function sessions(options: SessionsOptions = {}): Workload {
  const { checkers = checkersNamed(...guarantees), level = "session" } = options;
  const db = database<Tables>("notes", {
    migrations: new URL("./migrations/sessions/", import.meta.url),
    shards: { count: 4 },
  });
  const values = new UniqueValues();
  return {
    name: `sessions, ${level} reads`,
    system: system("notes", { parts: { db } }),
    checkers,
    reads: ["read"],
    prepare: async () => {}, // migrations make all of it
    plan(client, random: Random): PlannedOperation {
      // One writer a key: the order of its values is known without asking.
      if (random.next() < 0.3) return { f: "write", key: `n${client.number}`, value: values.next() };
      // Its own key often: that is where a replica that lags is found out.
      const whose = random.next() < 0.5 ? client.number : randomInt(random, client.clients);
      return { f: "read", key: `n${whose}`, value: null };
    },
    async perform({ f, key, value }) {
      const shard = db.at(key as string);
      if (f === "read") {
        const row = await shard.read(level, (sql) =>
          sql
            .selectFrom("note")
            .select("value")
            .where("key", "=", key as string)
            .executeTakeFirst(),
        );
        return row?.value ?? null;
      }
      await shard.write(async (tx) => {
        await tx
          .insertInto("note")
          .values({ key: key as string, value: value as number })
          .onConflict((conflict) => conflict.column("key").doUpdateSet({ value: value as number }))
          .execute();
      });
      return value;
    },
  };
}
