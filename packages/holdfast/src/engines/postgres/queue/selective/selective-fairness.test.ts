/** Nobody is starved, and nobody who is held up holds up others: counted in claims, not in time. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveQueueOptions } from "../../../../parts/queue/options.ts";
import { startTestPostgres, type TestPostgres } from "../../../../testkit/index.ts";
import { rulesOf } from "./rules.ts";
import {
  anything,
  bytesMax,
  done,
  enqueueAll,
  job,
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

test("one tenant with 100,000 jobs, and 50 with one: each of those begins within one turn", async () => {
  const port = home.open("tenants", { group: { by } });
  await enqueueAll(
    port,
    Array.from({ length: 100_000 }, (_, n) => job(n, { group: "whale" })),
  );
  const member = await port.join("w", "m@1", 600_000);
  for (let n = 0; n < 3; n++) await done(port, member, await port.claim(member, 10, bytesMax));
  await port.enqueue(Array.from({ length: 50 }, (_, n) => job(n, { group: `tenant-${n}` })));
  const groups: (string | undefined)[] = [];
  for (let n = 0; n < 6; n++) {
    const jobs = await port.claim(member, 10, bytesMax);
    groups.push(...jobs.map((one) => one.group));
    await done(port, member, jobs);
  }
  // 51 groups take turns: after 51 jobs each has had its own.
  expect(new Set(groups.slice(0, 51)).size).toBe(51);
  expect(groups).toHaveLength(60);
}, 120_000);

test("100,000 jobs of a tenant at its limit are not looked at when others are served", async () => {
  const options = { group: { by, concurrencyMax: 1 } };
  const port = home.open("blocked", options);
  await enqueueAll(
    port,
    Array.from({ length: 100_000 }, (_, n) => job(n, { group: "blocked" })),
  );
  const member = await port.join("w", "m@1", 600_000);
  const [head] = await port.claim(member, 10, bytesMax);
  expect(head?.group).toBe("blocked");
  await port.enqueue(Array.from({ length: 40 }, (_, n) => job(n, { group: `free-${n % 20}` })));
  const { groups, read } = await home.nodes.primary(home.nodes.home).use(async (session) => {
    await session.send({ text: "begin read write" });
    const { rows } = await session.send<{ group_name: string | null }>({
      text: `select c.group_name from holdfast.queue q, holdfast.selective_claim(
               q.id, $1::bigint, gen_random_uuid(), 100, 1000000, $2::jsonb, 0, '-infinity', '-infinity') c
              where q.name = 'blocked' and c.id is not null`,
      values: [
        member.token.toString(),
        rulesOf(resolveQueueOptions("blocked", { schema: anything, ...options })),
      ],
    });
    // What this transaction has read of jobs, by whatever way.
    const answer = await session.send<{ read: number }>({
      text: `select sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as read from pg_stat_xact_user_tables
              where relname = 'selective_item'`,
    });
    await session.send({ text: "commit" });
    return { groups: rows.map((row) => row.group_name), read: answer.rows[0]?.read };
  });
  expect(groups).toHaveLength(20);
  expect(groups).not.toContain("blocked");
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(500);
}, 120_000);

test("a retry of an ordered group holds up that group and no other", async () => {
  const port = home.open("held-up", { group: { by, ordered: true } });
  const member = await port.join("w", "m@1", 600_000);
  await port.enqueue([job("a1", { group: "a" }), job("a2", { group: "a" })]);
  const [head] = await port.claim(member, 10, bytesMax);
  if (!head) throw new Error("there is no job");
  const failure = { code: "ERROR", message: "later", outcome: "unknown" } as const;
  await port.finish(member, [{ job: head, end: { kind: "retry", afterMs: 3_600_000, failure } }]);
  await port.enqueue([job("b1", { group: "b" })]);
  expect((await port.claim(member, 10, bytesMax)).map(({ value }) => value)).toEqual(["b1"]);
  // The head is cancelled: its group goes on.
  expect(await port.cancel(head.id)).toBe("cancelled");
  expect((await port.claim(member, 10, bytesMax)).map(({ value }) => value)).toEqual(["a2"]);
});

test("a delayed head of an ordered group holds up those behind it", async () => {
  const port = home.open("delayed-head", { group: { by, ordered: true } });
  const member = await port.join("w", "m@1", 600_000);
  const [head] = await port.enqueue([
    job("first", { group: "a", due: { afterMs: 3_600_000 } }),
    job("second", { group: "a" }),
  ]);
  expect(await port.claim(member, 10, bytesMax)).toEqual([]);
  expect(await port.counts()).toMatchObject({ waiting: 1, delayed: 1 });
  await port.cancel(head?.id ?? "");
  expect((await port.claim(member, 10, bytesMax)).map(({ value }) => value)).toEqual(["second"]);
});
