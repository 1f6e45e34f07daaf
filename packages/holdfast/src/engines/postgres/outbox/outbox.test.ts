/** What is published in a transaction: with it or not at all, each once, in order, whatever happens to the relay. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall, Session } from "../../../call/index.ts";
import { seededRandom, systemClock } from "../../../clock/index.ts";
import { database, topic } from "../../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { postgresDatabase } from "../database.ts";
import { commitProxy } from "../fixtures/commit-proxy.ts";
import { grantRoles } from "../roles.ts";
import type { PgSession } from "../session.ts";
import { countUp, numbers, settled, sorted } from "./fixtures/counting.ts";
import { bought, openShop, type Shop, type ShopOptions, shop, type Tables } from "./fixtures/shop.ts";
import { primarySessions } from "./relay.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
const shops: Shop[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase();
});
afterEach(async () => {
  for (const one of shops.splice(0).reverse()) await one.close();
});

const anything: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "holdfast-tests", validate: (value) => ({ value }) },
};

async function open(options: ShopOptions = {}): Promise<Shop> {
  const one = await openShop(config, options);
  shops.push(one);
  return one;
}

test("what a transaction publishes comes with its commit, on any shard and node, and not without it", async () => {
  const one = await open();
  const customers = ["ada", "grace", "linus", "edsger", "barbara", "ken"];
  for (const customer of customers) await one.buy(customer, "kelp");
  const nodes = new Set(
    customers.map((customer) => one.nodes.map.place(one.within(() => shop.at(customer).index)).node),
  );
  expect(nodes.size).toBe(2);
  const gone = one.within(() =>
    shop.at("ada").write(async (tx) => {
      await bought.publish({ customer: "ada", item: "never" }, { in: tx });
      throw new Error("no");
    }),
  );
  await expect(gone).rejects.toThrow("no");
  expect(await settled(one)).toEqual(new Map(customers.map((customer) => [customer, ["kelp"]])));
});

test("an attempt that is run again publishes once", async () => {
  const one = await open();
  let runs = 0;
  await one.within(() =>
    shop.at("ada").write(async (tx) => {
      runs++;
      await bought.publish({ customer: "ada", item: `attempt ${runs}` }, { in: tx });
      if (runs < 3)
        await sql`do $$ begin raise exception 'again' using errcode = '40001'; end $$`.execute(tx);
    }),
  );
  expect(runs).toBe(3);
  expect(await settled(one)).toEqual(new Map([["ada", ["attempt 3"]]]));
});

test("what is published behind a savepoint goes when it is rolled back", async () => {
  const one = await open();
  await one.within(() =>
    shop.at("ada").write(async (tx) => {
      const publish = (item: string) => bought.publish({ customer: "ada", item }, { in: tx });
      await publish("before");
      await sql`savepoint "First one"`.execute(tx);
      await publish("undone");
      await sql`savepoint second`.execute(tx);
      await publish("undone too");
      await sql`rollback to savepoint "First one"`.execute(tx);
      await publish("after");
      await sql`/* still open */ savepoint third`.execute(tx);
      await publish("kept");
      await sql`release savepoint THIRD`.execute(tx);
    }),
  );
  expect(await settled(one)).toEqual(new Map([["ada", ["before", "after", "kept"]]]));
});

describe("publish", () => {
  const item = { customer: "ada", item: "kelp" };
  const helper = async () => {
    await null;
    await bought.publish(item);
  };

  test("without `in` is refused anywhere inside a write, and is fine in a read, and afterwards", async () => {
    const one = await open();
    const refused = { code: "HOLDFAST_TX_OPEN", outcome: "not-applied", data: { field: "in" } };
    await expect(one.within(() => shop.at("ada").write(helper))).rejects.toMatchObject(refused);
    await expect(one.within(() => shop.together(["ada", "ada"], helper))).rejects.toMatchObject(refused);
    const guard = { consumer: "c", partition: 0, sequence: 1n };
    await expect(one.within(() => shop.at("ada").writeOnce(guard, helper))).rejects.toMatchObject(refused);
    let left: Promise<void> | undefined;
    let leave = () => {};
    const committed = new Promise<void>((resolve) => {
      leave = resolve;
    });
    await one.within(() =>
      shop.at("ada").write(async () => {
        left = committed.then(helper);
      }),
    );
    leave();
    await left;
    await one.within(() => shop.at("ada").read(helper));
    expect(await settled(one)).toEqual(new Map([["ada", ["kelp", "kelp"]]]));
  });

  test("with a transaction that has ended, is a read's, or is not ours, is refused with what is wrong", async () => {
    const one = await open();
    const publish = (tx: unknown) =>
      one.within(() => bought.publish(item, { in: tx as Transaction<Tables> }));
    let ended: Transaction<Tables> | undefined;
    await one.within(() =>
      shop.at("ada").write(async (tx) => {
        ended = tx;
      }),
    );
    await expect(publish(ended)).rejects.toMatchObject({ code: "HOLDFAST_TX_ENDED", outcome: "not-applied" });
    const invalid = (says: RegExp) => ({
      code: "HOLDFAST_INPUT_INVALID",
      outcome: "not-applied",
      message: expect.stringMatching(says),
      data: { kind: "topic", name: "bought", field: "in" },
    });
    await one.within(() =>
      shop.at("ada").read((db) => expect(publish(db)).rejects.toMatchObject(invalid(/`sql` of a read/))),
    );
    for (const [wrong, says] of [
      [null, /it is null/],
      ["tx", /it is a string/],
      [{}, /an object that is no transaction/],
    ] as const) {
      await expect(publish(wrong)).rejects.toMatchObject(invalid(says));
    }
    const pool = new pg.Pool({ ...config.nodes[0]?.primary, max: 1 });
    const foreign = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    await foreign
      .transaction()
      .execute((tx) => expect(publish(tx)).rejects.toMatchObject(invalid(/did not begin/)));
    await foreign.destroy();
    const stranger = database<never>("stranger", { shards: { count: 4 } });
    const port = postgresDatabase(stranger, one.nodes, systemClock);
    await port.write(
      0,
      (tx) => expect(publish(tx)).rejects.toMatchObject(invalid(/database "stranger"/)),
      {},
    );
    expect(await settled(one)).toEqual(new Map());
  });

  test("with a `tx` that has another schema or plugins is the same transaction", async () => {
    const one = await open();
    await one.within(() =>
      shop
        .at("ada")
        .write((tx) => bought.publish(item, { in: tx.withSchema("public").withoutPlugins() as never })),
    );
    expect(await settled(one)).toEqual(new Map([["ada", ["kelp"]]]));
  });

  test("of what does not fit the schema dooms nothing, and says what is wrong", async () => {
    const one = await open();
    await one.within(() =>
      shop.at("ada").write(async (tx) => {
        await expect(bought.publish({ item: "kelp" } as never, { in: tx })).rejects.toMatchObject({
          code: "HOLDFAST_INPUT_INVALID",
        });
        await bought.publish(item, { in: tx });
      }),
    );
    expect(await settled(one)).toEqual(new Map([["ada", ["kelp"]]]));
  });
});

test("10 MB, and thousands at once, commit with their transaction", async () => {
  const one = await open();
  const note = "k".repeat(10 << 20);
  await one.within(() =>
    shop.at("ada").write(async (tx) => {
      await bought.publish({ customer: "ada", item: "large", note }, { in: tx });
      await bought.publish({ customer: "ada", item: "larger", note: note + note }, { in: tx });
    }),
  );
  await countUp(one, "grace", 5_000);
  await countUp(one, "grace", 1);
  const lengths: number[] = [];
  const counted: string[] = [];
  await until(
    async () => {
      for (const { value } of await one.delivered()) {
        if (value.note) lengths.push(value.note.length);
        else counted.push(value.item);
      }
      return counted.length === 5_001 && lengths.length === 2;
    },
    { what: "all of it", timeoutMs: 60_000 },
  );
  expect(lengths).toEqual([note.length, 2 * note.length]);
  expect(counted).toEqual(numbers(5_001));
});

test("more than a transaction may publish is refused, with the bounds, and dooms nothing", async () => {
  const one = await open({ relays: false });
  await one
    .within(() =>
      shop.at("ada").write(async (tx) => {
        const many = Array.from({ length: 10_000 }, () => ({ customer: "ada", item: "x" }));
        for (let i = 0; i < 5; i++) await bought.publish(many, { in: tx });
        await expect(bought.publish(many, { in: tx })).rejects.toMatchObject({
          code: "HOLDFAST_INPUT_INVALID",
          message: expect.stringMatching(/60000 messages, and 50000 is the most/),
        });
        throw new Error("enough");
      }),
    )
    .catch((error: Error) => expect(error.message).toBe("enough"));
});

test("messages of a key come in the order of the commits, with many writers and processes", async () => {
  const processes = [await open(), await open(), await open()];
  const customers = ["ada", "grace", "linus", "edsger", "barbara"];
  const each = 30;
  await Promise.all(
    processes.flatMap((from) =>
      customers.map(async (customer) => {
        for (let i = 0; i < each; i++) await countUp(from, customer);
      }),
    ),
  );
  const expected = customers.map((customer) => [customer, numbers(each * processes.length)] as const);
  expect(sorted(await settled(processes[0] as Shop))).toEqual(sorted(new Map(expected)));
});

test("relays that work at the same time move each message once, in order", async () => {
  const writer = await open({ relays: false });
  // Each leads by its own lights: leases are left out.
  const racers = [await open(), await open(), await open()];
  for (const racer of racers) await racer.relay?.stop();
  let done = false;
  const racing = racers.map(async (racer) => {
    while (!done) {
      for (const route of racer.relay?.routes ?? []) await route.moveBatch();
    }
  });
  const customers = ["ada", "grace", "linus"];
  await Promise.all(
    customers.map(async (customer) => {
      for (let i = 0; i < 60; i++) await countUp(writer, customer);
    }),
  );
  const items = await settled(writer);
  done = true;
  await Promise.all(racing);
  expect(sorted(items)).toEqual(sorted(new Map(customers.map((customer) => [customer, numbers(60)]))));
});

test("a relay whose connection breaks anywhere around its append and its commit loses and doubles nothing", async () => {
  const random = seededRandom(7);
  let breaks = 0;
  let session: PgSession | undefined;
  const cut = (chance: number) => {
    if (random.next() >= chance) return;
    breaks++;
    const broken = session;
    // Before COMMIT is sent, right behind it, or while it is under way.
    const turns = Math.floor(random.next() * 4);
    const wait = (left: number): void => {
      if (left === 0) broken?.destroy();
      else setImmediate(() => wait(left - 1));
    };
    wait(turns);
  };
  const one = await open({
    destinations: (real) => [
      {
        ...real,
        append: async (on, messages) => {
          session = on;
          cut(0.2);
          await real.append(on, messages);
          cut(0.4);
        },
        appended: () => {
          real.appended();
          if (random.next() < 0.1) throw new Error("the relay dies before it knows");
        },
      },
    ],
  });
  const customers = ["ada", "grace", "linus", "edsger"];
  await Promise.all(
    customers.map(async (customer) => {
      for (let i = 0; i < 60; i++) await countUp(one, customer);
    }),
  );
  const items = await settled(one);
  expect(breaks).toBeGreaterThan(3);
  expect(sorted(items)).toEqual(sorted(new Map(customers.map((customer) => [customer, numbers(60)]))));
});

test("a COMMIT without an answer is settled, and what it published comes once", async () => {
  const [first, second] = config.nodes as [DatabaseConfig["nodes"][number], DatabaseConfig["nodes"][number]];
  const proxy = await commitProxy(first.primary);
  const proxied = { ...first, primary: { ...first.primary, port: proxy.port } };
  const one = await openShop({ ...config, nodes: [proxied, second] }, { relays: false });
  shops.push(one);
  const relay = await open();
  const customer = ["a", "b", "c", "d", "e"].find(
    (name) => one.nodes.map.place(one.within(() => shop.at(name).index)).node === first.name,
  ) as string;
  proxy.next = { kind: "lose-answer" };
  await one.buy(customer, "answer lost");
  proxy.next = { kind: "lose-commit" };
  await one.buy(customer, "commit lost");
  expect(proxy.faults).toBe(2);
  expect(await settled(relay)).toEqual(new Map([[customer, ["answer lost", "commit lost"]]]));
  await proxy.close();
});

test("a topic of another database gets what is published on any node of this one", async () => {
  const home = await postgres.freshDatabase();
  const one = await open({ home: { ...home, nodes: [...home.nodes].reverse() } });
  for (let i = 0; i < 5; i++) for (const customer of ["ada", "grace", "linus"]) await countUp(one, customer);
  expect(sorted(await settled(one))).toEqual(
    sorted(new Map(["ada", "grace", "linus"].map((customer) => [customer, numbers(5)]))),
  );
});

test("the session of a message knows the commit that published it", async () => {
  const one = await open();
  await one.buy("ada", "kelp");
  const messages: { session: string | undefined; traceparent: string | undefined }[] = [];
  await until(async () => {
    messages.push(...(await one.delivered()));
    return messages.length > 0;
  });
  const [message] = messages;
  const node = one.nodes.map.place(one.within(() => shop.at("ada").index)).node;
  expect(
    [...(Session.decode(message?.session ?? "") ?? new Session()).entries()].map(([name]) => name),
  ).toEqual([node]);
  expect(message?.traceparent).toBeUndefined();
  using call = new Call(systemClock, { timeoutMs: 10_000 });
  await inCall(call, () => one.buy("ada", "dulse"));
  await until(async () => {
    messages.push(...(await one.delivered()));
    return messages.length > 1;
  });
  expect(messages[1]?.traceparent).toContain(call.trace.traceId);
});

test("what was moved is kept for a time, then truncated, and never moved again", async () => {
  const one = await open({ retentionMs: 400 });
  const size = () =>
    Promise.all(
      config.nodes.map(({ name }) =>
        primarySessions(
          one.nodes,
          name,
          systemClock,
        )(async (session) => {
          const { rows } = await session.send<{ rows: number; ticks: number }>({
            text: `select (select count(*)::int from holdfast.outbox) as rows,
              (select count(*)::int from holdfast.outbox_tick) as ticks`,
          });
          return rows[0] as { rows: number; ticks: number };
        }),
      ),
    );
  for (let i = 0; i < 40; i++) await countUp(one, "ada");
  expect(await settled(one)).toEqual(new Map([["ada", numbers(40)]]));
  await until(
    async () => {
      await one.buy("turn", "the ring"); // sealing needs a message, and so does moving on
      const sizes = await size();
      return sizes.every(({ rows, ticks }) => rows < 20 && ticks < 40);
    },
    { what: "the ring to be emptied", timeoutMs: 20_000 },
  );
  const rest = await settled(one);
  rest.delete("turn");
  expect(rest).toEqual(new Map());
});

test("a source that has lost its ticks is read anew, and nothing comes twice", async () => {
  const one = await open();
  for (let i = 0; i < 30; i++) await countUp(one, "ada");
  expect(await settled(one)).toEqual(new Map([["ada", numbers(30)]]));
  for (const everything of [false, true]) {
    for (const { name } of config.nodes) {
      await primarySessions(
        one.nodes,
        name,
        systemClock,
      )(async (session) => {
        await session.send({ text: "begin read write" });
        await session.send({
          text: `delete from holdfast.outbox_tick where ${everything} or at >
            (select at from holdfast.outbox_tick order by at desc offset 3 limit 1)`,
        });
        await session.send({ text: "commit" });
      });
    }
    const before = everything ? 35 : 30;
    for (let i = 0; i < 5; i++) await countUp(one, "ada");
    expect(await settled(one)).toEqual(new Map([["ada", numbers(before + 5).slice(before)]]));
  }
});

test("what is for a destination that cannot be reached waits, holds up no other, and comes when it can", async () => {
  let away = true;
  let tried = 0;
  const arrived: string[] = [];
  const one = await open({
    destinations: (real) => [
      real,
      {
        ...real,
        name: "elsewhere",
        open: async () => {
          tried++;
          if (away) throw new Error("away");
        },
        append: async (_, messages) => {
          arrived.push(...messages.map(({ json }) => JSON.parse(json)));
        },
        appended: () => {},
      },
    ],
  });
  const elsewhere = topic("elsewhere", { schema: anything, keyBy: () => "k", partitions: 1 });
  one.world.bind(elsewhere, one.port as never);
  for (const item of numbers(10)) {
    await one.within(() => shop.at("ada").write((tx) => elsewhere.publish(item, { in: tx })));
    await countUp(one, "ada");
  }
  await until(() => tried > 2, { what: "the relay to try" });
  expect(await settled(one)).toEqual(new Map([["ada", numbers(10)]]));
  expect(arrived).toEqual([]);
  away = false;
  await until(() => arrived.length >= 10, { what: "it to come", timeoutMs: 30_000 });
  expect(arrived).toEqual(numbers(10));
});

test("a batch's effects and what they publish happen once; so does a write with an idempotency key", async () => {
  const one = await open();
  const apply = (sequence: bigint, item: string) =>
    one.within(() =>
      shop
        .at("ada")
        .writeOnce({ consumer: "c", partition: 0, sequence }, (tx) =>
          bought.publish({ customer: "ada", item }, { in: tx }),
        ),
    );
  expect([await apply(1n, "first"), await apply(1n, "again"), await apply(2n, "second")]).toEqual([
    true,
    false,
    true,
  ]);
  for (const item of ["keyed", "keyed again"]) {
    await one.within(() =>
      shop
        .at("ada")
        .write((tx) => bought.publish({ customer: "ada", item }, { in: tx }), { idempotencyKey: "order-1" }),
    );
  }
  expect(await settled(one)).toEqual(new Map([["ada", ["first", "second", "keyed"]]]));
});

test("a write of reference tables publishes with its one transaction, at home", async () => {
  const one = await open();
  const add = (code: string, fails: boolean) =>
    one.within(() =>
      shop.reference.write(async (tx) => {
        await tx.insertInto("currency").values({ code }).execute();
        await expect(bought.publish({ customer: "mint", item: code })).rejects.toMatchObject({
          code: "HOLDFAST_TX_OPEN",
        });
        await bought.publish({ customer: "mint", item: code }, { in: tx });
        if (fails) throw new Error("no");
      }),
    );
  await expect(add("XXX", true)).rejects.toThrow("no");
  expect(await add("EUR", false)).toMatchObject({ behind: [] });
  expect(await settled(one)).toEqual(new Map([["mint", ["EUR"]]]));
});

test("serializable writes that have to be run again publish once, in the order of their commits", async () => {
  const one = await open();
  await Promise.all(
    Array.from({ length: 12 }, () =>
      one.within(() =>
        shop.at("ada").write(
          async (tx) => {
            const { n } = await tx
              .selectFrom("purchase")
              .select((row) => row.fn.countAll<string>().as("n"))
              .executeTakeFirstOrThrow();
            await tx.insertInto("purchase").values({ customer: "ada", item: n }).execute();
            await bought.publish({ customer: "ada", item: n }, { in: tx });
          },
          { isolation: "serializable" },
        ),
      ),
    ),
  );
  expect(await settled(one)).toEqual(new Map([["ada", numbers(12, 0)]]));
});

test("a role without rights at the topic's home publishes; who has them moves it, and leaves it to whoever is willing", async () => {
  const home = await postgres.freshDatabase();
  const owner = await open({ home, reluctant: true });
  const name = `seller_${config.nodes[0]?.primary.database.replaceAll("-", "_")}`;
  const role = { name, password: "sells-all-day-long", access: "read-write" } as const;
  await grantRoles(owner.nodes, [role], systemClock.random);
  await grantRoles(owner.home, [], systemClock.random);
  const as = (to: DatabaseConfig): DatabaseConfig => ({
    ...to,
    nodes: to.nodes.map((node) => ({
      ...node,
      primary: { ...node.primary, user: role.name, password: role.password },
    })),
  });
  // Its relay is willing, and cannot: so it lets go.
  const seller = await openShop(as(config), { home: as(home), migrate: false });
  shops.push(seller);
  for (let i = 0; i < 5; i++) await countUp(seller, "ada");
  expect(await settled(owner)).toEqual(new Map([["ada", numbers(5)]]));

  const willing = await open({ home });
  const leaders = () =>
    primarySessions(
      owner.nodes,
      "node-1",
      systemClock,
    )(async (session) => {
      const { rows } = await session.send<{ reluctant: boolean }>({
        text: "select reluctant from holdfast.outbox_lease",
      });
      return rows.map((row) => row.reluctant);
    });
  await until(async () => (await leaders()).join() === "false", { what: "the willing one to lead" });
  await countUp(seller, "ada");
  expect(await settled(willing, 30_000, owner)).toEqual(new Map([["ada", ["6"]]]));
});

test("what waits is told: how much, for whom, since when, and what nobody will ever move", async () => {
  const one = await open({ relays: false });
  const watching = await open();
  await watching.relay?.stop();
  await countUp(one, "ada", 3);
  const node = one.nodes.map.place(one.within(() => shop.at("ada").index)).node;
  const gone = topic("gone", { schema: anything, keyBy: () => "k", partitions: 1 });
  one.world.bind(gone, one.port as never);
  await one.within(() => shop.at("ada").write((tx) => gone.publish("lost", { in: tx })));
  const backlogOf = async () =>
    (await watching.relay?.backlogs())?.find((backlog) => backlog.node === node)?.routes;
  expect(await backlogOf()).toMatchObject([
    { destination: "topic:bought", state: "moving", waiting: 3, held: 0 },
    { destination: "topic:gone", state: "unknown" },
  ]);
  expect((await backlogOf())?.[0]?.oldestMs).toBeGreaterThan(0);
  const relaying = await open();
  await settled(relaying);
  expect(await backlogOf()).toMatchObject([
    { destination: "topic:bought", state: "moving", waiting: 0, oldestMs: 0 },
    { destination: "topic:gone", state: "unknown" },
  ]);
});
