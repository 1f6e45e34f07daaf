/**
 * The suite that every engine of `DatabasePort` passes, on real servers.
 *
 *   databaseSuite({ name: "postgres", open: async () => ({ port, close }) });
 *
 * It speaks through the port and Kysely only, and needs two tables on each shard, as `conformanceTables` says.
 */
import { type Generated, type Kysely, sql, type Transaction } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, type CallFields, HoldfastError, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { AnyTables, DatabasePort, ReadLevel } from "./port.ts";
import { readLevels } from "./read-options.ts";

/** What `open` makes on each shard before the suite runs. */
export const conformanceTables = `
create table item (id text primary key, amount bigint not null default 0);
create table entry (id bigint generated always as identity primary key, item text not null references item, note text);
`;

interface Tables {
  item: { id: string; amount: Generated<string> };
  entry: { id: Generated<string>; item: string; note: string | null };
}

export interface DatabaseSuiteOptions {
  /** Of the engine. */
  readonly name: string;
  /** A database with the suite's tables on at least two shards. */
  open(): Promise<{ readonly port: DatabasePort; close(): Promise<void> }>;
  /** Tests that the engine cannot pass, by name, each with the reason. */
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}

export function databaseSuite(options: DatabaseSuiteOptions): void {
  const skipped = new Map(options.skip?.map((skip) => [skip.test, skip.reason]));
  const check = (name: string, run: () => Promise<void>) => {
    const reason = skipped.get(name);
    if (reason === undefined) test(name, run);
    else test.skip(`${name} (${reason})`, run);
  };

  describe(`database on ${options.name}`, () => {
    let port: DatabasePort;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ port, close } = await options.open());
    });
    afterAll(() => close());

    /** Each test has ids of its own, so that none depends on another's rows. */
    let made = 0;
    const fresh = () => `item-${++made}`;
    const shardOf = (id: string) => port.shardOf(id);
    const insert = (id: string, amount = 0) =>
      port.write(shardOf(id), (tx) => tx.insertInto("item").values({ id, amount }).execute(), {});
    const amountOf = (id: string) =>
      port.read(shardOf(id), "strong", async (db: Kysely<Tables>) => {
        const row = await db.selectFrom("item").select("amount").where("id", "=", id).executeTakeFirst();
        return row && Number(row.amount);
      });
    const add = (tx: Transaction<AnyTables>, id: string, amount: number) =>
      tx
        .updateTable("item")
        .set({ amount: sql<string>`amount + ${amount}` })
        .where("id", "=", id)
        .execute();

    check("a key always has the same shard, and keys spread over all of them", async () => {
      const shards = new Set<number>();
      for (let i = 0; i < 64 * port.shardCount; i++) {
        const shard = port.shardOf(`key-${i}`);
        expect(port.shardOf(`key-${i}`)).toBe(shard);
        shards.add(shard);
      }
      expect([...shards].sort((a, b) => a - b)).toEqual(Array.from({ length: port.shardCount }, (_, i) => i));
      expect(port.shardOf(42)).toBe(port.shardOf("42"));
      expect(port.shardOf(42n)).toBe(port.shardOf("42"));
    });

    check("what a write returns has been committed", async () => {
      const id = fresh();
      const row = await port.write(
        shardOf(id),
        (tx) => tx.insertInto("item").values({ id, amount: 7 }).returningAll().executeTakeFirstOrThrow(),
        {},
      );
      expect(row).toEqual({ id, amount: "7" });
      expect(await amountOf(id)).toBe(7);
    });

    check("shards do not see each other's rows", async () => {
      const id = fresh();
      await insert(id);
      const other = (shardOf(id) + 1) % port.shardCount;
      const rows = await port.read(other, "strong", (db: Kysely<Tables>) =>
        db.selectFrom("item").selectAll().where("id", "=", id).execute(),
      );
      expect(rows).toEqual([]);
    });

    check("a write whose function throws leaves nothing, and throws the same error", async () => {
      const id = fresh();
      const mine = new Error("mine");
      const writing = port.write(
        shardOf(id),
        async (tx) => {
          await tx.insertInto("item").values({ id }).execute();
          throw mine;
        },
        {},
      );
      await expect(writing).rejects.toBe(mine);
      expect(await amountOf(id)).toBeUndefined();
    });

    check("a statement that fails undoes the whole write, and says which constraint refused it", async () => {
      const id = fresh();
      const writing = port.write(
        shardOf(id),
        async (tx) => {
          await tx.insertInto("item").values({ id }).execute();
          await tx.insertInto("entry").values({ item: "nobody" }).execute();
        },
        {},
      );
      await expect(writing).rejects.toMatchObject({
        code: "HOLDFAST_SQL_CONFLICT",
        outcome: "not-applied",
        data: { sqlstate: "23503", constraint: "entry_item_fkey" },
      });
      expect(await amountOf(id)).toBeUndefined();
    });

    check("a write that caught a failed statement and went on is not reported as applied", async () => {
      const id = fresh();
      await insert(id);
      const writing = port.write(
        shardOf(id),
        async (tx) => {
          await add(tx, id, 1);
          await tx
            .insertInto("item")
            .values({ id })
            .execute()
            .catch(() => {});
        },
        {},
      );
      await expect(writing).rejects.toMatchObject({ outcome: "not-applied", data: { sqlstate: "23505" } });
      expect(await amountOf(id)).toBe(0);
    });

    check("a savepoint undoes a part of a write", async () => {
      const id = fresh();
      await insert(id);
      await port.write(
        shardOf(id),
        async (tx) => {
          await add(tx, id, 1);
          await sql`savepoint attempt`.execute(tx);
          await tx
            .insertInto("item")
            .values({ id })
            .execute()
            .catch(() => {});
          await sql`rollback to savepoint attempt`.execute(tx);
          await add(tx, id, 10);
        },
        {},
      );
      expect(await amountOf(id)).toBe(11);
    });

    check("a read cannot write", async () => {
      const id = fresh();
      for (const level of readLevels) {
        const reading = port.read(shardOf(id), level, (db: Kysely<Tables>) =>
          db.insertInto("item").values({ id }).execute(),
        );
        await expect(reading).rejects.toMatchObject({
          code: "HOLDFAST_SQL_ERROR",
          data: { sqlstate: "25006" },
        });
      }
      expect(await amountOf(id)).toBeUndefined();
    });

    check("a session reads its own write at once, at every level that promises it", async () => {
      for (let i = 0; i < 20; i++) {
        const id = fresh();
        await inCall(new Call(systemClock), async () => {
          await insert(id, i);
          for (const level of ["read-your-writes", "session", "causal", "strong"] as const) {
            const rows = await port.read(shardOf(id), level, (db: Kysely<Tables>) =>
              db.selectFrom("item").select("amount").where("id", "=", id).execute(),
            );
            expect(rows).toEqual([{ amount: String(i) }]);
          }
        });
      }
    });

    check("a session never reads less than it has read, at every level that promises it", async () => {
      const id = fresh();
      await insert(id);
      const read = async (level: ReadLevel) => {
        const rows = await port.read(shardOf(id), level, (db: Kysely<Tables>) =>
          db.selectFrom("item").select("amount").where("id", "=", id).execute(),
        );
        return Number(rows[0]?.amount ?? -1);
      };
      const levels = ["strong", "monotonic", "session", "causal"] as const;
      for (let round = 0; round < 10; round++) {
        // Somebody else's write, outside of the session that reads.
        await port.write(shardOf(id), (tx) => add(tx, id, 1), {});
        await inCall(new Call(systemClock), async () => {
          let seen = -1;
          for (const level of [...levels, ...levels]) {
            const amount = await read(level);
            expect(amount).toBeGreaterThanOrEqual(seen);
            seen = amount;
          }
          expect(seen).toBe(round + 1);
        });
      }
    });

    check("a read with wrong options is refused, all of them named at once", async () => {
      const wrong = { level: "fresh" as never, lagMsMax: 1, waitMs: -1 };
      const reading = port.read(0, wrong, async () => {});
      await expect(reading).rejects.toMatchObject({
        code: "HOLDFAST_INPUT_INVALID",
        outcome: "not-applied",
        data: {
          problems: [
            expect.stringMatching(/^level/),
            expect.stringMatching(/^lagMsMax/),
            expect.stringMatching(/^waitMs/),
          ],
        },
      });
      const pointless = port.read(0, { level: "strong", lagMsMax: 100 }, async () => {});
      await expect(pointless).rejects.toMatchObject({ message: expect.stringContaining("lagMsMax is for") });
    });

    check("writers of one row take turns and lose nothing", async () => {
      const id = fresh();
      await insert(id);
      await Promise.all(
        Array.from({ length: 32 }, () => port.write(shardOf(id), (tx) => add(tx, id, 1), {})),
      );
      expect(await amountOf(id)).toBe(32);
    });

    check("transactions that deadlock or cannot be serialized are run again until they commit", async () => {
      const [a, b] = [fresh(), fresh()];
      const shard = shardOf(a);
      await port.write(
        shard,
        (tx) =>
          tx
            .insertInto("item")
            .values([{ id: a }, { id: b }])
            .execute(),
        {},
      );
      let runs = 0;
      let bothIn = 0;
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const crossing = (first: string, second: string) =>
        port.write(
          shard,
          async (tx) => {
            runs++;
            await add(tx, first, 1);
            // Only the first two meet; whoever runs again passes.
            if (++bothIn === 2) open();
            await gate;
            await add(tx, second, 1);
          },
          {},
        );
      await Promise.all([crossing(a, b), crossing(b, a)]);
      // One of the two is chosen to give way; on a busy server it may meet the other once more.
      expect(runs).toBeGreaterThanOrEqual(3);
      const serializable = () =>
        port.write(
          shard,
          async (tx) => {
            await sql`set transaction isolation level serializable`.execute(tx);
            const row = await tx
              .selectFrom("item")
              .select("amount")
              .where("id", "=", a)
              .executeTakeFirstOrThrow();
            await tx
              .updateTable("item")
              .set({ amount: String(Number(row.amount) + 1) })
              .where("id", "=", a)
              .execute();
          },
          { marker: false },
        );
      await Promise.all(Array.from({ length: 6 }, serializable));
      const rows = await port.read(shard, "strong", (db: Kysely<Tables>) =>
        db.selectFrom("item").select(["id", "amount"]).where("id", "in", [a, b]).orderBy("id").execute(),
      );
      expect(rows.map((row) => row.amount).sort()).toEqual(["2", "8"]);
    });

    check("a failure of something else that a write called does not run the write again", async () => {
      const id = fresh();
      let runs = 0;
      const refused = new HoldfastError("HOLDFAST_UNAVAILABLE", "another part is away");
      const writing = port.write(
        shardOf(id),
        async () => {
          runs++;
          throw refused;
        },
        {},
      );
      await expect(writing).rejects.toBe(refused);
      expect(runs).toBe(1);
    });

    check("an idempotency key answers the first result, and runs nothing", async () => {
      const id = fresh();
      await insert(id);
      let runs = 0;
      const once = () =>
        port.write(
          shardOf(id),
          async (tx) => {
            runs++;
            await add(tx, id, 1);
            return { id, at: new Date(0), nothing: undefined, none: null };
          },
          { idempotencyKey: `key of ${id}`, fingerprint: "add 1" },
        );
      const first = await once();
      expect(first).toEqual({ id, at: "1970-01-01T00:00:00.000Z", none: null });
      expect(await once()).toEqual(first);
      expect(runs).toBe(1);
      expect(await amountOf(id)).toBe(1);
    });

    check("writes with one key at the same time are one write", async () => {
      const id = fresh();
      await insert(id);
      const results = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          port.write(
            shardOf(id),
            async (tx) => {
              await add(tx, id, 1);
              return i;
            },
            { idempotencyKey: `race of ${id}` },
          ),
        ),
      );
      expect(new Set(results).size).toBe(1);
      expect(await amountOf(id)).toBe(1);
    });

    check("a key whose write failed is free again", async () => {
      const id = fresh();
      const options = { idempotencyKey: `again ${id}` };
      const failing = port.write(
        shardOf(id),
        async () => {
          throw new Error("not today");
        },
        options,
      );
      await expect(failing).rejects.toThrow("not today");
      expect(await port.write(shardOf(id), async () => "tomorrow", options)).toBe("tomorrow");
    });

    check("a key with another fingerprint is refused", async () => {
      const id = fresh();
      const idempotencyKey = `print of ${id}`;
      await port.write(shardOf(id), async () => 1, { idempotencyKey, fingerprint: "one" });
      const other = port.write(shardOf(id), async () => 2, { idempotencyKey, fingerprint: "two" });
      await expect(other).rejects.toMatchObject({
        code: "HOLDFAST_IDEMPOTENCY_MISMATCH",
        outcome: "not-applied",
        permanent: true,
      });
    });

    check("a result that cannot be kept is refused, and nothing is applied", async () => {
      const id = fresh();
      await insert(id);
      for (const result of [1n, "x".repeat(300_000)]) {
        const writing = port.write(
          shardOf(id),
          async (tx) => {
            await add(tx, id, 1);
            return result;
          },
          { idempotencyKey: `big ${id}` },
        );
        await expect(writing).rejects.toMatchObject({
          code: "HOLDFAST_IDEMPOTENCY_RESULT",
          outcome: "not-applied",
        });
      }
      expect(await amountOf(id)).toBe(0);
    });

    check("writeOnce applies each batch once, in order, whoever brings it and how often", async () => {
      const id = fresh();
      await insert(id);
      const apply = (sequence: bigint, consumer = "tally") =>
        port.writeOnce(shardOf(id), { consumer: `${consumer} ${id}`, partition: 3, sequence }, async (tx) => {
          await add(tx, id, 1);
        });
      const same = await Promise.all([apply(1n), apply(1n), apply(1n), apply(1n)]);
      expect(same.filter(Boolean)).toEqual([true]);
      expect(await apply(4n)).toBe(true); // a shard may see only some of the batches
      expect(await apply(2n)).toBe(false);
      expect(await apply(4n)).toBe(false);
      expect(await apply(1n, "another")).toBe(true);
      expect(await amountOf(id)).toBe(3);
    });

    check(
      "writeOnce tells the mark of the batch before, and keeps what it is told to keep of it",
      async () => {
        const id = fresh();
        await insert(id);
        const seen: (string | undefined)[] = [];
        const apply = (sequence: bigint, mark: string, keepMark?: (before: string) => string) =>
          port.writeOnce(
            shardOf(id),
            { consumer: `marking ${id}`, partition: 0, sequence, mark, keepMark },
            async (_, before) => {
              seen.push(before);
            },
          );
        await apply(1n, "a");
        await apply(2n, "b");
        await apply(2n, "never");
        await apply(3n, "c", (before) => `${before}+c`);
        await apply(4n, "d");
        expect(seen).toEqual([undefined, "a", "b", "b+c"]);
      },
    );

    check("only what a function throws of its own accord counts as its answer", async () => {
      const id = fresh();
      await insert(id);
      const own = new Error("wrong edit key");
      const told = async (work: (undone: () => void) => Promise<unknown>) => {
        let count = 0;
        await expect(work(() => count++)).rejects.toBeInstanceOf(Error);
        return count;
      };
      const write = (run: (tx: Transaction<Tables>) => Promise<unknown>) =>
        told((undone) => port.write(shardOf(id), run, {}, undone));
      const refuse = () => Promise.reject(own);
      expect(await write(refuse)).toBe(1);
      expect(await write((tx) => add(tx, id, 1).then(refuse))).toBe(1);
      expect(await write((tx) => tx.insertInto("item").values({ id }).execute().catch(refuse))).toBe(1);
      const guard = { consumer: `refusing ${id}`, partition: 0, sequence: 1n };
      expect(await told((undone) => port.writeOnce(shardOf(id), guard, refuse, undone))).toBe(1);
      expect(await told((undone) => port.read(shardOf(id), "strong", refuse, undone))).toBe(1);
      // What the store refused is its answer.
      expect(await write((tx) => tx.insertInto("item").values({ id }).execute())).toBe(0);
      expect(await amountOf(id)).toBe(0);
    });

    check("writeOnce that failed can be brought again", async () => {
      const id = fresh();
      await insert(id);
      const guard = { consumer: `failing ${id}`, partition: 0, sequence: 1n };
      const failing = port.writeOnce(shardOf(id), guard, async () => {
        throw new Error("not today");
      });
      await expect(failing).rejects.toThrow("not today");
      expect(await port.writeOnce(shardOf(id), guard, (tx) => add(tx, id, 1).then(() => {}))).toBe(true);
      expect(await amountOf(id)).toBe(1);
    });

    check("what a read or write was given cannot be used after it ended", async () => {
      const id = fresh();
      let kept: Kysely<AnyTables> | undefined;
      const keep = async (given: Kysely<AnyTables>) => {
        kept = given;
      };
      await port.write(shardOf(id), keep, {});
      const late = kept?.insertInto("item").values({ id }).execute();
      await expect(late).rejects.toMatchObject({ code: "HOLDFAST_TX_ENDED" });
      await port.read(shardOf(id), "strong", keep);
      const reading = kept?.selectFrom("item").selectAll().execute();
      await expect(reading).rejects.toMatchObject({ code: "HOLDFAST_TX_ENDED" });
      expect(await amountOf(id)).toBeUndefined();
    });

    check("statements cannot begin or end the transaction they are in", async () => {
      const id = fresh();
      for (const text of [
        "commit",
        "/* so */ rollback",
        "begin read write",
        "end",
        "prepare transaction 'x'",
      ]) {
        const writing = port.write(
          shardOf(id),
          async (tx) => {
            await tx.insertInto("item").values({ id }).execute();
            await sql.raw(text).execute(tx);
          },
          {},
        );
        await expect(writing, text).rejects.toMatchObject({ code: "HOLDFAST_TX_CONTROL" });
      }
      const nested = port.read(shardOf(id), "strong", (db: Kysely<Tables>) =>
        db.transaction().execute(async () => {}),
      );
      await expect(nested).rejects.toMatchObject({ code: "HOLDFAST_TX_CONTROL" });
      expect(await amountOf(id)).toBeUndefined();
    });

    check("settings of one operation do not reach the next", async () => {
      const shard = shardOf(fresh());
      const [before] = await timeZones(port, shard);
      await port.read(shard, "strong", async (db) => {
        await sql`set time zone 'Pacific/Chatham'`.execute(db);
        await sql`set search_path to nowhere`.execute(db);
      });
      expect(new Set(await timeZones(port, shard))).toEqual(new Set([before]));
      await insert(fresh());
    });

    check("a call that is over is refused before anything is sent", async () => {
      const id = fresh();
      const writing = within({ timeoutMs: 0 }, () => insert(id));
      await expect(writing).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
      const gone = within({ signal: AbortSignal.abort() }, () => amountOf(id));
      await expect(gone).rejects.toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
      expect(await amountOf(id)).toBeUndefined();
    });

    check("a deadline ends a statement that runs, and what was written before it", async () => {
      const id = fresh();
      await insert(id);
      const writing = within({ timeoutMs: 150 }, () =>
        port.write(
          shardOf(id),
          async (tx) => {
            await add(tx, id, 1);
            await sql`select pg_sleep(60)`.execute(tx);
          },
          {},
        ),
      );
      await expect(writing).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
      // The row's lock is free: the server has stopped and rolled back.
      await within({ timeoutMs: 10_000 }, () => port.write(shardOf(id), (tx) => add(tx, id, 10), {}));
      expect(await amountOf(id)).toBe(10);
    });

    check("a caller that gives up is answered also while the function does something else", async () => {
      const id = fresh();
      const caller = new AbortController();
      const writing = within({ signal: caller.signal }, () =>
        port.write(
          shardOf(id),
          async (tx) => {
            await tx.insertInto("item").values({ id }).execute();
            caller.abort();
            await new Promise(() => {});
          },
          {},
        ),
      );
      await expect(writing).rejects.toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
      await expect.poll(() => amountOf(id)).toBeUndefined();
    });

    /** Every pair of shards, with an item on each. */
    const pairs = () => {
      const on = (shard: number) => {
        let id = fresh();
        while (shardOf(id) !== shard) id = fresh();
        return id;
      };
      const shards = Array.from({ length: port.shardCount }, (_, shard) => shard);
      return shards.flatMap((a) =>
        shards.filter((b) => b > a).map((b) => ({ shards: [a, b], ids: [on(a), on(b)] as [string, string] })),
      );
    };
    const bounds = { lockMs: 2_000 };

    check("a write on two shards commits on both, or is refused before it begins", async () => {
      let applied = 0;
      for (const { shards, ids } of pairs()) {
        let began = false;
        try {
          await port.together(
            shards,
            async (txOf) => {
              began = true;
              for (const id of ids)
                await txOf(shardOf(id))?.insertInto("item").values({ id, amount: 1 }).execute();
            },
            bounds,
          );
          applied++;
          expect(await Promise.all(ids.map(amountOf))).toEqual([1, 1]);
        } catch (error) {
          expect(error).toMatchObject({ code: "HOLDFAST_CROSS_SHARD_REFUSED", outcome: "not-applied" });
          expect([began, ...(await Promise.all(ids.map(amountOf)))]).toEqual([false, undefined, undefined]);
        }
      }
      expect(applied).toBeGreaterThan(0);
    });

    check("a write on two shards that fails on one, or throws, leaves nothing on either", async () => {
      const refusal = new Error("no");
      for (const { shards, ids } of pairs()) {
        const [first, second] = ids;
        await insert(second);
        for (const fail of [undefined, refusal]) {
          const writing = port.together(
            shards,
            async (txOf) => {
              await txOf(shardOf(first))?.insertInto("item").values({ id: first }).execute();
              if (fail) throw fail;
              await txOf(shardOf(second))?.insertInto("item").values({ id: second }).execute();
            },
            bounds,
          );
          const error = await writing.then(
            () => "applied",
            (thrown: unknown) => thrown,
          );
          const refused = error instanceof HoldfastError && error.code === "HOLDFAST_CROSS_SHARD_REFUSED";
          if (!refused && fail) expect(error).toBe(refusal);
          else if (!refused)
            expect(error).toMatchObject({ code: "HOLDFAST_SQL_CONFLICT", outcome: "not-applied" });
          expect(await amountOf(first)).toBeUndefined();
        }
      }
    });

    check("a write on two shards with an idempotency key happens once", async () => {
      let applied = 0;
      for (const { shards, ids } of pairs()) {
        const write = () =>
          port.together(
            shards,
            async (txOf) => {
              for (const id of ids) await txOf(shardOf(id))?.insertInto("item").values({ id }).execute();
              return ids;
            },
            { ...bounds, idempotencyKey: `together-${ids.join()}` },
          );
        const first = await write().catch((error: unknown) => error);
        if (first instanceof HoldfastError && first.code === "HOLDFAST_CROSS_SHARD_REFUSED") continue;
        applied++;
        expect([first, await write()]).toEqual([ids, ids]);
      }
      expect(applied).toBeGreaterThan(0);
    });
  });
}

function within<T>(fields: CallFields, run: () => Promise<T>): Promise<T> {
  return inCall(new Call(systemClock, fields), run);
}

/** The setting as many connections see it. */
function timeZones(port: DatabasePort, shard: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: 12 }, () =>
      port.read(shard, "strong", async (db) => {
        const { rows } = await sql<{ zone: string }>`select current_setting('TimeZone') as zone`.execute(db);
        return rows[0]?.zone ?? "";
      }),
    ),
  );
}
