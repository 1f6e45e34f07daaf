/**
 * One value per key, in a database: read, written, compared and set. Strong reads and writes are judged as
 * linearizable.
 */
import { type Random, randomInt } from "../../clock/index.ts";
import type { ReplicationOptions } from "../../parts/database/index.ts";
import { database, type ReadLevel, system } from "../../parts/index.ts";
import {
  checkersNamed,
  type PlannedOperation,
  type RecordedChecker,
  RefusedError,
  UniqueValues,
  type Workload,
  type WorkloadClient,
} from "./workload.ts";

interface Tables {
  register: { key: string; value: number };
}

export interface RegistersOptions {
  /** Default: linearizable, as a register with compare-and-set. */
  readonly checkers?: readonly RecordedChecker[];
  /** Keys that are used at the same time. Default 3. */
  readonly keys?: number;
  /** Operations on a key before another takes its place: what a checker costs grows with them. Default 120. */
  readonly operationsPerKey?: number;
  /** Default `strong`. Any other is not linearizable, and a harness that cannot say so proves nothing. */
  readonly level?: ReadLevel;
  /** Default: asynchronous. */
  readonly replication?: ReplicationOptions;
}

export function registers(options: RegistersOptions = {}): Workload {
  const {
    checkers = checkersNamed("cas-register"),
    keys = 3,
    operationsPerKey = 120,
    level = "strong",
    replication = {},
  } = options;
  const db = database<Tables>("registers", {
    migrations: new URL("./migrations/registers/", import.meta.url),
    shards: { count: 4 },
    replication,
  });
  const values = new UniqueValues();
  /** What was last seen in a key, by anybody: a compare-and-set that expects it may succeed. */
  const seen = new Map<unknown, number>();
  let planned = 0;

  const read = (key: string) =>
    db
      .at(key)
      .read(level, (sql) =>
        sql.selectFrom("register").select("value").where("key", "=", key).executeTakeFirst(),
      )
      .then((row) => row?.value ?? null);

  const write = (key: string, value: number) =>
    db.at(key).write(async (tx) => {
      await tx
        .insertInto("register")
        .values({ key, value })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
        .execute();
    });

  const compareAndSet = (key: string, from: number, to: number) =>
    db.at(key).write(async (tx) => {
      const changed = await tx
        .updateTable("register")
        .set({ value: to })
        .where("key", "=", key)
        .where("value", "=", from)
        .executeTakeFirst();
      if (changed.numUpdatedRows === 0n) throw new RefusedError(`the value is not ${from}`);
    });

  return {
    name: `registers, ${level} reads`,
    system: system("registers", { parts: { db } }),
    checkers,
    reads: ["read"],
    prepare: async () => {}, // migrations make all of it
    plan(_client: WorkloadClient, random: Random): PlannedOperation {
      const round = Math.floor(planned++ / (keys * operationsPerKey));
      const key = `r${round * keys + randomInt(random, keys)}`;
      const dice = random.next();
      if (dice < 0.5) return { f: "read", key, value: null };
      const known = seen.get(key);
      if (dice < 0.8 || known === undefined) return { f: "write", key, value: values.next() };
      return { f: "cas", key, value: [known, values.next()] };
    },
    async perform({ f, key, value }) {
      if (f === "read") {
        const found = await read(key as string);
        if (found !== null) seen.set(key, found);
        return found;
      }
      if (f === "write") await write(key as string, value as number);
      else await compareAndSet(key as string, ...(value as [number, number]));
      return value;
    },
  };
}
