/** What each read level promises, on a real primary and a replica whose replay stands still. */
import { type Kysely, sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, type ReadLevel, type ReadOptions } from "../../parts/database/index.ts";
import type { AnyTables, DatabasePort } from "../../parts/database/port.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { PgSession } from "./session.ts";

const declaration = database<never>("levels", { shards: { count: 1 }, reads: { waitMs: 0 } });
let postgres: TestPostgres;
let nodes: DatabaseNodes;
let port: DatabasePort;

beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "levels" });
  await migrateDatabase(declaration, nodes);
  port = postgresDatabase(declaration, nodes, systemClock);
  const make = (tx: Kysely<AnyTables>) => sql`create table item (id int primary key)`.execute(tx);
  await port.write(0, make, {});
  await nodes.close();
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  await postgres.caughtUp();
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "levels" });
  port = postgresDatabase(declaration, nodes, systemClock);
});
afterEach(async () => {
  await onReplica("select pg_wal_replay_resume()");
  await nodes.close();
});

let made = 0;
const insert = (id: number) => port.write(0, (tx) => sql`insert into item values (${id})`.execute(tx), {});
/** Who answered, and whether it had the row. */
const look = (id: number, how: ReadLevel | ReadOptions) =>
  port.read(0, how, async (db) => {
    const { rows } = await sql<{ standby: boolean; found: boolean }>`
      select pg_is_in_recovery() as standby, exists (select from item where id = ${id}) as found`.execute(db);
    return `${rows[0]?.standby ? "replica" : "primary"}: ${rows[0]?.found ? "there" : "not there"}`;
  });
const inSession = <T>(session: Session, run: () => Promise<T>) =>
  inCall(new Call(systemClock, { session }), run);

async function onReplica(text: string): Promise<void> {
  const endpoint = postgres.config.nodes[0]?.replicas[0];
  if (!endpoint) throw new Error("no replica");
  const options = { applicationName: "test", where: "test", connectTimeoutMs: 5_000 };
  const session = await PgSession.connect(endpoint, options);
  await session.send({ text });
  await session.close();
}

const all = ["eventual", "read-your-writes", "monotonic", "session", "causal", "strong"] as const;
const answers = async (id: number, session: Session) => {
  const found: Partial<Record<ReadLevel, string>> = {};
  for (const level of all) {
    // Each with the session as it was: a read raises it.
    const own = new Session();
    own.merge(session);
    found[level] = await inSession(own, () => look(id, level));
  }
  return found;
};

