/** Reference tables on two real nodes: joined on each, written at home, copied whole, and honest about who is behind. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Kysely, sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { type Database, type DatabaseOptions, database, inWorld, World } from "../../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import { postgresDatabase } from "../database.ts";
import { migrateDatabase } from "../migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../nodes.ts";

interface Tables {
  order: { id: string; plan: string; country: string };
  region: { code: string; name: string };
  country: { code: string; name: string; region: string };
  plan: { id: string; name: string; cents: string; label?: string; features: unknown };
}

const regionFile = `
create table region (code text primary key, name text not null unique);
create table country (code text primary key, name text not null, region text not null references region);
create table plan (id text primary key, name text not null unique, cents bigint not null,
  label text generated always as (name || ' plan') stored, features jsonb, since timestamptz default now());
insert into region values ('eu', 'Europe'), ('as', 'Asia');
insert into country values ('de', 'Germany', 'eu'), ('jp', 'Japan', 'as');
`;
const orderFile = `
create table "order" (id text primary key, plan text not null, country text not null references country (code));`;

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let shop: Database<Tables>;
let world: World;
let folder: string;

const folderOf = async (name: string, files: Readonly<Record<string, string>>) => {
  await mkdir(join(folder, name), { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), text);
  return pathToFileURL(`${join(folder, name)}/`);
};
const declare = async (
  reference: string,
  more: Partial<DatabaseOptions["reference"]> = {},
  shards = orderFile,
) =>
  database<Tables>("shop", {
    shards: { count: 4 },
    nodes: 2,
    replicas: 0,
    migrations: await folderOf(`shards-${shards.length}`, { "001_order.sql": shards }),
    reference: {
      migrations: await folderOf(`reference-${reference.length}`, { "001_all.sql": reference }),
      tables: ["region", "country", "plan"],
      ...more,
    },
  });

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
  folder = await mkdtemp(join(tmpdir(), "hf-reference-"));
  shop = await declare(regionFile, { maxRows: 50, maxBytes: 4096 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "reference" });
  await migrateDatabase(shop, nodes);
  world = new World("reference", systemClock);
  world.bind(shop, postgresDatabase(shop, nodes, systemClock));
});
afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const within = <T>(run: () => Promise<T>) => inWorld(world, run);
const onEachNode = <T>(run: (db: Kysely<Tables>) => Promise<T>): Promise<T[]> =>
  Promise.all(
    [0, 1].map((shard) => (shop.shards()[shard] as ReturnType<typeof shop.at>).read("strong", run)),
  );
/** A key of the shard. */
const keyOn = (shard: number): string => {
  for (let n = 0; ; n++) if (shop.at(`k${n}`).index === shard) return `k${n}`;
};
/** What a node's own client sees. */
const bare = async <Row extends pg.QueryResultRow>(node: number, text: string): Promise<Row[]> => {
  const client = new pg.Client(postgres.config.nodes[node]?.primary);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
};

test("rows that the migrations bring are on each node, joined with a shard's in one statement", () =>
  within(async () => {
    for (const shard of shop.shards()) {
      await shard.write((tx) =>
        tx
          .insertInto("order")
          .values({ id: `o${shard.index}`, plan: "free", country: "jp" })
          .execute(),
      );
      const joined = await shard.read("strong", (db) =>
        db
          .selectFrom("order")
          .innerJoin("country", "country.code", "order.country")
          .innerJoin("region as r", "r.code", "country.region")
          .select(["order.id", "country.name", "r.name as region"])
          .execute(),
      );
      expect(joined).toEqual([{ id: `o${shard.index}`, name: "Japan", region: "Asia" }]);
    }
  }));

