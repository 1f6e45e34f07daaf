/** Transactions across shards on real servers: what they promise, what they refuse, and each answer that may get lost. */
import { type Kysely, sql, type Transaction } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Call, type HoldfastError, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { Together } from "../../parts/database/index.ts";
import { database, inWorld, World } from "../../parts/index.ts";
import { until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { type Bank, openBank } from "./fixtures/cross-shard-bank.ts";
import type { BankTables } from "./fixtures/cross-shard-declaration.ts";
import { PgSession, type Statement } from "./session.ts";

let bank: Bank;
let a: string;
let b: string;
let c: string;
let made = 0;

beforeAll(async () => {
  bank = await openBank({ settings: { deadlock_timeout: "50ms" } });
});
afterAll(() => bank?.close());

/** Three accounts with 100 each, on three nodes, of this test only. */
beforeEach(async () => {
  made++;
  [a, b, c] = ["a", "b", "c"].map((name) => bank.keyOn(name, made)) as [string, string, string];
  for (const key of [a, b, c]) await open(key, 100);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await until(
    async () => {
      await bank.recover();
      return (await bank.left()).prepared === 0;
    },
    { what: "nothing to be in doubt" },
  );
});

const world = () => {
  const one = new World("test", systemClock);
  one.bind(bank.declaration, bank.port);
  return one;
};
const together = <T>(
  keys: readonly string[],
  run: (txs: Together<BankTables>) => Promise<T>,
  options: Parameters<typeof bank.declaration.together>[2] = {},
  call = new Call(systemClock, { timeoutMs: 10_000 }),
) => inWorld(world(), () => inCall(call, () => bank.declaration.together(keys, run, options)));
const open = (key: string, cents: number) =>
  bank.port.write(
    bank.port.shardOf(key),
    (tx) => tx.insertInto("account").values({ owner: key, cents }).execute(),
    {},
  );
const add = (tx: Transaction<BankTables>, key: string, cents: number) =>
  tx
    .updateTable("account")
    .set((eb) => ({ cents: eb("cents", "+", cents) }))
    .where("owner", "=", key)
    .execute();
const transfer = (from: string, to: string, cents: number, options = {}, call?: Call) =>
  together(
    [from, to],
    async (txs) => {
      await add(txs.at(from), from, -cents);
      await add(txs.at(to), to, cents);
      return cents;
    },
    options,
    call,
  );
const balances = () => Promise.all([a, b, c].map((key) => bank.balance(key)));
const onNode = <T>(node: string, text: string) =>
  bank.nodes.primary(node).use(async (session) => (await session.send<T>({ text })).rows);

/** Does something to the next statement that matches, in place of sending it. */
function meet(
  matches: RegExp,
  act: (session: PgSession, send: () => Promise<unknown>) => unknown,
  times = 1,
): { count: number } {
  const met = { count: 0 };
  const original = PgSession.prototype.send;
  vi.spyOn(PgSession.prototype, "send").mockImplementation(function (this: PgSession, statement: Statement) {
    const send = () => original.call(this, statement) as Promise<never>;
    if (!matches.test(statement.text) || met.count >= times) return send();
    met.count++;
    return act(this, send) as Promise<never>;
  });
  return met;
}
/** The server gets it; the answer never arrives. */
const loseAnswer = async (session: PgSession, send: () => Promise<unknown>) => {
  const sent = send();
  sent.catch(() => {});
  const gone = new Promise((_, reject) => {
    // Until the server has done it: the answer is there, and nobody is told.
    void sent.then(() => {
      session.destroy();
      reject(new Error("the answer was lost"));
    }, reject);
  });
  try {
    return await gone;
  } catch (cause) {
    session.destroy();
    const { connectionLostError } = await import("./session-error.ts");
    throw connectionLostError(cause, session.where);
  }
};
/** The server never gets it. */
const loseStatement = async (session: PgSession) => {
  session.destroy();
  const { connectionLostError } = await import("./session-error.ts");
  throw connectionLostError(new Error("cut"), session.where);
};

describe("keys on several nodes", () => {
  test("change together, and leave nothing behind", async () => {
    expect(await transfer(a, b, 30)).toBe(30);
    expect(await balances()).toEqual([70, 130, 100]);
    await until(async () => (await bank.left()).decisions === 0, { what: "the decision to be forgotten" });
    expect(await bank.left()).toEqual({ prepared: 0, decisions: 0 });
  });

  test("are three nodes and more than one shard of each as well", async () => {
    const keys = [a, b, c, bank.keyOn("a", 500 + made), bank.keyOn("b", 500 + made)];
    for (const key of keys.slice(3)) await open(key, 100);
    await together(keys, async (txs) => {
      for (const key of keys) await add(txs.at(key), key, 1);
    });
    expect(await Promise.all(keys.map((key) => bank.balance(key)))).toEqual([101, 101, 101, 101, 101]);
  });

  test("roll back together when the caller throws, which is thrown as it is", async () => {
    const refusal = new Error("no");
    await expect(
      together([a, b], async (txs) => {
        await add(txs.at(a), a, -30);
        await add(txs.at(b), b, 30);
        throw refusal;
      }),
    ).rejects.toBe(refusal);
    expect(await balances()).toEqual([100, 100, 100]);
  });

  test("roll back together when one node refuses, also when that is caught", async () => {
    await expect(transfer(b, a, 101)).rejects.toMatchObject({
      code: "HOLDFAST_SQL_CONFLICT",
      outcome: "not-applied",
    });
    await expect(
      together([a, b], async (txs) => {
        await add(txs.at(a), a, 5);
        await add(txs.at(b), b, -500).catch(() => {});
      }),
    ).rejects.toMatchObject({ outcome: "not-applied" });
    expect(await balances()).toEqual([100, 100, 100]);
  });

  test("are read by the same session afterwards, on replicas too", async () => {
    const session = new Session();
    for (let round = 1; round <= 10; round++) {
      await transfer(a, b, 1, {}, new Call(systemClock, { timeoutMs: 10_000, session }));
      const seen = await inCall(new Call(systemClock, { timeoutMs: 10_000, session }), () =>
        Promise.all(
          [a, b].map((key) =>
            bank.port.read(bank.port.shardOf(key), "session", async (db: Kysely<BankTables>) => {
              const row = await db
                .selectFrom("account")
                .select("cents")
                .where("owner", "=", key)
                .executeTakeFirst();
              return row?.cents;
            }),
          ),
        ),
      );
      expect(seen).toEqual([100 - round, 100 + round]);
    }
  });

  test("happen once with an idempotency key, whatever the order of the keys, and answer what was answered", async () => {
    const idempotencyKey = `key-${made}'; drop table account; --`;
    const pay = (keys: string[]) =>
      together(
        keys,
        async (txs) => {
          await add(txs.at(a), a, -10);
          await add(txs.at(b), b, 10);
          return { paid: 10 };
        },
        { idempotencyKey, fingerprint: "a to b" },
      );
    expect(await pay([a, b])).toEqual({ paid: 10 });
    expect(await pay([b, a])).toEqual({ paid: 10 });
    expect(await balances()).toEqual([90, 110, 100]);
    await expect(
      together([a, b], async () => 1, { idempotencyKey, fingerprint: "something else" }),
    ).rejects.toMatchObject({ code: "HOLDFAST_IDEMPOTENCY_MISMATCH" });
  });

  test("that lock each other end within the bound, not applied or one after the other", async () => {
    const bothAt = Promise.withResolvers<void>();
    let first = 0;
    const crossed = (from: string, to: string) =>
      together(
        [a, b],
        async (txs) => {
          await add(txs.at(from), from, -1);
          if (++first === 2) bothAt.resolve();
          await bothAt.promise;
          await add(txs.at(to), to, 1);
        },
        { lockMs: 300 },
        new Call(systemClock, { timeoutMs: 8_000 }),
      );
    // No server sees this deadlock: each waits for a row that the other holds elsewhere.
    const ended = await Promise.allSettled([crossed(a, b), crossed(b, a)]);
    const applied = ended.filter(({ status }) => status === "fulfilled").length;
    for (const one of ended) {
      if (one.status === "rejected") expect((one.reason as HoldfastError).outcome).toBe("not-applied");
    }
    expect(first).toBeGreaterThan(2); // at least one was given up, and tried again
    expect(await balances().then((found) => (found[0] ?? 0) + (found[1] ?? 0))).toBe(200);
    expect(applied).toBeGreaterThan(0);
  });

  test("that lock each other until their deadlines are not applied, and let go", async () => {
    const both = Promise.withResolvers<void>();
    let first = 0;
    const crossed = (from: string, to: string) =>
      together(
        [a, b],
        async (txs) => {
          await add(txs.at(from), from, -1);
          if (++first === 2) both.resolve();
          await both.promise;
          await add(txs.at(to), to, 1);
        },
        { lockMs: 60_000 },
        new Call(systemClock, { timeoutMs: 700 }),
      );
    const ended = await Promise.allSettled([crossed(a, b), crossed(b, a)]);
    const outcomes = ended.map((one) =>
      one.status === "rejected" ? (one.reason as HoldfastError).outcome : "applied",
    );
    expect(outcomes).toContain("not-applied");
    expect(outcomes).not.toContain("unknown");
    await transfer(a, b, 1);
    expect(await balances().then((found) => (found[0] ?? 0) + (found[1] ?? 0))).toBe(200);
  });

  test("of a caller who gives up before the decision are taken back", async () => {
    const controller = new AbortController();
    const gone = together(
      [a, b],
      async (txs) => {
        await add(txs.at(a), a, -1);
        await add(txs.at(b), b, 1);
        controller.abort();
        await new Promise(() => {});
      },
      {},
      new Call(systemClock, { timeoutMs: 60_000, signal: controller.signal }),
    );
    await expect(gone).rejects.toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
    await transfer(a, b, 1); // nothing is locked any more
    expect(await balances()).toEqual([99, 101, 100]);
  });

  test("are refused on a shard that was not named, and every wrong input is told at once", async () => {
    await expect(together([a, b], async (txs) => txs.at(c))).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      outcome: "not-applied",
      message: expect.stringContaining("Name it among the keys"),
    });
    const wrong = together([a, null as unknown as string, {} as unknown as string], async () => {}, {
      lockMs: 1,
      fingerprint: "x",
      idempotencyKey: 7 as unknown as string,
    });
    await expect(wrong).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      data: {
        problems: [
          expect.stringContaining("keys[1]"),
          expect.stringContaining("keys[2]"),
          expect.stringContaining("lockMs should be 10 to 60000"),
          expect.stringContaining("idempotencyKey should be a string"),
        ],
      },
    });
    await expect(together([], async () => {})).rejects.toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
    await expect(together([a, b], async () => {}, { idempotencyKey: "x".repeat(256) })).rejects.toMatchObject(
      {
        code: "HOLDFAST_INPUT_INVALID",
      },
    );
  });

  test("whose transaction is kept and used afterwards are refused", async () => {
    let kept: Transaction<BankTables> | undefined;
    await together([a, b], async (txs) => {
      kept = txs.at(b);
    });
    await expect(add(kept as Transaction<BankTables>, b, 1)).rejects.toMatchObject({
      code: "HOLDFAST_TX_ENDED",
    });
  });
});

