/** Readers that share a session get their own answers, and never hold each other up for long. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { type Database, database, inWorld, World } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

interface Tables {
  note: { id: number; text: string };
  held: { id: number };
  slow: { done: string };
}

const poolSize = 4;
let postgres: TestPostgres;
let nodes: DatabaseNodes;
let notes: Database<Tables>;
let world: World;
let folder: string;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1 });
  folder = await mkdtemp(join(tmpdir(), "hf-shared-"));
  await writeFile(
    join(folder, "001_note.sql"),
    `create table note (id int primary key, text text not null);
     insert into note select n, 'note ' || n from generate_series(1, 100) n;
     create table held (id int primary key);
     create view slow as select pg_sleep(0.3)::text as done;`,
  );
  notes = database<Tables>("notes", { migrations: pathToFileURL(folder), shards: { count: 1 }, replicas: 0 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "shared", poolSize });
  await migrateDatabase(notes, nodes);
  world = new World("shared", systemClock);
  world.bind(notes, postgresDatabase(notes, nodes, systemClock));
});

afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const read = <T>(run: (db: Kysely<Tables>) => Promise<T>) =>
  inWorld(world, () => notes.at("any").read("eventual", run));
const note = (id: number) =>
  read((db) => db.selectFrom("note").select("text").where("id", "=", id).executeTakeFirst());
const primary = () => nodes.primary(nodes.home);

test("quick readers are more than sessions, and each gets its own answer", async () => {
  for (let i = 0; i < 3; i++) await note(1);
  const ids = Array.from({ length: 50 }, (_, i) => i + 1);
  let leasedMost = 0;
  const answers = await Promise.all(
    ids.map(async (id) => {
      const asked = note(id);
      const { leased } = primary().load;
      leasedMost = Math.max(leasedMost, leased);
      // Between two statements of one read others take their turns on the session.
      const twice = await read(async (db) => {
        const first = await db.selectFrom("note").select("text").where("id", "=", id).executeTakeFirst();
        const second = await db
          .selectFrom("note")
          .select("id")
          .where("text", "=", first?.text ?? "")
          .execute();
        return second.map((row) => row.id);
      });
      return [(await asked)?.text, twice];
    }),
  );
  expect(answers).toEqual(ids.map((id) => [`note ${id}`, [id]]));
  expect(leasedMost).toBeLessThanOrEqual(poolSize);
});

test("a statement that is not known to be quick is on a session of its own", async () => {
  for (let i = 0; i < 2; i++) await note(1);
  // Twice: also once it is prepared, it is known to be slow.
  for (let i = 0; i < 2; i++) {
    const order: string[] = [];
    const quick = note(2);
    const slow = read((db) => db.selectFrom("slow").select("done").execute()).then(() => order.push("slow"));
    await quick;
    for (let n = 0; n < 5; n++) await note(n + 1);
    order.push("quick");
    await slow;
    expect(order).toEqual(["quick", "slow"]);
  }
});

test("SQL of the user's own among quick readers leaves no path behind for them", async () => {
  for (let i = 0; i < 3; i++) await note(1);
  const ids = Array.from({ length: 60 }, (_, i) => i + 1);
  const answers = await Promise.all(
    ids.map((id) =>
      id % 3 === 0
        ? read(async (db) => {
            const both = [
              sql<{ text: string }>`select text from note where id = ${id}`.execute(db),
              db.selectFrom("note").select("text").where("id", "=", id).execute(),
            ] as const;
            const [raw, built] = await Promise.all(both);
            return raw.rows[0]?.text === built[0]?.text ? raw.rows[0] : undefined;
          })
        : note(id),
    ),
  );
  expect(answers.map((answer) => answer?.text)).toEqual(ids.map((id) => `note ${id}`));
});

test("one that gives up ends alone, and what it does afterwards reaches nobody's session", async () => {
  const held = (db: Kysely<Tables>) => db.selectFrom("held").select("id").execute();
  for (let i = 0; i < 3; i++) {
    await note(1);
    await read(held);
  }
  const blocker = await primary().lease({ untilMs: Number.POSITIVE_INFINITY, call: undefined });
  const later = Promise.withResolvers<unknown>();
  try {
    await blocker.send({ text: "begin read write" });
    await blocker.send({ text: "lock table s0.held in access exclusive mode" });
    using call = new Call(systemClock, { timeoutMs: 150 });
    const given = await inCall(call, () =>
      read(async (db) => {
        await db.selectFrom("note").select("text").where("id", "=", 1).execute();
        try {
          return await held(db);
        } finally {
          later.resolve(
            db
              .selectFrom("note")
              .select("text")
              .where("id", "=", 1)
              .execute()
              .catch((error: unknown) => error),
          );
        }
      }),
    ).catch((error: unknown) => error);
    expect(given).toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
    // Others are answered meanwhile.
    expect((await note(3))?.text).toBe("note 3");
    await blocker.send({ text: "rollback" });
    expect(await later.promise).toMatchObject({ code: "HOLDFAST_TX_ENDED" });
    expect(await read(held)).toEqual([]);
  } finally {
    primary().release(blocker);
  }
  await until(() => primary().load.leased === 0);
});

test("with preparing switched off everything works the same, and nothing stays on the server", async () => {
  const plain = openDatabaseNodes(postgres.config, {
    clock: systemClock,
    applicationName: "plain",
    poolSize: 1,
    prepare: false,
  });
  try {
    // Declared with replicas, so that reads ask for their position as well.
    const tracked = database<Tables>("notes", { shards: { count: 1 }, replicas: 1 });
    const plainWorld = new World("plain", systemClock);
    plainWorld.bind(tracked, postgresDatabase(tracked, plain, systemClock));
    await inWorld(plainWorld, async () => {
      using call = new Call(systemClock, { timeoutMs: 10_000 });
      await inCall(call, async () => {
        for (let i = 0; i < 3; i++) {
          await tracked.at("any").write((tx) =>
            tx
              .insertInto("note")
              .values({ id: 200 + i, text: "plain" })
              .execute(),
          );
          const row = await tracked.at("any").read((sql) =>
            sql
              .selectFrom("note")
              .select("text")
              .where("id", "=", 200 + i)
              .executeTakeFirst(),
          );
          expect(row?.text).toBe("plain");
        }
        expect(call.session.get(plain.home)?.read).toBeDefined();
      });
    });
    const { rows } = await plain
      .primary(plain.home)
      .use((session) => session.send({ text: "select count(*)::int as n from pg_prepared_statements" }));
    expect(rows).toEqual([{ n: 0 }]);
  } finally {
    await plain.close();
  }
});

test("one that gives up while it waits for a session of its own leaves the shared one to the others", async () => {
  const single = openDatabaseNodes(postgres.config, {
    clock: systemClock,
    applicationName: "single",
    poolSize: 1,
  });
  const alone = new World("single", systemClock);
  alone.bind(notes, postgresDatabase(notes, single, systemClock));
  const one = (id: number, db: Kysely<Tables>) =>
    db.selectFrom("note").select("text").where("id", "=", id).executeTakeFirst();
  try {
    await inWorld(alone, async () => {
      const reading = <T>(run: (db: Kysely<Tables>) => Promise<T>) => notes.at("any").read("eventual", run);
      for (let i = 0; i < 3; i++) await reading((db) => one(1, db));
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const holder = reading(async (db) => {
        await one(1, db);
        begun.resolve();
        await gate.promise;
        return await one(2, db);
      });
      await begun.promise;
      using call = new Call(systemClock, { timeoutMs: 150 });
      const waiting = inCall(call, () => reading((db) => sql`select text from note`.execute(db)));
      await expect(waiting).rejects.toMatchObject({ outcome: "not-applied" });
      // The only session is still the holder's: nobody else was given it.
      expect(single.primary(single.home).load).toMatchObject({ leased: 1, idle: 0 });
      gate.resolve();
      expect((await holder)?.text).toBe("note 2");
    });
  } finally {
    await single.close();
  }
});

test("nobody joins a session of a server that the pool has left, nor of a pool that is closing", async () => {
  const left = openDatabaseNodes(postgres.config, {
    clock: systemClock,
    applicationName: "left",
    poolSize: 2,
  });
  const pool = left.primary(left.home);
  const patience = { untilMs: Number.POSITIVE_INFINITY, call: undefined };
  try {
    const first = await pool.shared.take(patience, "");
    expect(await pool.shared.take(patience, "")).toBe(first);
    // The same address here; the pool cannot know that.
    pool.pointAt(pool.endpoint);
    const second = await pool.shared.take(patience, "");
    expect(second.session).not.toBe(first.session);
    for (const shared of [first, first, second]) pool.shared.give(shared);
    const last = await pool.shared.take(patience, "");
    const closed = left.close();
    await expect(pool.shared.take(patience, "")).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
    pool.shared.give(last);
    await closed;
  } finally {
    await left.close();
  }
});