test("a write at home is on each node when it answers, as a whole version", () =>
  within(async () => {
    const written = await shop.reference.write(async (tx) => {
      await tx
        .insertInto("plan")
        .values([
          {
            id: "free",
            name: "Free",
            cents: "0",
            features: JSON.stringify({ seats: 1, tags: ["a", 'b"c\\', "ü"] }),
          },
          { id: "pro", name: "Pro", cents: "9007199254740993", features: null },
        ])
        .execute();
      await tx.updateTable("country").set({ name: "Deutschland" }).where("code", "=", "de").execute();
      return "done";
    });
    expect(written).toEqual({
      value: "done",
      version: expect.any(Number),
      current: ["node-1", "node-2"],
      behind: [],
    });
    const seen = await onEachNode(async (db) => ({
      plans: await db.selectFrom("plan").selectAll().orderBy("id").execute(),
      de: await db.selectFrom("country").select("name").where("code", "=", "de").executeTakeFirst(),
    }));
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]?.de).toEqual({ name: "Deutschland" });
    expect(seen[0]?.plans.map((plan) => [plan.id, plan.cents, plan.label])).toEqual([
      ["free", "0", "Free plan"],
      ["pro", "9007199254740993", "Pro plan"],
    ]);
    expect(seen[0]?.plans[0]?.features).toEqual({ seats: 1, tags: ["a", 'b"c\\', "ü"] });
  }));

test("rows that go, and unique values that change places, are copied too; rows that stay are not written again", () =>
  within(async () => {
    const before = await bare<{ xmin: string }>(1, "select xmin::text from ref.country where code = 'jp'");
    await shop.reference.write(async (tx) => {
      await tx.insertInto("country").values({ code: "xx", name: "Nowhere", region: "as" }).execute();
      await tx.updateTable("plan").set({ name: "between" }).where("id", "=", "free").execute();
      await tx.updateTable("plan").set({ name: "Free" }).where("id", "=", "pro").execute();
      await tx.updateTable("plan").set({ name: "Pro" }).where("id", "=", "free").execute();
    });
    const { behind } = await shop.reference.write((tx) =>
      tx.deleteFrom("country").where("code", "=", "xx").execute(),
    );
    expect(behind).toEqual([]);
    expect(await bare(1, "select code from ref.country order by code")).toEqual([
      { code: "de" },
      { code: "jp" },
    ]);
    expect(await bare(1, "select id, name from ref.plan order by id")).toEqual([
      { id: "free", name: "Pro" },
      { id: "pro", name: "Free" },
    ]);
    expect(await bare(1, "select xmin::text from ref.country where code = 'jp'")).toEqual(before);
  }));

test("a write that comes any other way is refused, on each node, and nothing of it is there", () =>
  within(async () => {
    for (const shard of shop.shards()) {
      const past = shard.write((tx) => tx.insertInto("region").values({ code: "zz", name: "Zz" }).execute());
      await expect(past).rejects.toMatchObject({ code: "HOLDFAST_SQL_ERROR", data: { sqlstate: "HF002" } });
      await expect(past).rejects.toThrow(/region is a reference table.*reference\.write\(\)/);
    }
    await expect(bare(1, "truncate ref.plan")).rejects.toThrow(/reference table/);
    expect(
      await onEachNode((db) => db.selectFrom("region").select("code").where("code", "=", "zz").execute()),
    ).toEqual([[], []]);
  }));

test("what fails at home is not applied anywhere, and raises no version", () =>
  within(async () => {
    const { version } = await shop.reference.settle();
    const mine = new Error("mine");
    await expect(shop.reference.write(() => Promise.reject(mine))).rejects.toBe(mine);
    const tooMany = shop.reference.write((tx) =>
      tx
        .insertInto("region")
        .values(Array.from({ length: 60 }, (_, i) => ({ code: `r${i}`, name: `Region ${i}` })))
        .execute(),
    );
    await expect(tooMany).rejects.toMatchObject({
      code: "HOLDFAST_REFERENCE_TOO_LARGE",
      outcome: "not-applied",
      data: { maxRows: 50 },
    });
    const tooLong = shop.reference.write((tx) =>
      tx
        .insertInto("region")
        .values({ code: "long", name: "x".repeat(5_000) })
        .execute(),
    );
    await expect(tooLong).rejects.toThrow(/bytes, and reference\.maxBytes allows 4096/);
    expect(await shop.reference.settle()).toEqual({ version, current: ["node-1", "node-2"], behind: [] });
  }));

test("with a key a write happens once, and answers with the version that it made", () =>
  within(async () => {
    const add = () =>
      shop.reference.write(
        (tx) =>
          tx
            .insertInto("region")
            .values({ code: "af", name: "Africa" })
            .returning("code")
            .executeTakeFirstOrThrow(),
        { idempotencyKey: "africa" },
      );
    const [first, again] = [await add(), await add()];
    expect(again).toEqual(first);
  }));

