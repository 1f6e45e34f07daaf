/** Transactions across nodes on Debian's Postgres 15: the protocol, and recovery at its two ends. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { inWorld, World } from "../../parts/index.ts";
import { formatGid } from "./cross-shard-gid.ts";
import { type Bank, openBank } from "./fixtures/cross-shard-bank.ts";
import { drawMarkerId } from "./marker.ts";

let bank: Bank;
beforeAll(async () => {
  bank = await openBank({ major: 15 });
});
afterAll(() => bank?.close());

test("both keys change, or neither, and recovery knows which", async () => {
  const keys = [bank.keyOn("a"), bank.keyOn("b")];
  const world = new World("fifteen", systemClock);
  world.bind(bank.declaration, bank.port);
  await inWorld(world, () =>
    bank.declaration.together(keys, async (txs) => {
      for (const owner of keys)
        await txs.at(owner).insertInto("account").values({ owner, cents: 7 }).execute();
    }),
  );
  expect(await Promise.all(keys.map((key) => bank.balance(key)))).toEqual([7, 7]);
  // Two that were left prepared: one was decided, the other was not.
  const [decided, undecided] = [
    { id: drawMarkerId(systemClock) },
    { id: drawMarkerId(systemClock) },
  ] as const;
  for (const { id } of [decided, undecided]) {
    const gid = formatGid({ id, number: 1, participants: 1, coordinator: "a" });
    await bank.nodes.primary("b").use(async (session) => {
      await session.send({ text: "begin read write" });
      await session.send({ text: `insert into s1.account (owner, cents) values ('${id}', 1)` });
      await session.send({ text: `prepare transaction '${gid}'` });
    });
  }
  await bank.nodes.primary("a").use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({
      text: "insert into holdfast.decision (id, participants) values ($1, $2)",
      values: [decided.id, ["b"]],
    });
    await session.send({ text: "commit" });
  });
  const { committed, rolledBack } = await bank.recover();
  expect([committed.length, rolledBack.length]).toEqual([1, 1]);
  const { forgotten } = await bank.recover();
  expect(forgotten).toBe(1);
  expect(await bank.left()).toEqual({ prepared: 0, decisions: 0 });
  await bank.nodes.primary("b").use(async (session) => {
    const { rows } = await session.send<{ owner: string }>({
      text: "select owner from s1.account where cents = 1",
    });
    expect(rows).toEqual([{ owner: decided.id }]);
  });
});
