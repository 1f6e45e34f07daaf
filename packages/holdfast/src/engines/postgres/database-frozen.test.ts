/** Operations without a deadline on a server that stands still: it answers nothing, and breaks no connection. */
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { manualClock } from "../../clock/index.ts";
import type { DatabasePort } from "../../parts/database/port.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { findServerProcesses } from "./embedded/index.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { patienceOf } from "./pool-lease.ts";
import { silentMsMax } from "./session-watch.ts";

const declaration = database<never>("frozen", { shards: { count: 1 } });
let postgres: TestPostgres;
let clock: ReturnType<typeof manualClock>;
let nodes: DatabaseNodes;
let port: DatabasePort;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1 });
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  clock = manualClock();
  nodes = openDatabaseNodes(await postgres.freshDatabase(), { clock, applicationName: "frozen" });
  await migrateDatabase(declaration, nodes);
  // One connection stays open and free.
  port = postgresDatabase(declaration, nodes, clock);
  await port.write(0, (tx) => sql`create table item (id int primary key)`.execute(tx), {});
});
afterEach(() => nodes.close());

/** Stops every process of the server, and lets them go on when disposed of. */
async function frozen(): Promise<Disposable> {
  const pids = await findServerProcesses(postgres.nodes[0]?.primary.dataDir ?? "");
  expect(pids.length).toBeGreaterThan(1);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  return {
    [Symbol.dispose]() {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    },
  };
}

/** Lets time pass until `work` has ended. @returns its value or its error */
async function ends(work: Promise<unknown>, what: string): Promise<unknown> {
  let over = false;
  const answer = work
    .catch((error: unknown) => error)
    .finally(() => {
      over = true;
    });
  await until(() => clock.advance(2_000).then(() => over), { what });
  return answer;
}

test("a write and a read end as not applied, when nothing was answered for a minute", async () => {
  const insert = () => port.write(0, (tx) => sql`insert into item values (1)`.execute(tx), {});
  const read = () => port.read(0, "strong", (db) => sql`select 1`.execute(db));
  for (const work of [insert, read]) {
    // A connection that is open, so that it is the statement that hangs.
    await read();
    using _ = await frozen();
    const since = clock.monotonicMs();
    const error = await ends(work(), "the operation to end");
    expect(error).toMatchObject({
      code: "HOLDFAST_UNAVAILABLE",
      outcome: "not-applied",
      data: { silentMs: 60_000 },
    });
    expect(clock.monotonicMs() - since).toBeLessThanOrEqual(silentMsMax + 10_000);
  }
  const { rows } = await port.read(0, "strong", (db) => sql`select id from item`.execute(db));
  expect(rows).toEqual([]);
});

test("a write whose COMMIT gets no answer ends as unknown, when it cannot be settled either", async () => {
  // A second connection, free to ask on.
  const both = [1, 2].map(() => nodes.primary(nodes.home).lease(patienceOf(undefined, clock)));
  for (const session of await Promise.all(both)) nodes.primary(nodes.home).release(session);
  let freeze: Disposable | undefined;
  const error = await ends(
    port.write(
      0,
      async (tx) => {
        await sql`insert into item values (2)`.execute(tx);
        freeze = await frozen();
      },
      {},
    ),
    "the write to end",
  ).finally(() => freeze?.[Symbol.dispose]());
  expect(error).toMatchObject({ code: "HOLDFAST_OUTCOME_UNKNOWN", outcome: "unknown" });
});

test("a write whose COMMIT gets no answer is settled when the server goes on in time", async () => {
  let freeze: Disposable | undefined;
  const writing = port.write(
    0,
    async (tx) => {
      await sql`insert into item values (3)`.execute(tx);
      freeze = await frozen();
      return "done";
    },
    {},
  );
  await until(() => freeze);
  // The connection is closed at the seventh look; asking anew takes ten seconds at most.
  for (let i = 0; i < 70; i++) await clock.advance(1_000);
  freeze?.[Symbol.dispose]();
  expect(await ends(writing, "the write to end")).toBe("done");
});

test("time in which the caller does other things, or answers come, is not silence", async () => {
  const answer = await ends(
    port.write(
      0,
      async (tx) => {
        for (let i = 0; i < 12; i++) {
          await sql`select ${i}::int`.execute(tx);
          await clock.advance(silentMsMax);
        }
        return "done";
      },
      {},
    ),
    "the write to end",
  );
  expect(answer).toBe("done");
});

test("closing does not wait for its goodbye", async () => {
  expect(nodes.primary(nodes.home).load.idle).toBeGreaterThan(0);
  using _ = await frozen();
  await ends(nodes.close(), "the pool to close");
  expect(clock.pendingTimers).toBe(0);
});