test("a node that is away is told to be behind; it goes on with what it had, and gets all of it when it is back", () =>
  within(async () => {
    const second = postgres.members.find((member) => member.name.includes("node-2"));
    await second?.kill();
    const written = await shop.reference.write((tx) =>
      tx.updateTable("region").set({ name: "Asia, all of it" }).where("code", "=", "as").execute(),
    );
    expect(written).toMatchObject({
      current: ["node-1"],
      behind: [
        {
          node: "node-2",
          why: expect.stringMatching(/HOLDFAST_UNAVAILABLE|HOLDFAST_CONNECTION_LOST|waiting/),
        },
      ],
    });
    await second?.restart();
    expect(await bare(1, "select name from ref.region where code = 'as'")).toEqual([{ name: "Asia" }]);
    const settled = await shop.reference.settle({ settleMs: 20_000 });
    expect(settled).toEqual({ version: written.version, current: ["node-1", "node-2"], behind: [] });
    expect(await bare(1, "select name from ref.region where code = 'as'")).toEqual([
      { name: "Asia, all of it" },
    ]);
  }));

test("a row that a shard of another node points at keeps that node behind, by its constraint's name, until it is free", () =>
  within(async () => {
    await shop.reference.write((tx) =>
      tx.insertInto("country").values({ code: "fr", name: "France", region: "eu" }).execute(),
    );
    const far = shop.at(keyOn(1)); // on node-2
    await far.write((tx) =>
      tx.insertInto("order").values({ id: "far", plan: "free", country: "fr" }).execute(),
    );
    const drop = () =>
      shop.reference.write((tx) => tx.deleteFrom("country").where("code", "=", "fr").execute());
    const { behind, version } = await drop();
    expect(behind).toEqual([
      {
        node: "node-2",
        why: "HOLDFAST_SQL_CONFLICT",
        message: expect.stringContaining("order_country_fkey"),
      },
    ]);
    expect(await bare(1, "select code from ref.country where code = 'fr'")).toEqual([{ code: "fr" }]);
    await far.write((tx) => tx.deleteFrom("order").where("id", "=", "far").execute());
    expect(await shop.reference.settle()).toEqual({ version, current: ["node-1", "node-2"], behind: [] });
    expect(await bare(1, "select code from ref.country where code = 'fr'")).toEqual([]);
  }));

test("with nothing to wait for the answer says who has it so far; settle says when all have", () =>
  within(async () => {
    const written = await shop.reference.write(
      (tx) => tx.updateTable("region").set({ name: "Europa" }).where("code", "=", "eu").execute(),
      { settleMs: 0 },
    );
    expect(written.current[0]).toBe("node-1");
    expect(written.current.length + written.behind.length).toBe(2);
    expect((await shop.reference.settle({ settleMs: 20_000 })).behind).toEqual([]);
    expect(await bare(1, "select name from ref.region where code = 'eu'")).toEqual([{ name: "Europa" }]);
  }));

test("whoever reads beside many writes sees whole versions only, on each node", () =>
  within(async () => {
    await shop.reference.write(async (tx) => {
      await tx.deleteFrom("plan").execute();
      for (const id of ["a", "b", "c"])
        await tx.insertInto("plan").values({ id, name: id, cents: "0", features: null }).execute();
    });
    let writing = true;
    const torn: unknown[] = [];
    const reader = async (shard: number) => {
      while (writing) {
        const rows = await (shop.shards()[shard] as ReturnType<typeof shop.at>).read("strong", (db) =>
          db.selectFrom("plan").select(["id", "cents"]).execute(),
        );
        if (new Set(rows.map((row) => row.cents)).size !== 1 || rows.length !== 3) torn.push(rows);
      }
    };
    const reading = [reader(0), reader(1)];
    for (let round = 1; round <= 15; round++) {
      await Promise.all([
        shop.reference.write((tx) =>
          tx
            .updateTable("plan")
            .set({ cents: String(round) })
            .execute(),
        ),
        shop.reference.settle(),
      ]);
    }
    writing = false;
    await Promise.all(reading);
    expect(torn).toEqual([]);
    expect(await bare(1, "select distinct cents from ref.plan")).toEqual([{ cents: "15" }]);
  }));

