import net from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call } from "../../call/index.ts";
import { manualClock, systemClock } from "../../clock/index.ts";
import { freePort, startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import { NodePool, type PoolOptions } from "./pool.ts";
import { type Patience, patienceOf } from "./pool-lease.ts";

let postgres: TestPostgres;
let endpoint: PostgresEndpoint;
let pool: NodePool;

const open = (options: Partial<PoolOptions> = {}, clock = systemClock) =>
  new NodePool(
    {
      node: "node-1",
      role: "primary",
      endpoint,
      applicationName: "pool test",
      size: 2,
      queueMax: 3,
      ...options,
    },
    clock,
  );
const patience = (call?: Call): Patience => patienceOf(call, systemClock);
const within = (timeoutMs: number) => patience(new Call(systemClock, { timeoutMs }));

beforeAll(async () => {
  postgres = await startTestPostgres();
  const [node] = postgres.config.nodes;
  if (!node) throw new Error("no node");
  endpoint = node.primary;
});
afterAll(() => postgres?.stop());
beforeEach(() => {
  pool = open();
});
afterEach(() => pool.close());

const backends = (name: string) =>
  pool.use(async (session) => {
    const { rows } = await session.send<{ pid: number }>({
      text: "select pid from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()",
      values: [name],
    });
    return rows.map((row) => row.pid);
  });
const pid = async (session: { send: NodePoolSend }) =>
  (await session.send<{ pid: number }>({ text: "select pg_backend_pid() as pid" })).rows[0]?.pid;
type NodePoolSend = Awaited<ReturnType<NodePool["lease"]>>["send"];

describe("a pool", () => {
  test("connects when first needed, never beyond its size, and uses a connection again", async () => {
    expect(pool.load).toEqual({ leased: 0, idle: 0, connecting: 0, waiting: 0 });
    const held = await Promise.all([pool.lease(patience()), pool.lease(patience())]);
    const pids = new Set(await Promise.all(held.map(pid)));
    expect(pids.size).toBe(2);
    for (const session of held) pool.release(session);
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        Array.from({ length: 5 }, () => pool.use(async (session) => pids.add(await pid(session)))),
      );
    }
    expect(pids.size).toBe(2);
    expect(pool.load).toEqual({ leased: 0, idle: 2, connecting: 0, waiting: 0 });
  });

  test("serves in order of arrival", async () => {
    const held = [await pool.lease(patience()), await pool.lease(patience())];
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) => pool.use(async () => void order.push(n)));
    for (const session of held) pool.release(session);
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  test("refuses at once, as not applied, when its queue is full", async () => {
    const held = [await pool.lease(patience()), await pool.lease(patience())];
    const waiting = [1, 2, 3].map(() => pool.use(async () => {}));
    await expect(pool.use(async () => {})).rejects.toMatchObject({
      code: "HOLDFAST_OVERLOADED",
      outcome: "not-applied",
    });
    for (const session of held) pool.release(session);
    await Promise.all(waiting);
  });

  test("ends a wait at the call's deadline, and when the caller gives up, as not applied", async () => {
    const held = [await pool.lease(patience()), await pool.lease(patience())];
    await expect(pool.use(async () => {}, within(30))).rejects.toMatchObject({
      code: "HOLDFAST_DEADLINE",
      outcome: "not-applied",
    });
    const caller = new AbortController();
    const waiting = pool.use(async () => {}, patience(new Call(systemClock, { signal: caller.signal })));
    caller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
    expect(pool.load.waiting).toBe(0);
    for (const session of held) pool.release(session);
  });

  test("ends the wait of work without a deadline after ten seconds, and leaves no timer", async () => {
    const clock = manualClock();
    const patient = open({}, clock);
    const lease = () => patient.lease(patienceOf(undefined, clock));
    const held = [await lease(), await lease()];
    const refused = expect(lease()).rejects.toMatchObject({ code: "HOLDFAST_OVERLOADED" });
    await clock.advance(10_000);
    await refused;
    for (const session of held) patient.release(session);
    await patient.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test("does not give a session to the next that is in a transaction, busy or tainted", async () => {
    const seen = new Set<unknown>();
    const spoil = async (how: (session: Awaited<ReturnType<NodePool["lease"]>>) => unknown) => {
      await pool.use(async (session) => {
        const own = await pid(session);
        expect(seen.has(own)).toBe(false);
        seen.add(own);
        await how(session);
      });
    };
    await spoil((session) => session.send({ text: "begin" }));
    await spoil((session) => session.send({ text: "begin; select 1/0" }).catch(() => {}));
    await spoil((session) => void session.push({ text: "select pg_sleep(0.05)" }));
    await spoil((session) => session.taint());
    await spoil((session) => session.cancelAndDestroy());
    await spoil(() => {});
    expect(seen.size).toBe(6);
  });

  test("notices a connection that the server ended while nobody used it", async () => {
    const first = await pool.use(pid);
    const admin = open();
    await admin.use((session) => session.send({ text: "select pg_terminate_backend($1)", values: [first] }));
    await admin.close();
    await until(() => pool.load.idle === 0);
    expect(await pool.use(pid)).not.toBe(first);
  });

  test("opens another for those who wait when a held one breaks", async () => {
    const held = [await pool.lease(patience()), await pool.lease(patience())] as const;
    const waiting = pool.use(pid);
    held[0].destroy();
    pool.release(held[0]);
    expect(await waiting).toBeTypeOf("number");
    pool.release(held[1]);
  });

  test("closes twice, refuses afterwards, and leaves no connection on the server", async () => {
    const other = open({ applicationName: "closing" });
    const underWay = other.use((session) => session.send({ text: "select pg_sleep(0.1)" }));
    await until(() => other.load.leased === 1);
    expect(await backends("closing")).toHaveLength(1);
    await Promise.all([other.close(), other.close()]);
    await underWay;
    await expect(other.use(async () => {})).rejects.toMatchObject({
      code: "HOLDFAST_UNAVAILABLE",
      outcome: "not-applied",
    });
    await until(async () => (await backends("closing")).length === 0);
  });

  test("closing ends the wait of whoever is in its queue", async () => {
    const other = open();
    const held = [await other.lease(patience()), await other.lease(patience())];
    const waiting = expect(other.use(async () => {})).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
    const closing = other.close();
    await waiting;
    for (const session of held) other.release(session);
    await closing;
  });
});

describe("a server that is not there", () => {
  test("is unavailable at once, for everybody who waits, and not applied", async () => {
    const away = open({ endpoint: { ...endpoint, port: await freePort() } });
    const refused = { code: "HOLDFAST_UNAVAILABLE", outcome: "not-applied", permanent: false };
    const asking = [1, 2, 3].map(() => expect(away.use(async () => {})).rejects.toMatchObject(refused));
    await Promise.all(asking);
    expect(away.avoided).toBe(true);
    expect(away.load).toEqual({ leased: 0, idle: 0, connecting: 0, waiting: 0 });
    await away.close();
  });

  test("and never answers is unavailable after the connect time-out", async () => {
    const silent = net.createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as net.AddressInfo;
    const away = open({ endpoint: { ...endpoint, port }, connectTimeoutMs: 100 });
    await expect(away.use(async () => {})).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
    await away.close();
    silent.close();
  });

  test("or refuses the password says so, without the password", async () => {
    const wrong = open({ endpoint: { ...endpoint, password: "sesame" } });
    const error = await wrong.use(async () => {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "HOLDFAST_UNAVAILABLE", data: { sqlstate: "28P01" } });
    expect(JSON.stringify(error) + String(error)).not.toContain("sesame");
    await wrong.close();
  });
});

describe("a session", () => {
  test("cannot write by a statement that was sent behind a BEGIN that failed", async () => {
    await pool.use(async (session) => {
      await session.send({ text: "begin read write" });
      await session.send({ text: "create table if not exists pipelined (id int)" });
      await session.send({ text: "commit" });
      const begun = session.push({ text: "begin read write wrongly" });
      const inserted = session.push({ text: "insert into pipelined values (1)" });
      await expect(begun).rejects.toMatchObject({ data: { sqlstate: "42601" } });
      await expect(inserted).rejects.toMatchObject({ data: { sqlstate: "25006" } });
    });
  });

  test("refuses more parameters, and larger ones, than a message carries; and goes on", async () => {
    await pool.use(async (session) => {
      const many = Array.from({ length: 65_536 }, () => 1);
      const refused = { code: "HOLDFAST_INPUT_INVALID", outcome: "not-applied", permanent: true };
      await expect(session.send({ text: "select 1", values: many })).rejects.toMatchObject({
        ...refused,
        message: expect.stringContaining("65535 is the most"),
      });
      const large = "x".repeat(66 << 20);
      await expect(session.send({ text: "select length($1)", values: [large] })).rejects.toMatchObject({
        ...refused,
        data: { bytesMax: 65 << 20 },
      });
      const { rows } = await session.send({ text: "select length($1)", values: ["x".repeat(1 << 20)] });
      expect(rows).toEqual([{ length: 1 << 20 }]);
    });
  });

  test("keeps a bounded number of prepared statements on the server", async () => {
    await pool.use(async (session) => {
      for (let i = 0; i < 300; i++) await session.send({ text: `select ${i}`, prepare: true });
      const { rows } = await session.send<{ n: number }>({
        text: "select count(*)::int as n from pg_prepared_statements",
      });
      expect(rows[0]?.n).toBe(128);
      expect((await session.send({ text: "select 0", prepare: true })).rows).toEqual([{ "?column?": 0 }]);
    });
  });

  test("has the server limit its statements, rounded up, only when that changes", async () => {
    await pool.use(async (session) => {
      const limit = async () =>
        (await session.send<{ t: string }>({ text: "select current_setting('statement_timeout') as t" }))
          .rows[0]?.t;
      session.limitStatements(3_000);
      expect(await limit()).toBe("4s");
      session.limitStatements(2_100);
      expect(await limit()).toBe("4s");
      session.limitStatements(0.5);
      expect(await limit()).toBe("1s");
      session.limitStatements(Number.POSITIVE_INFINITY);
      expect(await limit()).toBe("0");
    });
  });

  test("reads a date as the date it is, not as an instant", async () => {
    const { rows } = await pool.use((session) => session.send({ text: "select date '2024-02-29' as day" }));
    expect(rows).toEqual([{ day: "2024-02-29" }]);
  });
});
