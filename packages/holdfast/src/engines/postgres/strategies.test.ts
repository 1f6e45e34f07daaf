/** Strategies on real servers: `holds_key` is the twin of the TypeScript, and a directory agrees with itself. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { KeyPart, ShardOptions } from "../../parts/database/index.ts";
import { type Database, database, inWorld, World } from "../../parts/index.ts";
import { firstShardMap, keyText } from "../../placement/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

interface Tables {
  owner: { name: string };
  thing: { owner: string; number: number };
}

let postgres: TestPostgres;
let folder: string;
const opened: DatabaseNodes[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
  folder = await mkdtemp(join(tmpdir(), "hf-strategies-"));
});
afterAll(async () => {
  await Promise.all(opened.map((nodes) => nodes.close()));
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A database of its own with `migration` on each shard, in a world of its own. */
async function open(shards: ShardOptions, migration = "select 1;") {
  const own = await mkdtemp(join(folder, "m-"));
  await writeFile(join(own, "001_tables.sql"), migration);
  const handle: Database<Tables> = database("placed", {
    migrations: pathToFileURL(`${own}/`),
    shards,
    nodes: 2,
    replicas: 0,
  });
  const { strategy, shardCount } = handle.options;
  const fresh = await postgres.freshDatabase();
  const config = { ...fresh, shardMap: firstShardMap(strategy, ["node-1", "node-2"], shardCount) };
  const process = () => {
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "strategies" });
    opened.push(nodes);
    const world = new World("strategies", systemClock);
    world.bind(handle, postgresDatabase(handle, nodes, systemClock));
    return { nodes, world };
  };
  const { nodes, world } = process();
  await migrateDatabase(handle, nodes);
  return { handle, nodes, world, process, config, folder: own };
}

const text = fc
  .string({ unit: "binary", minLength: 1, maxLength: 12 })
  .map((key) => key.replaceAll("\0", "0"))
  .filter((key) => key.isWellFormed());
const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** Shards whose `holds_key` says yes, by the SQL of each. */
async function holders(handle: Database<Tables>, call: (schema: string) => ReturnType<typeof sql>) {
  const answers = await Promise.all(
    handle.shards().map((shard) =>
      shard.read("strong", async (db) => {
        const { rows } = await sql<{ held: boolean }>`select ${call(`s${shard.index}`)} as held`.execute(db);
        return rows[0]?.held ? [shard.index] : [];
      }),
    ),
  );
  return answers.flat();
}

test("text beyond U+FFFF, separators and numbers in composite keys have the same text in SQL", async () => {
  const { handle, world } = await open({ by: "hash", count: 2 });
  await inWorld(world, () =>
    fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 8 }), async (parts) => {
        const found = await handle
          .shards()[0]
          ?.read("strong", (db) =>
            sql<{ key: string }>`select holdfast.key_text(variadic ${parts}::text[]) as key`.execute(db),
          );
        expect(found?.rows[0]?.key).toBe(keyText(parts));
      }),
      { numRuns: 60 },
    ),
  );
});

test("by hash, one shard holds a key of any parts: the one that at(key) finds", async () => {
  const part = fc.oneof(text, integer);
  for (const keyParts of [undefined, 1, 2]) {
    const { handle, world } = await open({ by: "hash", count: 3, ...(keyParts ? { keyParts } : {}) });
    await inWorld(world, () =>
      fc.assert(
        fc.asyncProperty(fc.array(part, { minLength: 2, maxLength: 4 }), async (parts) => {
          const { index } = handle.at(parts);
          const texts = parts.map(String);
          expect(await holders(handle, () => sql`holds_key(variadic ${texts}::text[])`)).toEqual([index]);
          if (keyParts === 1) expect(handle.at(parts[0] as KeyPart).index).toBe(index);
          const [a, b] = parts;
          if (parts.length !== 2) return;
          const typed = (value: KeyPart | undefined) =>
            typeof value === "bigint" ? sql`${String(value)}::bigint` : sql`${value}::text`;
          expect(await holders(handle, () => sql`holds_key(${typed(a)}, ${typed(b)})`)).toEqual([index]);
        }),
        { numRuns: 30 },
      ),
    );
  }
});