test("a session that wrote sees it on each node", () =>
  within(async () => {
    using call = new Call(systemClock, { timeoutMs: 20_000 });
    await inCall(call, async () => {
      await shop.reference.write((tx) => tx.updateTable("plan").set({ cents: "77" }).execute());
      for (const shard of shop.shards())
        expect(await shard.read((db) => db.selectFrom("plan").select("cents").distinct().execute())).toEqual([
          { cents: "77" },
        ]);
    });
  }));

test("raw SQL, a common table expression and an alias with a reference table's name mean what they say", () =>
  within(async () => {
    const [raw, cte, alias] = await shop.at(keyOn(1)).read("strong", async (db) => [
      (await sql<{ n: number }>`select count(*)::int as n from country`.execute(db)).rows[0]?.n,
      await db
        .with("plan", (eb) => eb.selectFrom("country").select("country.code as id").where("code", "=", "de"))
        .selectFrom("plan")
        .select("id")
        .execute(),
      await db.selectFrom("order as country").select("country.id").execute(),
    ]);
    expect(raw).toBe(2);
    expect(cte).toEqual([{ id: "de" }]);
    expect(alias).toEqual([{ id: "o1" }]);
  }));

test("tables that cannot be copied as declared are refused by the migration, all problems at once", async () => {
  const open = async (
    text: string,
    more: Partial<DatabaseOptions["reference"]>,
    shards = "create table x (id int);",
  ) => {
    const declaration = await declare(text, more, shards);
    const config = await postgres.freshDatabase();
    const own = openDatabaseNodes(config, { clock: systemClock, applicationName: "reference" });
    try {
      await migrateDatabase(declaration, own);
    } finally {
      await own.close();
    }
  };
  const bad = open("create table region (code text); create table extra (id int primary key);", {
    tables: ["region", "country"],
  });
  await expect(bad).rejects.toMatchObject({ code: "HOLDFAST_MIGRATION_INVALID" });
  await expect(bad).rejects.toThrow(/names "country", which the migrations do not make/);
  await expect(bad).rejects.toThrow(/make "extra", which reference\.tables does not name/);
  await expect(bad).rejects.toThrow(/"region" has no primary key/);
  await expect(
    open(
      `create table a (id int primary key, b int); create table b (id int primary key, a int references a);
       alter table a add foreign key (b) references b;`,
      { tables: ["a", "b"] },
    ),
  ).rejects.toThrow(/point in a circle/);
  await expect(
    open("create table plan (id int primary key);", { tables: ["plan"] }, "create table plan (id text);"),
  ).rejects.toThrow(/"plan" is a reference table and a table of the shards/);
  const failing = open("create table plan (id int primary key); select nonsense;", { tables: ["plan"] });
  await expect(failing).rejects.toMatchObject({
    code: "HOLDFAST_MIGRATION_FAILED",
    data: { sqlstate: "42703" },
  });
});

test("what was declared wrong is refused at once, with every problem", async () => {
  const declared = () =>
    database("shop", {
      reference: {
        migrations: "./reference/" as never,
        tables: ["Plan", "a; drop table b", "holdfast_version", "ok", "ok"],
        maxRows: 0,
        maxBytes: 1 << 30,
      },
    });
  expect(declared).toThrow(/reference\.migrations should be a URL/);
  expect(declared).toThrow(/"Plan": use 1 to 63 lowercase/);
  expect(declared).toThrow(/"a; drop table b": use/);
  expect(declared).toThrow(/holdfast_version": names that begin with holdfast_/);
  expect(declared).toThrow(/names a table twice/);
  expect(declared).toThrow(/maxRows should be a whole number from 1 to 100000, got 0/);
  expect(declared).toThrow(/maxBytes should be/);
  await within(async () => {
    await expect(shop.reference.settle({ settleMs: -1 })).rejects.toThrow(/settleMs should be/);
    const none = database("none");
    world.bind(none, postgresDatabase(shop, nodes, systemClock));
    await expect(none.reference.settle()).rejects.toThrow(/declares no reference tables/);
  });
});
