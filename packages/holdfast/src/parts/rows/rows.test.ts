/** Documents, key-values, versions and counters on a real server, beside twins of a few lines. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import {
  type DatabaseNodes,
  migrateDatabase,
  openDatabaseNodes,
  postgresDatabase,
} from "../../engines/postgres/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { database, installWorld, World } from "../index.ts";
import {
  documents,
  etagOf,
  increment,
  keyValues,
  mergePatch,
  repairKept,
  retryConflicts,
  slottedCounter,
  updateVersioned,
  verifyKept,
  versionOfIfMatch,
} from "./index.ts";

interface Profile {
  readonly name: string;
  readonly city?: string;
  readonly visits?: number;
  readonly tags?: readonly string[];
}

/** Any object with a name, as a Standard Schema. */
const schema = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (value: unknown) =>
      typeof (value as Profile | null)?.name === "string"
        ? { value: value as Profile }
        : { issues: [{ message: "should be a string", path: ["name"] }] },
  },
};
const anything = {
  "~standard": { version: 1 as const, vendor: "test", validate: (value: unknown) => ({ value }) },
};

const migration = `
select holdfast.create_documents('profile');
select holdfast.create_key_values('setting');
select holdfast.create_slotted_counter('hits');
create table account (owner text primary key check (holds_key(owner)), cents bigint, version bigint not null default 1);
create table bill (id int primary key, owner text not null references account on delete cascade);
alter table account add bills int not null default 0;
select holdfast.keep_count('account', 'bills', 'bill', 'owner');
`;

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let folder: string;
let db: ReturnType<typeof database<never>>;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 4 });
  folder = await mkdtemp(join(tmpdir(), "hf-rows-"));
  await writeFile(join(folder, "001_rows.sql"), migration);
  db = database("rows", { migrations: pathToFileURL(`${folder}/`), shards: { count: 4 }, replicas: 0 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "rows" });
  await migrateDatabase(db, nodes);
  const world = new World("rows", systemClock);
  world.bind(db, postgresDatabase(db, nodes, systemClock));
  installWorld(world);
});
afterAll(async () => {
  installWorld(undefined);
  await nodes?.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const profiles = () => documents(db, "profile", { schema });
const settings = () => keyValues(db, "setting", { schema: anything });
let made = 0;
const fresh = (name = "key") => `${name}-${++made}`;
/** Two keys of different shards. */
const apart = (): [string, string] => {
  const first = fresh();
  let second = fresh();
  while (db.at(second).index === db.at(first).index) second = fresh();
  return [first, second];
};

describe("documents", () => {
  test("put, get, replace, delete, and a version that never comes again", async () => {
    const key = fresh();
    expect(await profiles().get(key)).toBeUndefined();
    const first = await profiles().put(key, { name: "ada" });
    expect(await profiles().put(key, { name: "Ada" })).toBe(first + 1);
    expect(await profiles().get(key)).toEqual({ key, doc: { name: "Ada" }, version: first + 1 });
    expect(await profiles().delete(key)).toBe(true);
    expect(await profiles().delete(key)).toBe(false);
    expect(await profiles().put(key, { name: "again" })).toBeGreaterThan(first + 1);
  });

  test("many keys are one statement for each shard", async () => {
    const keys = Array.from({ length: 20 }, () => fresh());
    for (const key of keys) await profiles().put(key, { name: key });
    const asked: number[] = [];
    const counted = {
      ...db,
      at: (key: string) => {
        const shard = db.at(key);
        return {
          ...shard,
          read: (how: never, run: never) => {
            asked.push(shard.index);
            return shard.read(how, run);
          },
        };
      },
    } as unknown as typeof db;
    const found = await documents(counted, "profile", { schema }).getMany([
      ...keys,
      "nobody",
      keys[0] as string,
    ]);
    expect([...found.keys()].sort()).toEqual([...keys].sort());
    expect(asked.sort()).toEqual([...new Set(asked)]);
    expect(asked.length).toBeLessThanOrEqual(4);
    expect((await profiles().getMany([])).size).toBe(0);
  });

  test("what was made for another version is refused, with the current one", async () => {
    const key = fresh();
    const version = await profiles().put(key, { name: "a" }, { ifVersion: "absent" });
    const conflict = { code: "HOLDFAST_VERSION_CONFLICT", outcome: "not-applied", permanent: true };
    await expect(profiles().put(key, { name: "b" }, { ifVersion: "absent" })).rejects.toMatchObject({
      ...conflict,
      data: { expected: "absent", current: version },
    });
    await profiles().put(key, { name: "c" }, { ifVersion: version });
    for (const change of [
      () => profiles().put(key, { name: "d" }, { ifVersion: version }),
      () => profiles().patch(key, { name: "d" }, { ifVersion: version }),
      () => profiles().delete(key, { ifVersion: version }),
    ])
      await expect(change()).rejects.toMatchObject({
        ...conflict,
        data: { expected: version, current: version + 1 },
      });
    expect((await profiles().get(key))?.doc).toEqual({ name: "c" });
    await profiles().delete(key, { ifVersion: version + 1 });
    await expect(profiles().put(key, { name: "d" }, { ifVersion: version })).rejects.toMatchObject({
      ...conflict,
      data: { current: null },
    });
  });

  test("a patch merges, and what it makes has to fit the schema", async () => {
    const key = fresh();
    expect(await profiles().patch(key, { city: "Turin" })).toBeUndefined();
    const version = await profiles().put(key, { name: "ada", city: "London", tags: ["x"] });
    expect(await profiles().patch(key, { city: null, tags: ["y"] })).toEqual({
      key,
      doc: { name: "ada", tags: ["y"] },
      version: version + 1,
    });
    await expect(profiles().patch(key, { name: null })).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      message: expect.stringContaining("name: should be a string"),
    });
    expect((await profiles().get(key))?.version).toBe(version + 1);
  });

  test("edits that meet are all kept", async () => {
    const key = fresh();
    const visit = () =>
      profiles().edit(key, (doc) => ({ name: "ada", visits: (doc?.visits ?? 0) + 1 }), { attemptsMax: 50 });
    await Promise.all(Array.from({ length: 8 }, visit));
    expect((await profiles().get(key))?.doc.visits).toBe(8);
    const before = await profiles().get(key);
    expect(await profiles().edit(key, () => undefined)).toEqual(before);
  });

  test("an edit that always loses ends with the conflict", async () => {
    const key = fresh();
    await profiles().put(key, { name: "a" });
    let tried = 0;
    const losing = profiles().edit(
      key,
      async () => {
        tried++;
        await profiles().put(key, { name: "somebody else" });
        return { name: "me" };
      },
      { attemptsMax: 3 },
    );
    await expect(losing).rejects.toMatchObject({ code: "HOLDFAST_VERSION_CONFLICT" });
    expect(tried).toBe(3);
  });

  test("inside a transaction they commit with it, or not at all; a key of another shard is refused", async () => {
    const [key, other] = apart();
    const undo = db.at(key).write(async (tx) => {
      await profiles().put(key, { name: "a" }, { in: tx });
      expect((await profiles().get(key, { in: tx }))?.doc.name).toBe("a");
      expect((await profiles().patch(key, { city: "x" }, { in: tx }))?.doc.city).toBe("x");
      throw new Error("undo");
    });
    await expect(undo).rejects.toThrow("undo");
    expect(await profiles().get(key)).toBeUndefined();
    for (const use of [
      (tx: never) => profiles().put(other, { name: "b" }, { in: tx }),
      (tx: never) => profiles().get(other, { in: tx }),
      (tx: never) => profiles().getMany([key, other], { in: tx }),
    ])
      await expect(db.at(key).write((tx) => use(tx as never) as Promise<unknown>)).rejects.toMatchObject({
        code: "HOLDFAST_INPUT_INVALID",
        message: expect.stringContaining("the key is on shard"),
      });
  });

  test("pages of what contains a value, over all shards, are what filtering everything gives", async () => {
    const store = documents(db, "profile", { schema });
    await Promise.all(db.shards().map((shard) => shard.write((tx) => sql`delete from profile`.execute(tx))));
    const key = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 6 })
      .filter((text) => !text.includes("\0"));
    const twin = new Map<string, Profile>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, fc.constantFrom("x", "y"), fc.array(fc.constantFrom("a", "b"))), {
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 5 }),
        async (added, limit) => {
          for (const [one, city, tags] of added) {
            await store.put(one, { name: "n", city, tags });
            twin.set(one, { name: "n", city, tags });
          }
          const found: string[] = [];
          let after: string | undefined;
          do {
            const page = await store.find(
              { city: "x", tags: ["a"] },
              { limit, ...(after === undefined ? {} : { after }) },
            );
            found.push(...page.rows.map((row) => row.key));
            after = page.next;
          } while (after !== undefined);
          const expected = [...twin]
            .filter(([, doc]) => doc.city === "x" && doc.tags?.includes("a"))
            .map(([one]) => one);
          expect(found).toEqual(expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
        },
      ),
      { numRuns: 15 },
    );
  });

  test("the search by containment is served by the index of create_documents", async () => {
    const plan = await db.at("any").write(async (tx) => {
      await sql`set local enable_seqscan to off`.execute(tx);
      const { rows } = await sql<
        Record<string, string>
      >`explain select key from profile where doc @> '{"city": "x"}'`.execute(tx);
      return JSON.stringify(rows);
    });
    expect(plan).toContain("profile_doc");
  });

  test("bad input is refused by name, all at once, and never reaches the store", async () => {
    const store = documents(db, "profile", { schema: anything, bytesMax: 100 });
    for (const [act, says] of [
      [() => store.get(""), "key should not be empty"],
      [() => store.get(7 as never), "key should be a string, got number"],
      [() => store.get("x".repeat(2000)), "key should have at most 1024 bytes, got 2000"],
      [() => store.get("a\0b"), "no NUL character"],
      [() => store.getMany("k" as never), "keys should be a list of at most 10000, got string"],
      [() => store.getMany(Array.from({ length: 10_001 }, String)), "at most 10000, got 10001"],
      [() => store.put("k", 1n), "something that JSON can hold"],
      [() => store.put("k", undefined), "something that JSON can hold"],
      [() => store.put("k", "a\0b"), "NUL character or half a surrogate pair"],
      [() => store.put("k", "\ud800"), "NUL character or half a surrogate pair"],
      [() => store.put("k", "x".repeat(200)), "202 bytes as JSON, more than bytesMax (100)"],
      [() => store.put("k", 1, { ifVersion: 1.5 }), "ifVersion should be a version as it was read, got 1.5"],
      [
        () => store.find({}, { limit: 0, after: "a\0" }),
        "limit should be a whole number from 1 to 1000, got 0; after should be",
      ],
      [() => store.get("k", { level: "newest" as never }), "level should be one of"],
    ] as const)
      await expect(act()).rejects.toMatchObject({
        code: "HOLDFAST_INPUT_INVALID",
        message: expect.stringContaining(says),
      });
    await store.put("k", "\\u0000 is only text");
    expect((await store.get("k"))?.doc).toBe("\\u0000 is only text");
    expect(() =>
      documents(db, 'profile"; drop table profile; --', {
        schema: {} as never,
        bytesMax: 0,
        columns: { doc: "a b" },
      }),
    ).toThrow(
      /4 problems[\s\S]*table should be a plain name[\s\S]*bytesMax[\s\S]*Standard Schema[\s\S]*columns.doc/,
    );
  });

  test("SQL in keys, documents and searches is text", async () => {
    for (const evil of ["'; drop table profile; --", '"; select 1', "$1", "\\'; --", "{}' or true --"]) {
      await profiles().put(evil, { name: evil });
      expect((await profiles().get(evil))?.doc).toEqual({ name: evil });
      expect((await profiles().find({ name: evil })).rows.map((row) => row.key)).toEqual([evil]);
      await profiles().delete(evil);
    }
  });
});

