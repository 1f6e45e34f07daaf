/** Publishing when connections break, servers die, values are refused and memory is full. */
import { randomUUID } from "node:crypto";
import net from "node:net";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Call, HoldfastError, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { groupCommitLimits } from "./group-commit.ts";
import { installFramework } from "./install.ts";
import { appendBatch, appendStatement, settleBatch } from "./log-append.ts";
import { openTopicLog } from "./log-tables.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { type PostgresTopic, postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function scene(): Promise<{ config: DatabaseConfig; nodes: DatabaseNodes; port: PostgresTopic }> {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "publisher" });
  cleanups.push(() => nodes.close());
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  cleanups.push(() => port.close());
  return { config, nodes, port };
}

const message = (value: unknown, key = String(value)) => ({
  partition: 0,
  key,
  json: JSON.stringify(value),
});

async function delivered(port: PostgresTopic): Promise<unknown[]> {
  const values: unknown[] = [];
  for (const claim of await port.heartbeat("reader", "a", 600_000)) {
    for (let batch = await port.next(claim, 1_000); batch; batch = await port.next(claim, 1_000)) {
      values.push(...batch.messages.map((one) => one.value));
      await port.complete(claim, batch.sequence);
    }
  }
  return values;
}

/** Publishes 0, 1, 2 … from `lanes` at a time until stopped, and notes how each ended. */
function publishing(port: PostgresTopic, lanes: number, timeoutMs: number) {
  const ends = { applied: [] as number[], notApplied: [] as number[], unknown: [] as number[] };
  let n = 0;
  let stopped = false;
  const done = Promise.all(
    Array.from({ length: lanes }, async () => {
      while (!stopped) {
        const value = n++;
        using call = new Call(systemClock, { timeoutMs });
        try {
          await inCall(call, () => port.publish([message(value, `k${value % 50}`)]));
          ends.applied.push(value);
        } catch (error) {
          const { outcome } = error as HoldfastError;
          (outcome === "not-applied" ? ends.notApplied : ends.unknown).push(value);
          await systemClock.sleep(5);
        }
      }
    }),
  );
  const stop = () => {
    stopped = true;
    return done;
  };
  return { ends, stop };
}

test("what comes while a commit is under way goes together in the next", async () => {
  const { nodes, port } = await scene();
  await Promise.all(Array.from({ length: 200 }, (_, n) => port.publish([message(n)])));
  await Promise.all(Array.from({ length: 200 }, (_, n) => port.publish([message(n + 200)])));
  const { rows } = await nodes.primary(nodes.home).use((session) =>
    session.send<{ batches: number }>({
      text: "select count(*)::int as batches from holdfast.topic_batch",
    }),
  );
  expect(rows[0]?.batches).toBe(2);
  expect(new Set(await delivered(port)).size).toBe(400);
});

test("connections that break under load lose nothing, double nothing, and leave nothing unknown", async () => {
  const { config, port } = await scene();
  const load = publishing(port, 16, 20_000);
  const killer = new pg.Client(config.nodes[0]?.primary);
  await killer.connect();
  for (let cut = 0; cut < 15; cut++) {
    const before = load.ends.applied.length;
    await killer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'publisher'",
    );
    await until(() => load.ends.applied.length > before + 20, { what: "publishing to go on" });
  }
  await killer.end();
  await load.stop();
  const values = (await delivered(port)) as number[];
  expect(new Set(values).size).toBe(values.length);
  expect(load.ends.unknown).toEqual([]);
  expect(values.sort((a, b) => a - b)).toEqual(load.ends.applied.sort((a, b) => a - b));
});

test.each([
  { fault: "an answer that is lost", cut: "answers" as const },
  { fault: "a request that is lost", cut: "requests" as const },
])("$fault: the publish is settled, and its message is there once", async ({ cut }) => {
  const { config } = await scene();
  const [node] = config.nodes;
  if (!node) throw new Error("a server should run");
  const proxy = await cutter(node.primary.port);
  const through = { ...config, nodes: [{ ...node, primary: { ...node.primary, port: proxy.port } }] };
  const nodes = openDatabaseNodes(through, { clock: systemClock, applicationName: "cut" });
  const port = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  for (let n = 0; n < 5; n++) {
    await port.publish([message(2 * n)]);
    proxy.cutNext(cut);
    await port.publish([message(2 * n + 1)]);
  }
  expect(proxy.cuts).toBe(5);
  expect(await delivered(port)).toEqual(Array.from({ length: 10 }, (_, n) => n));
  await port.close();
  await nodes.close();
  await proxy.close();
});

