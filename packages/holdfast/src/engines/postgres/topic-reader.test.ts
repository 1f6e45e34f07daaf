/** Reading when the home crashes between a read and its recording. */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { appendStatement } from "./log-append.ts";
import { boundedSessions } from "./log-session.ts";
import { openTopicLog } from "./log-tables.ts";
import { openDatabaseNodes } from "./nodes.ts";
import type { PgSession } from "./session.ts";
import { openConsumer, renewMember } from "./topic-group.ts";
import { ConsumerReader } from "./topic-reader.ts";

test("a crash between a read and its recording hides no message whose transaction id had been given out before", {
  timeout: 60_000,
}, async () => {
  // What is not flushed with a commit stays unflushed, so that the crash takes it.
  await using postgres = await startTestPostgres({ settings: { wal_writer_delay: "10s" } });
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "reader" });
  await installFramework(nodes);
  const sessions = boundedSessions(nodes.primary(nodes.home), systemClock);
  const log = await sessions((session) => openTopicLog(session, "events", 1));
  const consumerId = await sessions((session) => openConsumer(session, log, "reader"));
  const claims = await sessions((session) =>
    renewMember(session, consumerId, "reader", "a", 600_000, "join"),
  );
  const claim = claims[0];
  if (!claim) throw new Error("the only member should hold the only partition");
  const published = async (value: string, idsBefore = 0): Promise<bigint> => {
    const client = new pg.Client(config.nodes[0]?.primary);
    await client.connect();
    const messages = [
      { partition: 0, key: value, json: JSON.stringify(value), traceparent: undefined, session: undefined },
    ];
    const { text, values } = appendStatement(log, { id: randomUUID(), messages, tick: false });
    await client.query("begin");
    await client.query({ text, values });
    const { rows } = await client.query("select pg_current_xact_id()::text as id");
    await client.query("commit");
    for (let n = 0; n < idsBefore; n++) {
      await client.query("begin; select pg_current_xact_id(); rollback");
    }
    await client.end();
    return BigInt(rows[0].id);
  };
  const firstId = await published("before", 50);

  let secondId: bigint | undefined;
  const crash = async () => {
    if (secondId !== undefined) return;
    secondId = 0n;
    const [node] = postgres.nodes;
    node?.primary.kill("SIGKILL");
    await node?.restartServer("primary");
    secondId = await published("after");
  };
  /** Crashes the home behind the first read: before the next session is asked for, or the batch is recorded. */
  let uses = 0;
  const reader = new ConsumerReader({
    node: "node-1",
    clock: systemClock,
    consumer: "reader",
    open: async () => ({ log, consumerId }),
    use: async (run) => {
      if (++uses > 1) await crash();
      return sessions((session) => run(crashingAtRecord(session, crash)));
    },
  });
  await reader.next(claim, 100).catch(() => undefined);
  // The fault works: the id is one of those that the read had taken for rolled back.
  expect(secondId).toBeGreaterThan(firstId);
  expect(secondId).toBeLessThan(firstId + 50n);

  const batch = await reader.next(claim, 100);
  expect(batch?.messages.map((message) => message.value)).toEqual(["before", "after"]);
  await nodes.close();
});

/** Has whatever is sent from the first writing transaction on wait for the crash. */
function crashingAtRecord(session: PgSession, crash: () => Promise<void>): PgSession {
  let crashed: Promise<void> | undefined;
  return new Proxy(session, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "send") return value.bind(target);
      return async (statement: { text: string }) => {
        if (statement.text.startsWith("begin read write")) crashed = crash();
        await crashed;
        return target.send(statement);
      };
    },
  });
}
