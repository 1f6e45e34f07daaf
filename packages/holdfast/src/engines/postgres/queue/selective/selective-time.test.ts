/** Clocks that are set back, transactions that are held open, and what is forgotten in time. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveQueueOptions } from "../../../../parts/queue/options.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../../testkit/index.ts";
import { careForQueue } from "./care.ts";
import { rulesOf } from "./rules.ts";
import {
  anything,
  bytesMax,
  done,
  enqueueAll,
  job,
  type QueueSettings,
  type SelectiveHome,
  selectiveHome,
} from "./selective-testing.ts";

let postgres: TestPostgres;
let home: SelectiveHome;
beforeAll(async () => {
  postgres = await startTestPostgres();
  home = await selectiveHome(postgres);
});
afterAll(async () => {
  await home?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const by = () => "";

async function idOf(name: string): Promise<number> {
  const [row] = await home.rows<{ id: number }>("select id from holdfast.queue where name = $1", [name]);
  return row?.id ?? 0;
}

async function careNow(name: string, settings: QueueSettings): Promise<void> {
  const options = resolveQueueOptions(name, { schema: anything, ...settings });
  const queueId = await idOf(name);
  await home.nodes
    .primary(home.nodes.home)
    .use((session) => careForQueue(session, { queueId, options, rules: rulesOf(options) }));
}

test("a clock that was set back costs one bucket, and stops nothing", async () => {
  const settings: QueueSettings = { group: { by, rate: { count: 2, perMs: 1_000 } } };
  const port = home.open("set-back", settings);
  await port.enqueue(Array.from({ length: 6 }, (_, n) => job(n, { group: "g" })));
  const member = await port.join("w", "m@1", 600_000);
  expect(await port.claim(member, 10, bytesMax)).toHaveLength(2);
  // The clock goes back by a day: everything that was noted lies a day ahead.
  const queueId = await idOf("set-back");
  await home.nodes.primary(home.nodes.home).use((session) =>
    session.send({
      text: `begin read write; update holdfast.selective_state set spent_until = spent_until + interval '1 day',
               wake_at = wake_at + interval '1 day' where queue = ${queueId}; commit`,
    }),
  );
  expect(await port.claim(member, 10, bytesMax)).toEqual([]);
  await careNow("set-back", settings);
  let taken = 0;
  await until(
    async () => {
      taken += (await port.claim(member, 10, bytesMax)).length;
      return taken >= 2;
    },
    { what: "the bucket to fill again", timeoutMs: 20_000 },
  );
});

test("while a transaction is held open, a claim reads no more of what was taken before than without it", async () => {
  const settings: QueueSettings = {
    group: { by, concurrencyMax: 5, rate: { count: 100_000, perMs: 1_000 } },
  };
  const port = home.open("held", settings);
  const rules = rulesOf(resolveQueueOptions("held", { schema: anything, ...settings }));
  const member = await port.join("w", "m@1", 600_000);
  await port.enqueue([job(0, { group: "first" })]);
  const queueId = await idOf("held");
  await home.nodes.primary(home.nodes.home).use(async (holding) => {
    // A snapshot and a transaction id: nothing that dies from now on can be cleared away.
    await holding.send({
      text: "begin isolation level repeatable read read write; select pg_current_xact_id(), count(*) from holdfast.queue",
    });
    for (let round = 0; round < 4; round++) {
      await enqueueAll(
        port,
        Array.from({ length: 500 }, (_, n) => job(n, { group: `g${n % 5}`, due: { afterMs: n % 2 } })),
      );
      let left = 500;
      await until(
        async () => {
          const jobs = await port.claim(member, 50, bytesMax);
          await done(port, member, jobs);
          left -= jobs.length;
          return left <= 1;
        },
        { what: "all jobs to be done", timeoutMs: 60_000 },
      );
    }
    await port.enqueue(Array.from({ length: 10 }, (_, n) => job(n, { group: `g${n % 5}` })));
    const read = await home.nodes.primary(home.nodes.home).use(async (session) => {
      const floors = await session.send<{ turn: string; wake_at: string; due_at: string }>({
        text: `select * from holdfast.selective_floors(${queueId})`,
      });
      const from = floors.rows[0];
      /** Index entries that this session has come across, dead ones too. */
      const entries = async (): Promise<number> => {
        const { rows } = await session.send<{ entries: number }>({
          text: `select sum(pg_stat_get_xact_tuples_returned(indexrelid))::int as entries from pg_index
                  where indrelid in ('holdfast.selective_item'::regclass, 'holdfast.selective_state'::regclass)`,
        });
        return rows[0]?.entries ?? 0;
      };
      await session.send({ text: "begin read write" });
      const before = await entries();
      const claimed = await session.send({
        text: `select * from holdfast.selective_claim($1, $2::bigint, gen_random_uuid(), 10, 1000000, $3::jsonb, $4::bigint, $5::timestamptz, $6::timestamptz)
                where id is not null`,
        values: [queueId, member.token.toString(), rules, from?.turn, from?.wake_at, from?.due_at],
      });
      expect(claimed.rowCount).toBe(10);
      const after = await entries();
      await session.send({ text: "commit" });
      return after - before;
    });
    const [dead] = await home.rows<{ n: number }>(
      "select (pg_stat_get_tuples_deleted('holdfast.selective_item'::regclass))::int as n",
    );
    expect(dead?.n ?? 2_000).toBeGreaterThan(1_000); // they are there, and cannot be cleared away
    expect(read).toBeGreaterThan(10);
    expect(read).toBeLessThan(700);
    await holding.send({ text: "rollback" });
  });
}, 180_000);

test("groups that nobody needs are forgotten, and made anew when a job comes", async () => {
  const settings: QueueSettings = { group: { by, concurrencyMax: 3 } };
  const port = home.open("forgotten", settings);
  const member = await port.join("w", "m@1", 600_000);
  await port.enqueue(["a", "b", "c"].map((group) => job(group, { group })));
  await done(
    port,
    member,
    (await port.claim(member, 10, bytesMax)).filter(({ group }) => group !== "c"),
  );
  await careNow("forgotten", settings);
  const names = () =>
    home.rows<{ name: string }>(
      "select name from holdfast.selective_group g where queue = $1 and not whole order by name",
      [queueId],
    );
  const queueId = await idOf("forgotten");
  expect((await names()).map(({ name }) => name)).toEqual(["c"]);
  await port.enqueue([job("again", { group: "a" })]);
  expect((await port.claim(member, 10, bytesMax)).map(({ value }) => value)).toEqual(["again"]);
});

test("a dead letter whose group was forgotten runs again", async () => {
  const settings: QueueSettings = { group: { by, ordered: true } };
  const port = home.open("redriven", settings);
  const member = await port.join("w", "m@1", 600_000);
  await port.enqueue([job("poison", { group: "g" })]);
  const [poison] = await port.claim(member, 1, bytesMax);
  if (!poison) throw new Error("there is no job");
  const failure = { code: "ERROR", message: "broken \0 \ud800", outcome: "unknown" } as const;
  await port.finish(member, [{ job: poison, end: { kind: "dead", failure } }]);
  expect((await port.get(poison.id))?.failure?.message).toBe("broken \ufffd \ufffd");
  await careNow("redriven", settings);
  expect(await port.redrive({ ids: [poison.id] }, 10)).toBe(1);
  expect(await port.claim(member, 1, bytesMax)).toMatchObject([{ id: poison.id, attempt: 1, group: "g" }]);
});