describe("with replay standing still", () => {
  beforeEach(() => onReplica("select pg_wal_replay_pause()"));

  test("who has written needs the primary where own writes are promised, and nowhere else", async () => {
    const [id, session] = [++made, new Session()];
    await inSession(session, () => insert(id));
    expect(await answers(id, session)).toEqual({
      eventual: "replica: not there",
      "read-your-writes": "primary: there",
      monotonic: "replica: not there",
      session: "primary: there",
      causal: "primary: there",
      strong: "primary: there",
    });
  });

  test("who has read needs the primary where reads are promised not to go back, and nowhere else", async () => {
    const [id, session] = [++made, new Session()];
    await insert(id);
    await inSession(session, () => look(id, "strong"));
    expect(await answers(id, session)).toEqual({
      eventual: "replica: not there",
      "read-your-writes": "replica: not there",
      monotonic: "primary: there",
      session: "primary: there",
      causal: "primary: there",
      strong: "primary: there",
    });
  });

  test("who has heard of it in a message needs the primary where causes are promised, and nowhere else", async () => {
    const [id, publisher, consumer] = [++made, new Session(), new Session()];
    await inSession(publisher, () => insert(id));
    consumer.hear(publisher);
    expect(await answers(id, consumer)).toEqual({
      eventual: "replica: not there",
      "read-your-writes": "replica: not there",
      monotonic: "replica: not there",
      session: "replica: not there",
      causal: "primary: there",
      strong: "primary: there",
    });
  });

  test("who knows nothing is served by the replica at every level but strong", async () => {
    const id = ++made;
    await insert(id);
    const found = await answers(id, new Session());
    expect(new Set(all.slice(0, -1).map((level) => found[level]))).toEqual(new Set(["replica: not there"]));
    expect(found.strong).toBe("primary: there");
  });

  test("a write that has read something is remembered as read as well", async () => {
    const [id, session] = [++made, new Session()];
    await inSession(session, () =>
      port.write(0, (tx) => sql`insert into item values (${id}) returning id`.execute(tx), {}),
    );
    expect(await inSession(session, () => look(id, "monotonic"))).toBe("primary: there");
  });

  test("a replica that catches up while it is waited for answers", async () => {
    const [id, session] = [++made, new Session()];
    await inSession(session, () => insert(id));
    const reading = inSession(session, () => look(id, { level: "session", waitMs: 10_000 }));
    await onReplica("select pg_wal_replay_resume()");
    expect(await reading).toBe("replica: there");
  });

  test("one that does not is waited for once, and not again before it moves", async () => {
    const [id, session] = [++made, new Session()];
    await inSession(session, () => insert(id));
    expect(await inSession(session, () => look(id, { waitMs: 20 }))).toBe("primary: there");
    // With the longest wait allowed: had it been waited for, this test would not end in time.
    for (let i = 0; i < 20; i++)
      expect(await inSession(session, () => look(id, { waitMs: 10_000 }))).toBe("primary: there");
    await onReplica("select pg_wal_replay_resume()");
    await postgres.caughtUp();
    expect(await inSession(session, () => look(id, "session"))).toBe("replica: there");
  });

  test("a wait ends with the deadline of its call", async () => {
    const [id, session] = [++made, new Session()];
    await inSession(session, () => insert(id));
    const call = new Call(systemClock, { session, timeoutMs: 100 });
    const reading = inCall(call, () => look(id, { waitMs: 10_000 }));
    await expect(reading).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
  });

  test("a replica beyond the bound on lag is not used; without a bound it is", async () => {
    const id = ++made;
    await insert(id);
    const bounded = { level: "eventual", lagMsMax: 100 } as const;
    await until(async () => (await look(id, bounded)) === "primary: there");
    for (let i = 0; i < 20; i++) expect(await look(id, bounded)).toBe("primary: there");
    expect(await look(id, "eventual")).toBe("replica: not there");
    await onReplica("select pg_wal_replay_resume()");
    await until(async () => (await look(id, bounded)) === "replica: there");
  });
});

test("an idle primary makes no replica look old", async () => {
  const id = ++made;
  await insert(id);
  await postgres.caughtUp();
  const bounded = { level: "eventual", lagMsMax: 200 } as const;
  expect(await look(id, bounded)).toBe("replica: there");
  const untilMs = systemClock.monotonicMs() + 600; // three times the bound, in which nothing is written
  let asked = 0;
  await until(async () => {
    expect(await look(id, bounded)).toBe("replica: there");
    asked++;
    return systemClock.monotonicMs() > untilMs;
  });
  expect(asked).toBeGreaterThan(3);
});

test("with the primary out of reach nobody knows the lag, and bounded reads say so", async () => {
  const [node] = postgres.nodes;
  if (!node) throw new Error("no node");
  const id = ++made;
  await insert(id);
  await postgres.caughtUp();
  const bounded = { level: "eventual", lagMsMax: 100 } as const;
  expect(await look(id, bounded)).toBe("replica: there");
  await node.primary.stop();
  try {
    const refused = await until(() =>
      look(id, bounded).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    expect(refused).toMatchObject({
      code: "HOLDFAST_UNAVAILABLE",
      message: expect.stringContaining("within 100 ms"),
    });
    expect(await look(id, "eventual")).toBe("replica: there");
  } finally {
    await node.restartServer("primary");
  }
});

test("levels and bounds that do not exist are refused where they are declared", () => {
  const reads = { level: "latest" as never, lagMsMax: Number.NaN, waitMs: 60_000 };
  expect(() => database("wrong", { reads })).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_OPTIONS_INVALID",
      data: {
        problems: [
          expect.stringMatching(/^reads\.level should be one of eventual, .* got "latest"/),
          "reads.lagMsMax should be 10 to 3600000 milliseconds, got NaN",
          "reads.waitMs should be 0 to 10000 milliseconds, got 60000",
        ],
      },
    }),
  );
});