describe("merge patch", () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const rfc: readonly [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  test("does what the RFC's own cases say", () => {
    for (const [target, patch, result] of rfc) expect(mergePatch(target, patch)).toEqual(result);
  });
  test("is told member by member: the patch's if it has one, else the target's", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), json), fc.dictionary(fc.string(), json), (target, patch) => {
        const merged = mergePatch(target, patch) as Record<string, unknown>;
        for (const name of new Set([...Object.keys(target), ...Object.keys(patch), ...Object.keys(merged)])) {
          const has = Object.hasOwn(patch, name);
          const mine = Object.hasOwn(target, name) ? target[name] : undefined;
          const expected = !has ? mine : patch[name] === null ? undefined : mergePatch(mine, patch[name]);
          expect(Object.hasOwn(merged, name) ? merged[name] : undefined).toEqual(expected);
        }
      }),
    );
  });
  test("twice is as once, and a member named __proto__ is only a member", () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const once = mergePatch(target, patch);
        expect(mergePatch(once, patch)).toEqual(once);
      }),
    );
    const merged = mergePatch({}, JSON.parse('{"__proto__": {"admin": true}}')) as { admin?: boolean };
    expect(merged.admin).toBeUndefined();
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"admin":true}}');
  });
});

describe("key-values", () => {
  test("set, get, compare and set, delete", async () => {
    const key = fresh();
    const store = settings();
    expect(await store.get(key)).toBeUndefined();
    expect(await store.compareAndSet(key, { expect: undefined, set: { a: 1, b: 2 } })).toBe(true);
    expect(await store.compareAndSet(key, { expect: undefined, set: "late" })).toBe(false);
    expect(await store.compareAndSet(key, { expect: { b: 2, a: 1 }, set: "next" })).toBe(true);
    expect(await store.compareAndSet(key, { expect: { b: 2, a: 1 }, set: "late" })).toBe(false);
    expect(await store.get(key)).toBe("next");
    await store.set(key, null);
    expect(await store.get(key)).toBeNull();
    expect([...(await store.getMany([key, "nobody"]))]).toEqual([[key, null]]);
    expect(await store.delete(key)).toBe(true);
    expect(await store.delete(key)).toBe(false);
  });

  test("of many that compare at once one wins", async () => {
    const key = fresh();
    const won = await Promise.all(
      Array.from({ length: 10 }, (_, n) => settings().compareAndSet(key, { expect: undefined, set: n })),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await settings().get(key)).toBe(won.indexOf(true));
  });

  test("what has expired is not there, may be set anew, and is swept", async () => {
    const [key, other] = apart();
    const store = settings();
    const expire = (one: string) =>
      db
        .at(one)
        .write((tx) =>
          sql`update setting set expires_at = now() - interval '1 second' where key = ${one} and expires_at > now()`.execute(
            tx,
          ),
        );
    for (const one of [key, other]) await store.set(one, "old", { ttlMs: 60_000 });
    expect(await store.get(key)).toBe("old");
    await expire(key);
    await expire(other);
    expect(await store.get(key)).toBeUndefined();
    expect((await store.getMany([key, other])).size).toBe(0);
    expect(await store.compareAndSet(key, { expect: "old", set: "x" })).toBe(false);
    expect(await store.compareAndSet(key, { expect: undefined, set: "new", ttlMs: 60_000 })).toBe(true);
    expect(await store.delete(other)).toBe(false);
    await store.set(other, "old", { ttlMs: 60_000 });
    await expire(other);
    expect(await store.sweep()).toBe(1);
    expect(await store.get(key)).toBe("new");
    await expect(store.set(key, 1, { ttlMs: 0 })).rejects.toThrow(
      "ttlMs should be a whole number from 1 to 315360000000, got 0",
    );
  });
});