test("an answer that is lost, and a primary that cannot be asked until the deadline: unknown", async () => {
  const { config } = await scene();
  const [node] = config.nodes;
  if (!node) throw new Error("a server should run");
  const proxy = await cutter(node.primary.port);
  const through = { ...config, nodes: [{ ...node, primary: { ...node.primary, port: proxy.port } }] };
  const nodes = openDatabaseNodes(through, { clock: systemClock, applicationName: "cut" });
  const port = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  await port.publish([message(0)]);
  proxy.cutNext("answers", { stayDown: true });
  using call = new Call(systemClock, { timeoutMs: 2_000 });
  await expect(inCall(call, () => port.publish([message(1)]))).rejects.toMatchObject({ outcome: "unknown" });
  await port.close();
  await nodes.close();
  await proxy.close();
});

/**
 * A TCP proxy that can break the connection which is used next: before what was asked arrives, or after it
 * was done and before the answer is through.
 */
async function cutter(serverPort: number) {
  let next: "answers" | "requests" | undefined;
  let stayDown = false;
  let down = false;
  let cuts = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    if (down) return void client.destroy();
    const upstream = net.connect(serverPort, "127.0.0.1");
    let dropping = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", end);
    }
    const cut = () => {
      cuts++;
      down = stayDown;
      end();
      // No other connection may answer for it.
      if (down) for (const socket of sockets) socket.destroy();
    };
    client.on("data", (data) => {
      // Only a publish is cut: notifications and questions go their way.
      if (next !== undefined && data.includes("lock_timeout = 250")) {
        const kind = next;
        next = undefined;
        if (kind === "requests") return cut();
        dropping = true;
      }
      upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (!dropping) client.write(data);
      else if (data.includes("COMMIT")) cut(); // the command tag: it has committed
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    get cuts() {
      return cuts;
    },
    cutNext(kind: "answers" | "requests", options: { stayDown?: boolean } = {}) {
      next = kind;
      stayDown = options.stayDown ?? false;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a primary that is killed and comes back before the deadline leaves no publish unknown", {
  timeout: 90_000,
}, async () => {
  const { port } = await scene();
  const [node] = postgres.nodes;
  if (!node) throw new Error("a server should run");
  const load = publishing(port, 16, 60_000);
  await until(() => load.ends.applied.length > 100, { what: "publishing to begin" });
  node.primary.kill("SIGKILL");
  const before = load.ends.applied.length;
  await node.restartServer("primary");
  await until(() => load.ends.applied.length > before + 100, {
    what: "publishing to go on",
    timeoutMs: 30_000,
  });
  await load.stop();
  const values = (await delivered(port)) as number[];
  expect(new Set(values).size).toBe(values.length);
  expect(load.ends.unknown).toEqual([]);
  expect(values.sort((a, b) => a - b)).toEqual(load.ends.applied.sort((a, b) => a - b));
});

test("without a primary a publish is refused as not applied", async () => {
  const { config } = await scene();
  const [node] = config.nodes;
  if (!node) throw new Error("a server should run");
  const away = { ...config, nodes: [{ ...node, primary: { ...node.primary, port: 1 } }] };
  const nodes = openDatabaseNodes(away, { clock: systemClock, applicationName: "away" });
  const port = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  await expect(port.publish([message(1)])).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
  });
  await port.close();
  await port.close();
  await nodes.close();
});