describe("keys on several shards of one node", () => {
  test("are one local transaction, and raw SQL stays on its own shard", async () => {
    const other = bank.keyOn("a", 900 + made);
    const same = [a, other];
    await open(other, 100);
    const prepared = meet(/prepare transaction/, (_, send) => send(), 9);
    await together(same, async (txs) => {
      await Promise.all(
        same.map((key) =>
          sql`update account set cents = cents + 1 where owner = ${key}`.execute(txs.at(key)),
        ),
      );
      // Whatever moves the path: a savepoint that is rolled back, a setting of the user's own.
      await sql`savepoint here`.execute(txs.at(a));
      await sql`select set_config('search_path', 'public', false)`.execute(txs.at(other));
      await sql`rollback to here`.execute(txs.at(other));
      for (const key of same) {
        const { rows } = await sql<{ s: string }>`select current_schema() as s`.execute(txs.at(key));
        expect(rows[0]?.s).toBe(`s${bank.port.shardOf(key)}`);
      }
      await sql`update account set cents = cents + 1 where owner = ${other}`.execute(txs.at(other));
    });
    expect(await Promise.all(same.map((key) => bank.balance(key)))).toEqual([101, 102]);
    expect(prepared.count).toBe(0);
  });

  test("need no synchronous replication, where several nodes are refused without it", async () => {
    const other = bank.keyOn("a", 900 + made);
    await open(other, 100);
    const loose = database<BankTables>("bank", { shards: { count: 6 }, nodes: 3 });
    const port = postgresDatabase(loose, bank.nodes, systemClock);
    const one = new World("loose", systemClock);
    one.bind(loose, port);
    let ran = false;
    await inWorld(one, () => loose.together([a, other], (txs) => add(txs.at(other), other, 1)));
    await expect(
      inWorld(one, () =>
        loose.together([a, b], async () => {
          ran = true;
        }),
      ),
    ).rejects.toMatchObject({
      code: "HOLDFAST_CROSS_SHARD_REFUSED",
      outcome: "not-applied",
      data: { reason: "asynchronous" },
    });
    expect([ran, await bank.balance(other)]).toEqual([false, 101]);
  });
});