describe("versions on any table", () => {
  test("an update for the current version raises it; for another it is refused", async () => {
    const owner = fresh();
    await db.at(owner).write((tx) => sql`insert into account values (${owner}, 5)`.execute(tx));
    const set = (version: number | string, cents: number) =>
      db
        .at(owner)
        .write((tx) => updateVersioned(tx, "account", { where: { owner }, version, set: { cents } }));
    expect(await set(1, 6)).toBe(2);
    expect(await set("2", 7)).toBe(3);
    await expect(set(1, 8)).rejects.toMatchObject({ data: { table: "account", expected: 1, current: 3 } });
    await db.at(owner).write((tx) => sql`delete from account where owner = ${owner}`.execute(tx));
    await expect(set(3, 8)).rejects.toThrow("Version 3 was expected, but it is gone.");
    await expect(
      db.at(owner).write((tx) =>
        updateVersioned(tx, "account; drop", {
          where: { "a.b": 1, c: null },
          version: -1,
          set: { version: 1 },
        }),
      ),
    ).rejects.toThrow(
      /table should be.*version should be a version.*"a\.b".*where\.c should be one value.*set should not have version/,
    );
  });

  test("retried conflicts stop at other errors", async () => {
    let tried = 0;
    await expect(
      retryConflicts(async () => {
        tried++;
        throw new Error("other");
      }),
    ).rejects.toThrow("other");
    expect(tried).toBe(1);
    await expect(retryConflicts(async () => 1, { attemptsMax: 0 })).rejects.toThrow("attemptsMax");
  });

  test("a version goes to an ETag and comes back; other If-Match is refused", () => {
    fc.assert(fc.property(fc.nat(), (version) => versionOfIfMatch(etagOf(version)) === version));
    expect(versionOfIfMatch(null)).toBeUndefined();
    for (const header of ["*", 'W/"1"', '"1", "2"', "1", '"a"', ""])
      expect(() => versionOfIfMatch(header)).toThrow("If-Match: it should be one ETag");
  });
});

