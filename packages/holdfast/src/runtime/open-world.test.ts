/** Two worlds in one process, over one declaration: they share nothing. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { cache, database, inWorld, system, topic } from "../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../testkit/index.ts";
import { type OpenWorld, openWorld } from "./open-world.ts";

interface Tables {
  note: { id: string; text: string };
}
const anything: StandardSchemaV1<{ id: string }> = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as { id: string } }) },
};
const notes = database<Tables>("notes", {
  migrations: new URL("./fixtures/notes/migrations/", import.meta.url),
  shards: { count: 1 },
  replicas: 0,
});
const hot = cache("hot");
const written = topic("written", { schema: anything, keyBy: ({ id }) => id, partitions: 1 });
const declared = system("notes", { parts: { notes, hot, written } });

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1 });
});
afterAll(() => postgres.stop());

async function open(name: string): Promise<OpenWorld> {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "test" });
  await migrateDatabase(notes, nodes);
  await nodes.close();
  return openWorld(
    declared,
    { name, databases: { notes: config }, poolSize: 2 },
    { clock: systemClock, applicationName: name },
  );
}

const read = (id: string) =>
  hot.get(id, () =>
    notes
      .at(id)
      .read("strong", (sql) => sql.selectFrom("note").selectAll().where("id", "=", id).executeTakeFirst()),
  );
const write = async (id: string, text: string) => {
  await notes.at(id).write((tx) => tx.insertInto("note").values({ id, text }).execute());
  await hot.invalidate(id);
  await written.publish({ id });
};

test("two worlds in one process share neither rows, nor cached values, nor messages, nor their end", async () => {
  const one = await open("one");
  const two = await open("two");
  await inWorld(one.world, () => write("a", "of one"));
  await inWorld(two.world, () => write("a", "of two"));
  expect(await inWorld(one.world, () => read("a"))).toEqual({ id: "a", text: "of one" });
  expect(await inWorld(two.world, () => read("a"))).toEqual({ id: "a", text: "of two" });

  await inWorld(one.world, () => written.publish([{ id: "b" }, { id: "c" }]));
  const messages = async ({ world }: OpenWorld) => {
    const port = world.port(written);
    const [claim] = await port.heartbeat("reader", "test", 5_000);
    if (!claim) throw new Error("a lone member holds every partition");
    return (await port.next(claim, 100))?.messages.map(({ key }) => key);
  };
  expect(await messages(one)).toEqual(["a", "b", "c"]);
  expect(await messages(two)).toEqual(["a"]);

  await one.close();
  await one.close();
  await inWorld(two.world, () => write("d", "still there"));
  expect(await inWorld(two.world, () => read("d"))).toMatchObject({ text: "still there" });
  await two.close();
});

test("a world that is told nothing about a database says so when it is opened", () => {
  const nothing = { name: "none", databases: {}, poolSize: 2 };
  const env = { clock: systemClock, applicationName: "none" };
  expect(() => openWorld(declared, nothing, env)).toThrow('says nowhere where database "notes" is');
});