test("by range, text and integers are held where at(key) looks for them, and between finds their shards", async () => {
  const texts = await open({
    by: "range",
    of: "text",
    bounds: ["'); drop schema s0 cascade; --", "\\", "É", "m", "\u{ffff}", "🐢"].sort(byBytes),
  });
  const numbers = await open({ by: "range", of: "integer", bounds: [-5, 0, "9007199254740993", 2n ** 62n] });
  const check = (opened: typeof texts, keys: fc.Arbitrary<KeyPart>, type: "text" | "bigint") =>
    inWorld(opened.world, () =>
      fc.assert(
        fc.asyncProperty(keys, keys, async (one, other) => {
          const { handle } = opened;
          const { index } = handle.at(one);
          const literal = sql`${String(one)}::${sql.raw(type)}`;
          expect(await holders(handle, () => sql`holds_key(${literal})`)).toEqual([index]);
          expect(await holders(handle, () => sql`holds_key(${literal}, 'more')`)).toEqual([index]);
          expect(handle.at([one, "more"]).index).toBe(index);
          const [from, to] = index <= handle.at(other).index ? [one, other] : [other, one];
          const span = handle.between(from, to).map((shard) => shard.index);
          expect(span[0]).toBe(handle.at(from).index);
          expect(span.at(-1)).toBe(handle.at(to).index);
          expect(span).toEqual(span.map((_, i) => (span[0] as number) + i));
        }),
        { numRuns: 40 },
      ),
    );
  await check(texts, fc.oneof(text, fc.constantFrom("É", "m", "\u{ffff}", "🐢", "l", "mm")), "text");
  await check(
    numbers,
    fc.oneof(integer, fc.constantFrom(-5, -6, 0, -1, 2n ** 53n + 1n, 2 ** 53 - 1)),
    "bigint",
  );
  await inWorld(numbers.world, async () => {
    expect(numbers.handle.between(null, null).length).toBe(5);
    expect(() => numbers.handle.between(5, -7)).toThrow(/other order/);
  });
});

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const tables = `create table owner (name text primary key check (holds_key(name)));
create table thing (owner text not null references owner check (holds_key(owner)), number int not null);`;

test("tables by the same key are on one shard: they join, and foreign keys hold", async () => {
  for (const shards of [
    { by: "hash", count: 4 },
    { by: "range", of: "text", bounds: ["g", "p"] },
    { by: "directory", groups: { eu: 2, us: 2 } },
  ] as const) {
    const { handle, world } = await open(shards, tables);
    await inWorld(world, async () => {
      for (const [index, name] of ["ada", "grace", "zoe"].entries()) {
        if (shards.by === "directory") await handle.assign(name, { group: index === 1 ? "us" : "eu" });
        await handle.at(name).write(async (tx) => {
          await tx.insertInto("owner").values({ name }).execute();
          await tx.insertInto("thing").values({ owner: name, number: index }).execute();
        });
        const joined = await handle
          .at(name)
          .read("strong", (db) =>
            db
              .selectFrom("owner")
              .innerJoin("thing", "thing.owner", "owner.name")
              .select(["owner.name", "thing.number"])
              .where("owner.name", "=", name)
              .execute(),
          );
        expect(joined).toEqual([{ name, number: index }]);
        const other = handle.shards().find((shard) => shard.index !== handle.at(name).index);
        const strayed = other?.write((tx) => tx.insertInto("owner").values({ name }).execute());
        await expect(strayed).rejects.toMatchObject({ data: { sqlstate: "23514" } });
      }
    });
  }
});

test("groups of a directory have nodes of their own, and keys stay in their group", async () => {
  const { handle, world, config } = await open({ by: "directory", groups: { eu: 3, us: 2 } }, tables);
  expect(config.shardMap.shards).toEqual(["node-1", "node-1", "node-1", "node-2", "node-2"]);
  await inWorld(world, async () => {
    const placed = await handle.assign("tenant-1", { group: "us" });
    expect(placed.group).toBe("us");
    expect([3, 4]).toContain(placed.shard);
    expect(await handle.assign("tenant-1", { group: "us" })).toEqual(placed);
    expect(await handle.assign(["tenant-1", 42], { shard: placed.shard })).toEqual(placed);
    expect(await handle.at(["tenant-1", 42]).locate()).toBe(placed.shard);
  });
});