test("a settled batch stays settled: asked about while it commits, and when it arrives late", async () => {
  const { config, nodes, port } = await scene();
  await port.publish([message("before")]);
  const pool = nodes.primary(nodes.home);
  const log = await pool.use((session) => openTopicLog(session, "events", 2));
  const batch = (value: string) => ({
    id: randomUUID(),
    messages: [{ ...message(value), traceparent: undefined, session: undefined }],
    tick: false,
  });

  const open = new pg.Client(config.nodes[0]?.primary);
  await open.connect();
  const slow = batch("slow");
  const { text, values } = appendStatement(log, slow);
  await open.query("begin");
  await open.query({ text, values });
  let settled: string | undefined;
  const asking = pool
    .use((session) => settleBatch(session, slow.id))
    .then((answer) => {
      settled = answer;
    });
  await until(
    async () =>
      (
        await open.query(
          "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        )
      ).rowCount,
    { what: "the question to wait" },
  );
  expect(settled).toBeUndefined();
  await open.query("commit");
  await asking;
  expect(settled).toBe("appended");
  await open.end();

  const late = batch("late");
  expect(await pool.use((session) => settleBatch(session, late.id))).toBe("refused");
  expect(await pool.use((session) => appendBatch(session, log, late))).toMatchObject({ kind: "refused" });
  expect(await pool.use((session) => settleBatch(session, slow.id))).toBe("appended");
  expect((await delivered(port)).sort()).toEqual(["before", "slow"]);
});

test("a message that Postgres refuses fails alone", async () => {
  const { port } = await scene();
  const ends = await Promise.allSettled([
    port.publish([message(1)]),
    port.publish([message(2), message("bad", "NUL \0 in a key")]),
    port.publish([message(3)]),
  ]);
  expect(ends.map((end) => end.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((ends[1] as PromiseRejectedResult).reason).toMatchObject({ outcome: "not-applied" });
  expect((await delivered(port)).sort()).toEqual([1, 3]);
});

test("more than fits into memory is refused before it is taken", async () => {
  const { port } = await scene();
  const half = Array.from({ length: groupCommitLimits.pendingItems / 2 }, (_, n) => message(n));
  const taken = [port.publish(half), port.publish(half)];
  await expect(async () => port.publish([message("too many")])).rejects.toMatchObject({
    code: "HOLDFAST_OVERLOADED",
    outcome: "not-applied",
  });
  await Promise.all(taken);
  await port.publish([message("fits again")]);
});

test("a caller that gives up before its message is sent takes it along", async () => {
  const { config, port } = await scene();
  await port.publish([message("first", "k")]);
  // Somebody holds the key, so that the next message waits.
  const holder = new pg.Client(config.nodes[0]?.primary);
  await holder.connect();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "look" });
  const log = await nodes.primary(nodes.home).use((session) => openTopicLog(session, "events", 2));
  await nodes.close();
  await holder.query("begin");
  const held = {
    id: randomUUID(),
    messages: [{ ...message("held", "k"), traceparent: undefined, session: undefined }],
    tick: false,
  };
  const { text, values } = appendStatement(log, held);
  await holder.query({ text, values });
  const giveUp = new AbortController();
  using call = new Call(systemClock, { signal: giveUp.signal });
  const publish = inCall(call, () => port.publish([message("second", "k")]));
  // It is set aside, and waits for its turn, once nobody waits for the lock any more.
  const aside = async () => {
    const { rows } = await holder.query(
      "select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted",
    );
    return rows[0].n === 0;
  };
  await until(async () => !(await aside()), { what: "the publish to wait for the key" });
  await until(aside, { what: "the publish to step aside" });
  giveUp.abort();
  const error = await publish.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(HoldfastError);
  await holder.query("rollback");
  await holder.end();
  await port.publish([message("third", "k")]);
  const values2 = await delivered(port);
  // Between two tries nothing is sent (not applied); within one it may be (unknown, and then perhaps there).
  if ((error as HoldfastError).outcome === "not-applied") expect(values2).toEqual(["first", "third"]);
  else expect(values2.filter((value) => value !== "second")).toEqual(["first", "third"]);
});

test("another number of partitions than the log was made with is refused", async () => {
  const { nodes, port } = await scene();
  await port.publish([message(1)]);
  const other = postgresTopic(declaredTopic("events", { partitions: 3 }), nodes, systemClock);
  await expect(other.publish([message(2)])).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    data: { stored: 2, declared: 3 },
  });
  await other.close();
});

test("closing sends what waits, and refuses what comes", async () => {
  const { nodes, port } = await scene();
  const waiting = Array.from({ length: 50 }, (_, n) => port.publish([message(n)]));
  const closing = port.close();
  await expect(async () => port.publish([message("late")])).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
  });
  await Promise.all([closing, ...waiting]);
  const again = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  expect(await delivered(again)).toHaveLength(50);
  await again.close();
});
