/** Many claim at once, while their connections are killed and some stand still: histories, and counts that stay right. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clock, seededRandom, systemClock } from "../../../../clock/index.ts";
import type { ClaimedJob, QueuePort } from "../../../../parts/queue/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../../testkit/index.ts";
import { bytesMax, job, type SelectiveHome, selectiveHome } from "./selective-testing.ts";

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
const clock: Clock = systemClock;
const passing = new Set([
  "HOLDFAST_CONNECTION_LOST",
  "HOLDFAST_UNAVAILABLE",
  "HOLDFAST_OVERLOADED",
  "HOLDFAST_FENCED",
]);

interface Begun {
  readonly value: unknown;
  readonly attempt: number;
}

test("an ordered group stays in order, and every count right, while backends are killed and members are lost", async () => {
  const seed = 20_261;
  const random = seededRandom(seed);
  const options = { group: { by, ordered: true }, concurrencyMax: 6, retry: { attemptsMax: 1_000 } };
  const name = "killed";
  const ports = [0, 1, 2].map(() => home.another(name, options));
  const groups = ["a", "b", "c", "d", "e"];
  const each = 12;
  const producer = ports[0] as QueuePort;
  for (let n = 0; n < each; n++) await producer.enqueue(groups.map((group) => job(n, { group })));

  const begun = new Map<string, Begun[]>(groups.map((group) => [group, []]));
  const ended = new Set<string>();
  const total = groups.length * each;
  /** Whose attempts are under way and not given up by their member, by group. */
  const wrong: string[] = [];
  let over = false;

  const work = async (port: QueuePort, letter: string) => {
    for (let incarnation = 0; ended.size < total; incarnation++) {
      try {
        const held = await port.join("w", `m-${letter}@${incarnation}`, random.next() < 0.3 ? 80 : 60_000);
        while (ended.size < total && random.next() > 0.08) {
          const jobs = await port.claim(held, 4, bytesMax);
          for (const one of jobs) note(one);
          if (random.next() < 0.08) break; // left lying: its successor, or the lease, brings it back
          const counted = await port.finish(
            held,
            jobs.map((one) => ({ job: one, end: { kind: "done", resultJson: undefined } as const })),
          );
          for (const [at, one] of jobs.entries()) if (counted[at]) ended.add(`${one.group} ${one.value}`);
          if (jobs.length === 0) await clock.sleep(2);
        }
      } catch (error) {
        if (!passing.has((error as { code: string }).code)) throw error;
      }
    }
  };
  const note = (one: ClaimedJob) => {
    const list = begun.get(one.group ?? "") as Begun[];
    const last = list.at(-1);
    // In order: the same job again under a higher attempt, or the next one, and never before the last has ended.
    const isAgain = last !== undefined && last.value === one.value && one.attempt > last.attempt;
    const isNext = (last === undefined ? 0 : (last.value as number) + 1) === one.value;
    if (!isAgain && !isNext)
      wrong.push(`${one.group}: ${one.value}/${one.attempt} after ${last?.value}/${last?.attempt}`);
    list.push({ value: one.value, attempt: one.attempt });
  };
  const killer = async () => {
    while (!over) {
      await clock.sleep(15 + random.next() * 30);
      await home
        .rows(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'selective' and pid <> pg_backend_pid() order by random() limit 1`,
        )
        .catch(() => []);
    }
  };
  const killing = killer();
  await Promise.all(ports.map((port, n) => work(port, String(n)))).finally(() => {
    over = true;
  });
  await killing;

  expect(wrong, `seed ${seed}`).toEqual([]);
  expect(await producer.counts()).toMatchObject({ waiting: 0, delayed: 0, active: 0, dead: 0 });
  for (const list of begun.values()) expect(list.at(-1)?.value).toBe(each - 1);
  expect(await home.rows("select d.* from holdfast.queue q, holdfast.selective_drift(q.id) d")).toEqual([]);
  expect(await home.rows("select holdfast.selective_long(id)::int as n from holdfast.queue")).toEqual([
    { n: 0 },
  ]);
}, 120_000);

test("jobs of one group that several processes enqueue run in the order of their commits", async () => {
  const options = { group: { by, ordered: true } };
  const ports = [0, 1, 2].map(() => home.another("commits", options));
  let asked = 0;
  const spans: { readonly name: string; readonly from: number; readonly until: number }[] = [];
  await Promise.all(
    ports.map(async (port, letter) => {
      for (let n = 0; n < 15; n++) {
        const from = ++asked;
        const one = `${letter}-${n}`;
        await port.enqueue([job(one, { group: "k" })]);
        spans.push({ name: one, from, until: ++asked });
      }
    }),
  );
  const port = ports[0] as QueuePort;
  const member = await port.join("w", "m@1", 60_000);
  const order: string[] = [];
  for (;;) {
    const jobs = await port.claim(member, 1, bytesMax);
    if (jobs.length === 0) break;
    order.push(jobs[0]?.value as string);
    await port.finish(member, [{ job: jobs[0] as ClaimedJob, end: { kind: "done", resultJson: undefined } }]);
  }
  expect(order).toHaveLength(45);
  // Whoever was answered before another was asked for runs before it.
  const wrong = spans.flatMap((a) =>
    spans
      .filter((b) => a.until < b.from && order.indexOf(a.name) > order.indexOf(b.name))
      .map((b) => [a.name, b.name]),
  );
  expect(wrong).toEqual([]);
});

test("what a claim without an answer took is given back", async () => {
  const port = home.another("unanswered", { group: { by, concurrencyMax: 1 } });
  await port.enqueue([job("a", { group: "g" })]);
  const member = await port.join("w", "m@1", 600_000);
  // The claim waits for its turn and loses its connection there: nobody hears what became of it.
  const [queue] = await home.rows<{ id: number }>("select id from holdfast.queue where name = 'unanswered'");
  const claiming = await home.nodes.primary(home.nodes.home).use(async (session) => {
    await session.send({
      text: `begin read write; select pg_advisory_xact_lock(${0x48700000 + (queue?.id ?? 0)}, 0)`,
    });
    const claiming = port.claim(member, 10, bytesMax).then(
      (jobs) => jobs.length,
      (error: { code: string }) => error.code,
    );
    // Asked outside this transaction, which sees the server's activity as it was when it first looked.
    await until(
      async () => {
        const killed = await home.rows(
          `select pg_terminate_backend(pid) from pg_stat_activity
          where query like '%selective_claim(%' and wait_event = 'advisory' and pid <> pg_backend_pid()`,
        );
        return killed.length > 0;
      },
      { what: "the claim to wait", timeoutMs: 20_000 },
    );
    await session.send({ text: "commit" });
    return claiming;
  });
  expect(claiming).not.toBe(1);
  expect((await port.claim(member, 10, bytesMax)).map(({ value, attempt }) => [value, attempt])).toEqual([
    ["a", 1],
  ]);
});