test("whoever assigns a key at the same time is answered alike, and another wish is refused", async () => {
  const { handle, process } = await open({ by: "directory", groups: { eu: 8, us: 8 } }, tables);
  const worlds = [process().world, process().world, process().world];
  const wishes = worlds.flatMap((world, index) =>
    [0, 1].map((nth) => inWorld(world, () => handle.assign("wanted", { shard: index * 2 + nth }))),
  );
  const settled = await Promise.allSettled(wishes);
  const granted = settled.filter((one) => one.status === "fulfilled");
  expect(granted.length).toBe(1);
  const shard = (granted[0] as PromiseFulfilledResult<{ shard: number }>).value.shard;
  for (const one of settled) {
    if (one.status === "rejected")
      expect(one.reason).toMatchObject({
        code: "HOLDFAST_KEY_ASSIGNED",
        outcome: "not-applied",
        data: { shard },
      });
  }
  for (const world of worlds) {
    const located = await inWorld(world, () => handle.at("wanted").locate());
    expect(located).toBe(shard);
  }
});

test("an assignment that was cut short is no place for rows, and is completed by the next", async () => {
  const { handle, nodes, world, process } = await open({ by: "directory", groups: { all: 4 } }, tables);
  await nodes.primary(nodes.home).use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text: "insert into holdfast.directory (key, shard) values ('half', 3)" });
    await session.send({ text: "commit" });
  });
  await inWorld(world, async () => {
    const write = () =>
      handle.at("half").write((tx) => tx.insertInto("owner").values({ name: "half" }).execute());
    await expect(write()).rejects.toMatchObject({ code: "HOLDFAST_KEY_UNASSIGNED", outcome: "not-applied" });
    expect(await handle.assign("half")).toEqual({ shard: 3, group: "all" });
    await write();
  });
  const other = process().world;
  const rows = await inWorld(other, () =>
    handle.at("half").read("strong", (db) => db.selectFrom("owner").selectAll().execute()),
  );
  expect(rows).toEqual([{ name: "half" }]);
});

test("a key that was never assigned is refused, with what to do, and so is what is no key", async () => {
  const { handle, world } = await open({ by: "directory", groups: { eu: 1, us: 1 } }, tables);
  await inWorld(world, async () => {
    await expect(
      handle.at("nobody").read((db) => db.selectFrom("owner").selectAll().execute()),
    ).rejects.toThrow(/"nobody" is not in its directory. Call `assign`/);
    expect(() => handle.at("nobody").index).toThrow(/locate/);
    await expect(handle.assign("x")).rejects.toThrow(/group has to be said.*eu, us/);
    await expect(handle.assign("x", { group: "mars'; drop table owner; --" })).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
    });
    await expect(handle.assign("x", { group: "eu", shard: 1 })).rejects.toThrow(/from 0 to 0/);
    const evil = "x'); drop table holdfast.directory; --";
    expect(await handle.assign(evil, { group: "us" })).toEqual({ shard: 1, group: "us" });
    await handle.at(evil).write((tx) => tx.insertInto("owner").values({ name: evil }).execute());
    expect(() => handle.at("")).toThrow(/should not be empty/);
  });
});

test("with the directory's home away, keys that were met work and others are not applied", async () => {
  const { handle, world } = await open({ by: "directory", groups: { eu: 2, us: 2 } }, tables);
  await inWorld(world, async () => {
    await handle.assign("met", { group: "us" });
    await handle.assign("unmet", { group: "us" });
    await handle.at("met").write((tx) => tx.insertInto("owner").values({ name: "met" }).execute());
  });
  const home = postgres.members[0];
  await home?.pause();
  try {
    await inWorld(world, () =>
      inCall(new Call(systemClock, { timeoutMs: 5_000 }), async () => {
        const rows = await handle
          .at("met")
          .read("strong", (db) => db.selectFrom("owner").selectAll().execute());
        expect(rows).toEqual([{ name: "met" }]);
      }),
    );
    const late = inCall(new Call(systemClock, { timeoutMs: 500 }), () =>
      inWorld(world, () => handle.at("never-met").locate()),
    );
    await expect(late).rejects.toMatchObject({ outcome: "not-applied" });
  } finally {
    await home?.resume();
  }
});

