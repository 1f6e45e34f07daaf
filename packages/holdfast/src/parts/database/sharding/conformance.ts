/**
 * The suite that every engine of `DatabasePort` passes for every strategy, on real servers.
 *
 *   shardingSuite({ name: "postgres", open: async (database, tables) => ({ port, close }) });
 *
 * It declares its databases itself, on two nodes with a replica each, and needs `tables` on each shard.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, inCall } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { inWorld, World } from "../../world.ts";
import { type AnyDatabase, type Database, database } from "../declare.ts";
import type { DatabasePort, KeyPart, ShardKey } from "../port.ts";
import type { ShardOptions } from "./shard-options.ts";

interface Tables {
  owner: { name: string; age: number };
  thing: { owner: string; number: number; label: string | null };
}

export interface ShardingSuiteOptions {
  /** Of the engine. */
  readonly name: string;
  /** Places the shards of `declared` over its nodes, and makes `tables` on each. */
  open(
    declared: AnyDatabase,
    tables: string,
  ): Promise<{ readonly port: DatabasePort; close(): Promise<void> }>;
}

interface Strategy {
  readonly name: string;
  readonly shards: ShardOptions;
  /** SQL type of a key, and the n-th key. */
  readonly type: "text" | "bigint";
  key(n: number): KeyPart;
}

const strategies: readonly Strategy[] = [
  { name: "hash", shards: { by: "hash", count: 4 }, type: "text", key: (n) => `key-${n}` },
  { name: "hash of integers", shards: { by: "hash", count: 4 }, type: "bigint", key: (n) => n - 20 },
  {
    name: "hash of the first part",
    shards: { by: "hash", count: 4, keyParts: 1 },
    type: "text",
    key: (n) => `tenant-${n}`,
  },
  {
    name: "range of text",
    shards: { by: "range", of: "text", bounds: ["k", "ä", "🐢"] },
    type: "text",
    key: (n) => `${["a", "k", "z", "ä", "\uffff", "🐢"][n % 6]}${n}`,
  },
  {
    name: "range of integers",
    shards: { by: "range", of: "integer", bounds: [0, 10, 20] },
    type: "bigint",
    key: (n) => n - 10,
  },
  {
    name: "directory",
    shards: { by: "directory", groups: { eu: 3, us: 2 } },
    type: "text",
    key: (n) => `tenant-${n}`,
  },
];

const keyCount = 40;

