/**
 * The suite that every engine of `ReferencePort` passes, on real servers.
 *
 * It needs a database with the reference tables of `referenceConformance`, and shards on each of its nodes.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, inCall } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import type { FullDatabasePort } from "../full-port.ts";
import type { ReadLevel } from "../port.ts";

export const referenceConformance = {
  migration: `create table plan (id text primary key, cents bigint not null, tags text[] not null default '{}');
    create table price (plan text references plan, currency text, amount numeric not null, primary key (plan, currency));
    insert into plan values ('free', 0);`,
  tables: ["plan", "price"],
  maxRows: 100,
} as const;

export interface ReferenceSuiteOptions {
  /** Of the engine. */
  readonly name: string;
  /** @property nodes how many */
  open(): Promise<{ readonly port: FullDatabasePort; readonly nodes: number; close(): Promise<void> }>;
}

export function referenceSuite(options: ReferenceSuiteOptions): void {
  describe(`reference tables on ${options.name}`, () => {
    let port: FullDatabasePort;
    let nodes: number;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ port, nodes, close } = await options.open());
    });
    afterAll(() => close());

    const settled = (version: number) => ({ version, current: expect.any(Array), behind: [] });
    /** What each shard reads of the plans, wherever it is. */
    const plans = (level: ReadLevel = "strong") =>
      Promise.all(
        Array.from({ length: port.shardCount }, (_, shard) =>
          port.read(shard, level, (db) => db.selectFrom("plan").selectAll().orderBy("id").execute()),
        ),
      );
    const same = (rows: readonly object[]) => Array.from({ length: port.shardCount }, () => rows);

    test("every shard reads what was written, once it is settled", async () => {
      const { value, version } = await port.reference.write(async (tx) => {
        await tx
          .insertInto("plan")
          .values({ id: "pro", cents: "900", tags: ["a,b", '"c"', "{}", "\\"] })
          .execute();
        await tx
          .insertInto("price")
          .values([
            { plan: "pro", currency: "EUR", amount: "9.00" },
            { plan: "free", currency: "EUR", amount: "0" },
          ])
          .execute();
        return "written";
      }, {});
      expect(value).toBe("written");
      const state = await port.reference.settle(20_000, version);
      expect(state).toEqual(settled(version));
      expect(state.current.length).toBe(nodes);
      expect(await plans()).toEqual(
        same([
          { id: "free", cents: "0", tags: [] },
          { id: "pro", cents: "900", tags: ["a,b", '"c"', "{}", "\\"] },
        ]),
      );
    });

    test("a session reads on every shard what it has written and seen settled", async () => {
      using call = new Call(systemClock, { timeoutMs: 30_000 });
      await inCall(call, async () => {
        const { version } = await port.reference.write(
          (tx) => tx.updateTable("plan").set({ cents: "1000" }).where("id", "=", "pro").execute(),
          {},
        );
        await port.reference.settle(20_000, version);
        for (const rows of await plans("session"))
          expect(rows[1]).toMatchObject({ id: "pro", cents: "1000" });
      });
    });

    test("rows that go, with those that point at them, go everywhere", async () => {
      const { version } = await port.reference.write(async (tx) => {
        await tx.deleteFrom("price").where("plan", "=", "pro").execute();
        await tx.deleteFrom("plan").where("id", "=", "pro").execute();
      }, {});
      expect(await port.reference.settle(20_000, version)).toEqual(settled(version));
      expect(await plans()).toEqual(same([{ id: "free", cents: "0", tags: [] }]));
    });

    test("what is too large, or fails, changes no node and no version", async () => {
      const before = await port.reference.settle(20_000);
      const many = Array.from({ length: 101 }, (_, n) => ({ id: `p${n}`, cents: "1" }));
      await expect(
        port.reference.write((tx) => tx.insertInto("plan").values(many).execute(), {}),
      ).rejects.toMatchObject({ code: "HOLDFAST_REFERENCE_TOO_LARGE", outcome: "not-applied" });
      await expect(
        port.reference.write(
          (tx) => tx.insertInto("price").values({ plan: "x", currency: "EUR", amount: 1 }).execute(),
          {},
        ),
      ).rejects.toMatchObject({ code: "HOLDFAST_SQL_CONFLICT" });
      expect(await port.reference.settle(20_000)).toEqual(before);
      expect(await plans()).toEqual(same([{ id: "free", cents: "0", tags: [] }]));
    });

    test("a shard's own write cannot change them", async () => {
      for (let shard = 0; shard < port.shardCount; shard++) {
        const write = port.write(
          shard,
          (tx) => tx.insertInto("plan").values({ id: "own", cents: "1" }).execute(),
          {},
        );
        await expect(write).rejects.toMatchObject({ outcome: "not-applied", permanent: true });
      }
      expect(await plans()).toEqual(same([{ id: "free", cents: "0", tags: [] }]));
    });
  });
}