test("route runs where the key says: reads as reads, writes as writes, several keys wherever they are", async () => {
  const { handle, world } = await open(
    { by: "hash", count: 4, keys: { owner: "name", thing: "owner" } },
    tables,
  );
  await inWorld(world, async () => {
    const names = ["ada", "grace", "alan", "edsger", "barbara"];
    for (const name of names) {
      const { affected, shards } = await handle.route((db) => db.insertInto("owner").values({ name }));
      expect([affected, shards]).toEqual([1, [handle.at(name).index]]);
      await handle.route((db) => db.insertInto("thing").values({ owner: name, number: name.length }));
    }
    const joined = await handle.route("strong", (db) =>
      db
        .selectFrom("owner")
        .innerJoin("thing", "thing.owner", "owner.name")
        .select(["owner.name", "thing.number"])
        .where("owner.name", "in", [...names, "nobody"]),
    );
    expect(joined.rows.map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(joined.shards.length).toBeGreaterThan(1);
    const counted = handle.route((db) =>
      db
        .selectFrom("thing")
        .select(({ fn }) => fn.countAll().as("n"))
        .where("owner", "in", names),
    );
    await expect(counted).rejects.toMatchObject({
      code: "HOLDFAST_UNROUTABLE",
      outcome: "not-applied",
      permanent: true,
    });
    const changed = { idempotencyKey: "once" };
    for (const _ of [1, 2]) {
      const again = await handle.route(changed, (db) =>
        db
          .updateTable("thing")
          .set((eb) => ({ number: eb("number", "+", 1) }))
          .where("owner", "=", "ada")
          .returning("number"),
      );
      expect(again).toMatchObject({ rows: [{ number: 4 }], affected: 1 });
    }
    const both = handle.route((db) => db.deleteFrom("thing").where("owner", "in", names));
    await expect(both).rejects.toThrow(/on shards .*write for each key by itself/);
    await expect(
      handle.route({ level: "eventual" }, (db) => db.deleteFrom("thing").where("owner", "=", "ada")),
    ).rejects.toThrow(/level is for reads/);
    await expect(
      handle.route({ idempotencyKey: "x" }, (db) =>
        db.selectFrom("owner").selectAll().where("name", "=", "ada"),
      ),
    ).rejects.toThrow(/idempotencyKey is for writes/);
    await expect(handle.route((db) => db.selectFrom("owner").selectAll())).rejects.toMatchObject({
      code: "HOLDFAST_UNROUTABLE",
      data: { table: "owner", column: "name" },
    });
    await expect(handle.route(() => sql`select 1` as never)).rejects.toThrow(/raw SQL is not looked into/);
    await expect(
      handle.route((db) =>
        db
          .selectFrom("owner")
          .selectAll()
          .where("name", "=", null as never),
      ),
    ).rejects.toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
    const evil = "x'; drop table owner; --";
    expect((await handle.route((db) => db.insertInto("owner").values({ name: evil }))).affected).toBe(1);
    expect((await handle.route((db) => db.deleteFrom("owner").where("name", "=", evil))).affected).toBe(1);
  });
});

test("route looks keys of a directory up, and by the first part where that decides", async () => {
  const directory = await open(
    { by: "directory", groups: { eu: 2, us: 2 }, keys: { owner: "name", thing: "owner" } },
    tables,
  );
  await inWorld(directory.world, async () => {
    const { handle } = directory;
    const { shard } = await handle.assign("ada", { group: "us" });
    const { shards } = await handle.route((db) => db.insertInto("owner").values({ name: "ada" }));
    expect(shards).toEqual([shard]);
    await expect(
      handle.route((db) => db.selectFrom("owner").selectAll().where("name", "=", "nobody")),
    ).rejects.toMatchObject({ code: "HOLDFAST_KEY_UNASSIGNED" });
  });
  const tenants = await open(
    { by: "hash", count: 4, keyParts: 1, keys: { thing: ["owner", "number"] } },
    "create table thing (owner text, number int, primary key (owner, number), check (holds_key(owner, number)));",
  );
  await inWorld(tenants.world, async () => {
    const { handle } = tenants;
    for (const number of [1, 2, 3])
      await handle.route((db) => db.insertInto("thing").values({ owner: "t", number }));
    const { rows, shards } = await handle.route((db) =>
      db
        .selectFrom("thing")
        .select(({ fn }) => fn.countAll().as("n"))
        .where("owner", "=", "t"),
    );
    expect([rows, shards]).toEqual([[{ n: "3" }], [handle.at("t").index]]);
  });
});

test("a declaration that places rows in another way than they were is refused before anything is done", async () => {
  const { nodes, folder: own } = await open({ by: "hash", count: 4 }, tables);
  const options = { migrations: pathToFileURL(`${own}/`), replicas: 0 };
  for (const shards of [
    { by: "hash", count: 4, keyParts: 1 },
    { by: "range", of: "text", bounds: ["a", "b", "c"] },
    { by: "directory", groups: { all: 4 } },
  ] as const) {
    await expect(migrateDatabase(database("placed", { ...options, shards }), nodes)).rejects.toMatchObject({
      code: "HOLDFAST_OPTIONS_INVALID",
      outcome: "not-applied",
    });
  }
});