describe("an answer that is lost", () => {
  test.each(["lost answer", "lost statement"])("to PREPARE aborts, and it is run again (%s)", async (how) => {
    const met = meet(/^prepare transaction/, how === "lost answer" ? loseAnswer : loseStatement);
    await transfer(a, b, 5);
    expect([met.count, await balances()]).toEqual([1, [95, 105, 100]]);
  });

  test.each(["lost answer", "lost statement"])(
    "to the decision is settled by the marker (%s)",
    async (how) => {
      const met = meet(/holdfast_decide.*commit$/s, how === "lost answer" ? loseAnswer : loseStatement);
      await transfer(a, b, 5);
      expect([met.count, await balances()]).toEqual([1, [95, 105, 100]]);
    },
  );

  test.each(["lost answer", "lost statement"])(
    "to COMMIT PREPARED is finished on another connection (%s)",
    async (how) => {
      const met = meet(/^commit prepared/, how === "lost answer" ? loseAnswer : loseStatement);
      await transfer(a, b, 5);
      expect([met.count, await balances()]).toEqual([1, [95, 105, 100]]);
    },
  );

  test("to the forgetting of the decision leaves it to recovery", async () => {
    meet(/delete from holdfast.decision/, loseStatement);
    await transfer(a, b, 5);
    expect((await bank.left()).decisions).toBe(1);
    vi.restoreAllMocks();
    expect((await bank.recover()).forgotten).toBe(1);
    expect(await bank.left()).toEqual({ prepared: 0, decisions: 0 });
  });
});

