/**
 * The suite that every engine of `LookupPort` passes, on real servers.
 *
 * It needs a database with the lookups of `lookupConformance` on at least two shards, and its table on each.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, inCall } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import type { FullDatabasePort } from "../full-port.ts";
import type { AnyTables, WriteOptions } from "../port.ts";
import type { LookupOptions } from "./options.ts";

export const lookupConformance = {
  tables: "create table person (id text primary key, email text);",
  lookups: { email: { unique: true }, city: { unique: false } } satisfies Record<string, LookupOptions>,
} as const;

export interface LookupSuiteOptions {
  /** Of the engine. */
  readonly name: string;
  open(): Promise<{ readonly port: FullDatabasePort; close(): Promise<void> }>;
}

export function lookupSuite(options: LookupSuiteOptions): void {
  describe(`lookups on ${options.name}`, () => {
    let port: FullDatabasePort;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ port, close } = await options.open());
    });
    afterAll(() => close());

    let made = 0;
    const fresh = () => `x${++made}`;
    const put = (
      key: string,
      values: { email?: readonly string[]; city?: readonly string[] },
      write: WriteOptions = {},
    ) =>
      port.lookups.write(
        {
          key,
          shard: port.shardOf(key),
          changes: Object.entries(values).map(([name, given]) => ({
            name,
            unique: name === "email",
            values: given,
          })),
        },
        async (tx) => {
          const row = { id: key, email: values.email?.[0] ?? null };
          await tx
            .insertInto("person")
            .values(row)
            .onConflict((on: AnyTables) => on.column("id").doUpdateSet(row))
            .execute();
          return key;
        },
        write,
      );
    const find = async (email: string) => (await port.lookups.find("email", [email], "strong")).get(email);

    test("a value leads to its key, on whichever shards they are", async () => {
      const keys = Array.from({ length: 4 * port.shardCount }, fresh);
      await Promise.all(keys.map((key) => put(key, { email: [`${key}@a.b`] })));
      const emails = keys.map((key) => `${key}@a.b`);
      const found = await port.lookups.find("email", [...emails, "nobody@a.b"], "strong");
      expect([...found].toSorted()).toEqual(keys.map((key) => [`${key}@a.b`, key]).toSorted());
    });

    test("of many keys that want a value at the same moment one gets it, and nothing of the others is written", async () => {
      const email = `${fresh()}@a.b`;
      const rivals = Array.from({ length: 12 }, fresh);
      const ends = await Promise.allSettled(rivals.map((key) => put(key, { email: [email] })));
      const winners = rivals.filter((_, n) => ends[n]?.status === "fulfilled");
      expect(winners).toEqual([await find(email)]);
      for (const end of ends)
        if (end.status === "rejected")
          expect(end.reason).toMatchObject({ code: "HOLDFAST_LOOKUP_TAKEN", outcome: "not-applied" });
      for (const key of rivals) {
        const row = await port.read(port.shardOf(key), "strong", (db) =>
          db.selectFrom("person").select("email").where("id", "=", key).executeTakeFirst(),
        );
        expect(row?.email).toBe(winners.includes(key) ? email : undefined);
      }
    });

    test("a change gives the old value up at the same moment, and releasing leaves none", async () => {
      const [key, other] = [fresh(), fresh()];
      const [before, after] = [`${fresh()}@a.b`, `${fresh()}@a.b`];
      await put(key, { email: [before] });
      await put(key, { email: [after] });
      expect([await find(before), await find(after)]).toEqual([undefined, key]);
      await put(other, { email: [before] });
      await put(key, { email: [] });
      expect([await find(before), await find(after)]).toEqual([other, undefined]);
    });

    test("two keys exchange their values by way of none, and a chain of changes ends as written", async () => {
      const keys = [fresh(), fresh(), fresh()] as const;
      const emails = keys.map((key) => `${key}@a.b`);
      for (const [n, key] of keys.entries()) await put(key, { email: [emails[n] as string] });
      await put(keys[0], { email: [] });
      await put(keys[1], { email: [emails[0] as string] });
      await put(keys[2], { email: [emails[1] as string] });
      await put(keys[0], { email: [emails[2] as string] });
      expect(await Promise.all(emails.map(find))).toEqual([keys[1], keys[2], keys[0]]);
    });

    test("an index has every key of a value in order, also beyond one page", async () => {
      const city = fresh();
      const keys = Array.from({ length: 15 }, fresh);
      await Promise.all(keys.map((key) => put(key, { city: [city, `${city} and around`] })));
      const first = await port.lookups.keys("city", city, { limit: 10, after: undefined }, "strong");
      const rest = await port.lookups.keys("city", city, { limit: 10, after: first.at(-1) }, "strong");
      expect([first.length, rest.length]).toEqual([10, 5]);
      expect([...first, ...rest].toSorted()).toEqual(keys.toSorted());
      await put(keys[0] as string, { city: [] });
      const left = await port.lookups.keys("city", city, { limit: 100, after: undefined }, "strong");
      expect(left.toSorted()).toEqual(keys.slice(1).toSorted());
    });

    test("a write with a key happens once, whatever has become of its values", async () => {
      const [key, other] = [fresh(), fresh()];
      const email = `${fresh()}@a.b`;
      const once = { idempotencyKey: fresh() };
      await put(key, { email: [email] }, once);
      await put(key, { email: [] });
      await put(other, { email: [email] });
      expect(await put(key, { email: [email] }, once)).toBe(key);
      expect(await find(email)).toBe(other);
    });

    test("a session finds what it has written, at its own level", async () => {
      for (let n = 0; n < 10; n++) {
        using call = new Call(systemClock, { timeoutMs: 20_000 });
        await inCall(call, async () => {
          const key = fresh();
          const email = `${key}@a.b`;
          await put(key, { email: [email], city: ["Session"] });
          expect((await port.lookups.find("email", [email], "session")).get(email)).toBe(key);
          const page = { limit: 1_000, after: undefined };
          expect(await port.lookups.keys("city", "Session", page, "session")).toContain(key);
          await put(key, { email: [] });
          expect((await port.lookups.find("email", [email], "session")).get(email)).toBeUndefined();
        });
      }
    });

    test("sweeping changes no answer", async () => {
      const key = fresh();
      await put(key, { email: [`${key}@a.b`], city: [key] });
      await port.lookups.sweep();
      expect(await find(`${key}@a.b`)).toBe(key);
    });
  });
}