export function shardingSuite(options: ShardingSuiteOptions): void {
  describe.each(strategies)(`shards by $name, on ${options.name}`, ({ shards, type, key }) => {
    const tables = `
create table owner (name ${type} primary key check (holds_key(name)), age int not null);
create table thing (owner ${type} not null references owner, number int not null, label text,
  primary key (owner, number), check (holds_key(owner)));`;
    const db: Database<Tables> = database("sharded", {
      shards: { ...shards, keys: { owner: "name", thing: "owner" } },
      nodes: 2,
    });
    const world = new World("sharding", systemClock);
    let port: DatabasePort;
    let close: (() => Promise<void>) | undefined;
    beforeAll(async () => {
      ({ port, close } = await options.open(db, tables));
      world.bind(db, port);
      await inWorld(world, async () => {
        for (let n = 0; n < keyCount; n++) {
          const name = key(n);
          if (shards.by === "directory") await db.assign(name, { group: n % 3 ? "eu" : "us" });
          await db.at(name).write(async (tx) => {
            await tx
              .insertInto("owner")
              .values({ name: name as string, age: n })
              .execute();
            const rows = [1, 2].map((number) => ({ owner: name as string, number, label: null }));
            await tx.insertInto("thing").values(rows).execute();
          });
        }
      });
    });
    afterAll(() => close?.());
    const check = (name: string, run: () => Promise<void>) => test(name, () => inWorld(world, run));
    const names = Array.from({ length: keyCount }, (_, n) => String(key(n)));

    check(
      "keys have always the same shard, alone and with further parts where the first decides",
      async () => {
        const used = new Set<number>();
        for (let n = 0; n < keyCount; n++) {
          const shard = await db.at(key(n)).locate();
          used.add(shard);
          expect(await port.locate(key(n))).toBe(shard);
          expect(port.shardOf(String(key(n)))).toBe(shard);
          const isByFirst = shards.by === "range" || shards.by === "directory" || "keyParts" in shards;
          if (isByFirst) expect(await db.at([key(n), "more"] as ShardKey).locate()).toBe(shard);
        }
        expect(used.size).toBe(port.shardCount);
      },
    );

    check("a row is taken by the shard of its key and by no other, and rows of one key join", async () => {
      for (const n of [0, 7, 21]) {
        const own = await db.at(key(n)).locate();
        for (const shard of db.shards()) {
          const joined = await shard.read("strong", (sql) =>
            sql
              .selectFrom("owner")
              .innerJoin("thing", "thing.owner", "owner.name")
              .select("thing.number")
              .where("owner.name", "=", key(n) as string)
              .orderBy("thing.number")
              .execute(),
          );
          expect(joined).toEqual(shard.index === own ? [{ number: 1 }, { number: 2 }] : []);
          if (shard.index === own) continue;
          const strayed = shard.write((tx) =>
            tx
              .insertInto("owner")
              .values({ name: key(n) as string, age: 0 })
              .execute(),
          );
          await expect(strayed).rejects.toMatchObject({
            code: "HOLDFAST_SQL_CONFLICT",
            data: { sqlstate: "23514" },
          });
        }
      }
    });

    check("route finds the shards of the keys that a query names", async () => {
      const wanted = names.slice(0, 9);
      const { rows, shards: asked } = await db.route("strong", (sql) =>
        sql.selectFrom("owner").select("name").where("name", "in", wanted),
      );
      expect(rows.map(({ name }) => name).sort()).toEqual([...wanted].sort());
      const located = await Promise.all(wanted.map((name) => db.at(name).locate()));
      expect(asked).toEqual([...new Set(located)].sort((a, b) => a - b));
    });

    check(
      "everywhere pages through all rows once, in order, and its session reads its own writes",
      async () => {
        await inCall(new Call(systemClock), async () => {
          // From here on the session knows all that was written, so no replica may be behind that.
          await db.totals({ level: "strong" }, (sql) =>
            sql.selectFrom("owner").select(({ fn }) => [fn.countAll().as("owners")]),
          );
          for (const n of [3, 17]) {
            await db.route((sql) =>
              sql
                .updateTable("owner")
                .set({ age: 100 + n })
                .where("name", "=", key(n) as string),
            );
            const found: number[] = [];
            let after: string | undefined;
            do {
              const page = await db.everywhere(
                {
                  orderBy: [
                    ["age", "desc"],
                    ["name", "asc"],
                  ],
                  limit: 7,
                  after,
                },
                (sql) => sql.selectFrom("owner").select(["name", "age"]),
              );
              found.push(...page.rows.map(({ age }) => age));
              after = page.next;
            } while (after !== undefined);
            expect(found).toContain(100 + n);
            expect(found).toEqual([...found].sort((a, b) => b - a));
            expect(found.length).toBe(keyCount);
            await db.at(key(n)).write((tx) =>
              tx
                .updateTable("owner")
                .set({ age: n })
                .where("name", "=", key(n) as string)
                .execute(),
            );
          }
        });
      },
    );

    check("totals are those of all shards", async () => {
      const { rows } = await db.totals({ level: "strong" }, (sql) =>
        sql
          .selectFrom("owner")
          .select(({ fn }) => [
            fn.countAll().as("owners"),
            fn.sum("age").as("age"),
            fn.max("age").as("oldest"),
          ]),
      );
      const age = (keyCount * (keyCount - 1)) / 2;
      expect(rows).toEqual([{ owners: String(keyCount), age: String(age), oldest: keyCount - 1 }]);
    });

    check("between gives the shards of a range, and assign a place, where there are such", async () => {
      if (shards.by === "range") {
        const [from, to] = type === "bigint" ? [-3, 12] : ["b", "ä"];
        expect(db.between(from, to).map(({ index }) => index)).toEqual(
          type === "bigint" ? [0, 1, 2] : [0, 1, 2],
        );
        expect(db.between(null, null).length).toBe(port.shardCount);
      } else expect(() => db.between("a", "b")).toThrow(/by range/);
      if (shards.by === "directory") {
        const placed = await Promise.all([1, 2, 3].map(() => db.assign("late", { group: "us" })));
        expect(new Set(placed.map(({ shard }) => shard)).size).toBe(1);
        await expect(db.assign("late", { group: "eu" })).rejects.toMatchObject({
          code: "HOLDFAST_KEY_ASSIGNED",
        });
        await expect(db.at("nobody").locate()).rejects.toMatchObject({ code: "HOLDFAST_KEY_UNASSIGNED" });
      } else await expect(db.assign("late")).rejects.toThrow(/by directory/);
    });
  });
}