describe("servers that cannot hold a part", () => {
  afterEach(() => bank.postgres.nodes[0]?.setQuorum(1));

  test("are refused with what to change: nobody is waited for", async () => {
    await bank.postgres.nodes[0]?.setQuorum(0);
    await expect(transfer(a, b, 1)).rejects.toMatchObject({
      code: "HOLDFAST_CROSS_SHARD_REFUSED",
      data: { reason: "waits-for-nobody" },
    });
    expect(await balances().catch(() => "unproven")).toBe("unproven");
  });

  test("and while a node has degraded they wait, and are not begun", async () => {
    await bank.postgres.nodes[0]?.setQuorum(0);
    const degrades = database<BankTables>("bank", {
      shards: { count: 6 },
      nodes: 3,
      replication: { mode: "synchronous", quorum: 1, onReplicaLoss: "degrade" },
    });
    const one = new World("degraded", systemClock);
    one.bind(degrades, postgresDatabase(degrades, bank.nodes, systemClock));
    const call = new Call(systemClock, { timeoutMs: 500 });
    let ran = false;
    const writing = inWorld(one, () =>
      inCall(call, () =>
        degrades.together([a, b], async () => {
          ran = true;
        }),
      ),
    );
    await expect(writing).rejects.toMatchObject({
      code: expect.stringMatching(/^HOLDFAST_(UNAVAILABLE|DEADLINE)$/),
      outcome: "not-applied",
    });
    expect(ran).toBe(false);
  });

  test("and so is a server that cannot prepare anything", async () => {
    const none = await openBank({ replicas: 1, settings: { max_prepared_transactions: "0" } });
    try {
      const one = new World("none", systemClock);
      one.bind(none.declaration, none.port);
      const writing = inWorld(one, () =>
        none.declaration.together([none.keyOn("a"), none.keyOn("b")], async () => 1),
      );
      await expect(writing).rejects.toMatchObject({
        code: "HOLDFAST_CROSS_SHARD_REFUSED",
        data: { reason: "no-prepared-transactions" },
        message: expect.stringContaining("max_prepared_transactions is 0"),
      });
    } finally {
      await none.close();
    }
  });

  test("and so is a database whose commits do not wait", async () => {
    const [node] = bank.postgres.nodes;
    await node?.setWaits("bank_b", false);
    const fresh = bank.open();
    const one = new World("fresh", systemClock);
    one.bind(bank.declaration, fresh.port);
    await expect(
      inWorld(one, () => bank.declaration.together([a, b], (txs) => add(txs.at(b), b, 1))),
    ).rejects.toMatchObject({
      code: "HOLDFAST_CROSS_SHARD_REFUSED",
      data: { reason: "commits-do-not-wait" },
    });
    await fresh.nodes.close();
    await node?.setWaits("bank_b", true);
  });
});

describe("prepared transactions of others", () => {
  test("are never touched, whatever their names say", async () => {
    const names = ["somebody's", "holdfast:not-a-uuid:1/1:a", "holdfast:'; drop table account; --:1/1:a"];
    for (const name of names) {
      await bank.nodes.primary("a").use(async (session) => {
        await session.send({ text: "begin read write" });
        await session.send({ text: "select pg_current_xact_id()" });
        await session.send({ text: `prepare transaction '${name.replaceAll("'", "''")}'` });
      });
    }
    const { inDoubt } = await bank.recover();
    expect(inDoubt.map(({ gid, why }) => [gid, why])).toEqual(names.map((name) => [name, "foreign"]));
    for (const name of names) await onNode("a", `rollback prepared '${name.replaceAll("'", "''")}'`);
  });
});
