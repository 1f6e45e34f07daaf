/**
 * The cache in front of a database whose replica lags: real servers, replay paused. The lag is confirmed before
 * anything is concluded from it.
 */
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, HoldfastError, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { cache, database, inWorld, World } from "../../parts/index.ts";
import { freePort, startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresInvalidationBus } from "../postgres/bus.ts";
import type { DatabaseConfig } from "../postgres/config.ts";
import { postgresDatabase } from "../postgres/database.ts";
import { installFramework } from "../postgres/install.ts";
import { migrateDatabase } from "../postgres/migrate.ts";
import { openDatabaseNodes } from "../postgres/nodes.ts";
import { memoryCache } from "./cache.ts";

interface Tables {
  link: { code: string; url: string };
}
const links = database<Tables>("links", { shards: { count: 4 } });
const hot = cache("hot", { ttlMs: 600_000, staleMs: 600_000, busBoundMs: 60_000 });

/** Refuses rather than answering what may be old. */
const strict = cache("strict", { ttlMs: 600_000, staleMs: 0, busBoundMs: 200 });

let postgres: TestPostgres;
let replica: pg.Client;
const opened: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1 });
  const [node] = postgres.config.nodes;
  replica = new pg.Client({ ...node?.replicas[0] });
  await replica.connect();
});
afterAll(async () => {
  for (const close of opened.reverse()) await close();
  await replica?.end();
  await postgres?.stop();
});

/** A process of the system: its own world, pools, bus connection and caches. */
function openProcess(name: string, busConfig: Pick<DatabaseConfig, "nodes"> = postgres.config): World {
  const clock = systemClock;
  const world = new World(name, clock);
  const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: name });
  const bus = postgresInvalidationBus({ config: busConfig }, clock);
  for (const part of [hot, strict]) {
    const engine = memoryCache(part, { bus, clock, seam: world.seam });
    world.bind(part, engine);
    opened.push(() => engine.close());
  }
  world.bind(links, postgresDatabase(links as never, nodes, clock));
  opened.push(
    () => nodes.close(),
    () => bus.close(),
  );
  return world;
}

const urlOf = (code: string) =>
  hot.get(code, () =>
    links.at(code).read(async (db) => {
      const row = await db.selectFrom("link").select("url").where("code", "=", code).executeTakeFirst();
      return row?.url;
    }),
  );

const change = (code: string, url: string) =>
  links.at(code).write(async (tx) => {
    await tx.updateTable("link").set({ url }).where("code", "=", code).execute();
    await hot.invalidate(code, { in: tx });
  });

async function pauseReplay(): Promise<void> {
  await replica.query("select pg_wal_replay_pause()");
  await until(
    async () => {
      const { rows } = await replica.query("select pg_get_wal_replay_pause_state() as state");
      return rows[0]?.state === "paused";
    },
    { what: "the pause of replay" },
  );
}

test("a replica that lags behind an invalidation does not bring the old value back", async () => {
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "setup" });
  await installFramework(nodes);
  await migrateDatabase(links as never, nodes);
  await nodes.close();
  const [here, there] = [openProcess("here"), openProcess("there")];
  await inWorld(here, async () => {
    await links.at("a").write(async (tx) => {
      await sql`create table link (code text primary key, url text not null)`.execute(tx);
      await sql`insert into link values ('a', 'old')`.execute(tx);
    });
  });
  await postgres.caughtUp();
  for (const world of [here, there]) expect(await inWorld(world, () => urlOf("a"))).toBe("old");

  await pauseReplay();
  await inWorld(here, () => change("a", "new"));
  // The fault works: the replica still has the old row.
  const stale = () =>
    inWorld(there, () =>
      links
        .at("a")
        .read("eventual", async (sql) => (await sql.selectFrom("link").select("url").execute())[0]?.url),
    );
  expect(await stale()).toBe("old");
  for (const world of [there, here]) {
    await until(async () => (await inWorld(world, () => urlOf("a"))) === "new", { what: "the new value" });
    // And it stays: nothing old was stored behind it.
    for (let i = 0; i < 20; i++) expect(await inWorld(world, () => urlOf("a"))).toBe("new");
  }
  expect(await stale()).toBe("old");

  // Within one call, a write is seen at once, before the bus has brought the word back.
  const call = new Call(systemClock);
  const seen = await inWorld(there, () =>
    inCall(call, async () => {
      await change("a", "newer");
      return urlOf("a");
    }),
  );
  expect(seen).toBe("newer");
  await replica.query("select pg_wal_replay_resume()");
});

test("nor does it where the invalidation was never heard, because it came before the process", async () => {
  const before = openProcess("before");
  await inWorld(before, async () => {
    await links
      .at("b")
      .write((tx) => sql`create table if not exists link (code text primary key, url text)`.execute(tx));
    await links.at("b").write((tx) => tx.insertInto("link").values({ code: "b", url: "old" }).execute());
  });
  await postgres.caughtUp();
  await pauseReplay();
  await inWorld(before, () => change("b", "new"));
  const after = openProcess("after");
  await until(() => inWorld(after, () => hot.stats().gaps > 0), {
    what: "the first contact with the bus",
  });
  // The fault works: the replica still has the old row.
  const eventually = await inWorld(after, () =>
    links
      .at("b")
      .read("eventual", (db) => db.selectFrom("link").select("url").where("code", "=", "b").execute()),
  );
  expect(eventually).toEqual([{ url: "old" }]);
  expect(await inWorld(after, () => urlOf("b"))).toBe("new");
  await replica.query("select pg_wal_replay_resume()");
});

test("nor while the bus is away, when nobody says what was invalidated: then the primary is asked, or nobody", async () => {
  // Reaches the servers, and no bus: nothing listens on a port that was free a moment ago.
  const port = await freePort();
  const nodes = postgres.config.nodes.map((node) => ({ ...node, primary: { ...node.primary, port } }));
  const deaf = openProcess("deaf", { nodes });
  const here = openProcess("here again");
  const textOf = () =>
    strict.get("c", () =>
      links
        .at("c")
        .read((db) => db.selectFrom("link").select("url").where("code", "=", "c").executeTakeFirst()),
    );
  await inWorld(here, async () => {
    await links
      .at("c")
      .write((tx) => sql`create table if not exists link (code text primary key, url text)`.execute(tx));
    await links.at("c").write((tx) => tx.insertInto("link").values({ code: "c", url: "old" }).execute());
  });
  await postgres.caughtUp();
  expect(await inWorld(deaf, textOf)).toEqual({ url: "old" });
  await pauseReplay();
  await inWorld(here, () => change("c", "new"));
  await until(async () => (await inWorld(deaf, textOf))?.url === "new", { what: "the new value" });

  const [primary] = postgres.members;
  await primary?.kill();
  try {
    await until(() => inWorld(deaf, textOf).then(() => false, isUnavailable), { what: "a refusal" });
    // The fault works: the replica is there, and would have answered.
    const eventually = await inWorld(deaf, () =>
      links
        .at("c")
        .read("eventual", (db) => db.selectFrom("link").select("url").where("code", "=", "c").execute()),
    );
    expect(eventually).toEqual([{ url: "old" }]);
  } finally {
    await replica.query("select pg_wal_replay_resume()");
    await primary?.restart();
  }
});

function isUnavailable(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === "HOLDFAST_UNAVAILABLE";
}