describe("counters", () => {
  test("increments that meet lose nothing, and none passes the bound", async () => {
    const owner = fresh();
    await db.at(owner).write((tx) => sql`insert into account values (${owner}, 10)`.execute(tx));
    const take = () =>
      db
        .at(owner)
        .write((tx) => increment(tx, "account", { where: { owner }, column: "cents", by: -3, min: 0 }));
    const taken = await Promise.all(Array.from({ length: 8 }, take));
    expect(taken.filter((one) => one.ok).map((one) => one.value)).toHaveLength(3);
    expect(taken.find((one) => !one.ok)).toEqual({ ok: false, why: "bound", value: 1n });
    const add = (by: number | bigint, max?: bigint) =>
      db.at(owner).write((tx) =>
        increment(tx, "account", {
          where: { owner },
          column: "cents",
          by,
          ...(max === undefined ? {} : { max }),
        }),
      );
    expect(await add(2n ** 62n)).toEqual({ ok: true, value: 2n ** 62n + 1n });
    expect(await add(2n ** 62n, 2n ** 63n - 1n)).toMatchObject({ ok: false, why: "bound" });
    await expect(add(2n ** 62n)).rejects.toMatchObject({
      code: "HOLDFAST_SQL_ERROR",
      data: { sqlstate: "22003" },
    });
    expect(
      await db
        .at("nobody")
        .write((tx) => increment(tx, "account", { where: { owner: "nobody" }, column: "cents" })),
    ).toEqual({ ok: false, why: "absent" });
    await expect(
      db
        .at(owner)
        .write((tx) =>
          increment(tx, "account", { where: {}, column: "cents = 0 --", by: 0.5, min: 2, max: 1 }),
        ),
    ).rejects.toThrow(
      /column should be a plain name.*where should name.*by should be a whole number.*min 2 is above max 1/,
    );
  });

  test("a slotted counter sums to what was added, however many add at once", async () => {
    const [key, other] = apart();
    const hits = slottedCounter(db, "hits", { slots: 4 });
    await Promise.all(Array.from({ length: 40 }, (_, n) => hits.add(key, n % 2 ? 5 : -1)));
    await db.at(other).write((tx) => hits.add(other, 7, { in: tx }));
    expect(await hits.read(key)).toBe(80n);
    expect([...(await hits.readMany([key, other, "none"]))].sort()).toEqual(
      [
        [key, 80n],
        [other, 7n],
      ].sort(),
    );
    expect(await hits.read("none")).toBe(0n);
    expect(() => slottedCounter(db, "hits", { slots: 0 })).toThrow(
      "slots should be a whole number from 1 to 256, got 0",
    );
  });

  test("kept columns are verified and repaired over all shards", async () => {
    const owner = fresh();
    const { index } = db.at(owner);
    await db.at(owner).write(async (tx) => {
      await sql`insert into account (owner) values (${owner})`.execute(tx);
      await sql`insert into bill values (1, ${owner}), (2, ${owner})`.execute(tx);
    });
    expect(await verifyKept(db)).toEqual([]);
    await db.at(owner).write(async (tx) => {
      await sql`set local session_replication_role to replica`.execute(tx);
      await sql`update account set bills = 9 where owner = ${owner}`.execute(tx);
    });
    expect(await verifyKept(db)).toEqual([
      {
        shard: index,
        kind: "count",
        table: "account",
        column: "bills",
        key: { owner },
        kept: "9",
        expected: "2",
      },
    ]);
    expect(await repairKept(db)).toBe(1);
    expect(await verifyKept(db)).toEqual([]);
  });
});
