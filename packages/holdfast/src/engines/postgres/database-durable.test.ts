/** What a guarded write promises to keep, on a server whose default is not to wait for the disk. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

test("an applied batch outlives a crash, also with synchronous_commit off", { timeout: 60_000 }, async () => {
  // Nothing is flushed but by a commit that waits for it.
  const settings = { synchronous_commit: "off", wal_writer_delay: "10s" };
  await using postgres = await startTestPostgres({ shards: 1, settings });
  const declaration = database<never>("durable", { shards: { count: 1 } });
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "durable" });
  await migrateDatabase(declaration, nodes);
  const port = postgresDatabase(declaration, nodes, systemClock);
  const settingIn = async (tx: Parameters<Parameters<typeof port.write>[1]>[0]) =>
    (await sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(tx)).rows[0]
      ?.synchronous_commit;
  await port.write(0, (tx) => sql`create table item (id int primary key)`.execute(tx), {});

  const seen: unknown[] = [];
  const apply = (sequence: bigint) =>
    port.writeOnce(0, { consumer: "c", partition: 0, sequence }, async (tx) => {
      seen.push(await settingIn(tx));
      await sql`insert into item values (${Number(sequence)})`.execute(tx);
    });
  expect(await port.write(0, settingIn, {})).toBe("off");
  await apply(1n);
  const [node] = postgres.nodes;
  node?.primary.kill("SIGKILL");
  await node?.restartServer("primary");
  const { rows } = await port.read(0, "strong", (db) => sql`select id from item`.execute(db));
  expect(rows).toEqual([{ id: 1 }]);

  // A stronger default, which waits for standbys too, stays.
  await port.write(
    0,
    (tx) => sql`alter role current_user set synchronous_commit = remote_write`.execute(tx),
    {},
  );
  await nodes.close();
  const stronger = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "durable" });
  const again = postgresDatabase(declaration, stronger, systemClock);
  await again.writeOnce(0, { consumer: "c", partition: 0, sequence: 2n }, async (tx) => {
    seen.push(await settingIn(tx));
  });
  expect(seen).toEqual(["local", "remote_write"]);
  await stronger.close();
});
