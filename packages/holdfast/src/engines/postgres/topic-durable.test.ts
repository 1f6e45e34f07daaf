/** What a topic promises to keep, on a server whose default is not to wait for the disk. */
import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

test("publishes, claims and recorded batches outlive a crash, also with synchronous_commit off", {
  timeout: 60_000,
}, async () => {
  // Nothing is flushed but by a commit that waits for it.
  const settings = { wal_writer_delay: "10s" };
  await using postgres = await startTestPostgres({ settings });
  const config = await postgres.freshDatabase();
  const setup = openDatabaseNodes(config, { clock: systemClock, applicationName: "setup" });
  await installFramework(setup);
  await setup.primary(setup.home).use(async (session) => {
    await session.send({
      text: `begin read write; do $$ begin
        execute format('alter database %I set synchronous_commit = off', current_database()); end $$; commit`,
    });
  });
  await setup.close();

  const message = (value: number) => ({ partition: 0, key: "k", json: JSON.stringify(value) });
  const crash = async () => {
    const [node] = postgres.nodes;
    node?.primary.kill("SIGKILL");
    await node?.restartServer("primary");
  };
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "durable" });
  const port = postgresTopic(declaredTopic("events", { partitions: 1 }), nodes, systemClock);
  const setting = await nodes
    .primary(nodes.home)
    .use((session) => session.send({ text: "show synchronous_commit" }));
  expect(setting.rows).toEqual([{ synchronous_commit: "off" }]);
  const [claim] = await port.heartbeat("reader", "a", 600_000);
  if (!claim) throw new Error("the only member should hold the only partition");
  await crash();
  const [kept] = await port.heartbeat("reader", "a", 600_000);
  expect(kept).toEqual(claim);
  await port.publish([message(1)]);
  await port.publish([message(2)]);
  await crash();
  const batch = await port.next(claim, 1);
  expect(batch?.messages.map(({ value }) => value)).toEqual([1]);
  await crash();
  // Had the record been lost, the same number would now stand for two messages.
  const again = await port.next(claim, 2);
  expect([again?.sequence, again?.messages]).toEqual([batch?.sequence, batch?.messages]);
  await port.close();
  await nodes.close();
});
