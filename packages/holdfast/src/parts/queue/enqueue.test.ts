/** What a queue's handle refuses before anything reaches an engine, and what it hands to one. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { manualClock } from "../../clock/index.ts";
import { insideTransaction } from "../outbox/index.ts";
import { inWorld, World } from "../world.ts";
import { enqueueJobsMax, queue } from "./declare.ts";
import type { QueueOptions } from "./options.ts";
import { jobFromOutbox, outboxEntry } from "./outbox-job.ts";
import type { JobFilter, OutgoingJob, QueuePort } from "./port.ts";

interface Mail {
  readonly to: string;
  readonly extra?: unknown;
}

const schema: StandardSchemaV1<unknown, Mail> = {
  "~standard": {
    version: 1,
    vendor: "holdfast-tests",
    validate: async (value) =>
      typeof (value as Mail)?.to === "string"
        ? { value: value as Mail }
        : { issues: [{ message: "should be a string", path: ["to"] }] },
  },
};

function scene(options: Partial<QueueOptions<typeof schema>> = {}) {
  const clock = manualClock();
  const mails = queue("mails", { schema, maxJobBytes: 100, ...options });
  const world = new World("test", clock);
  const enqueued: (readonly OutgoingJob[])[] = [];
  const asked: (readonly [string, JobFilter, number])[] = [];
  let dead = 2_500;
  const act = (what: string) => async (filter: JobFilter, limit: number) => {
    asked.push([what, filter, limit]);
    const some = Math.min(limit, dead);
    dead -= some;
    return some;
  };
  world.bind(mails, {
    enqueue: async (jobs: readonly OutgoingJob[]) => {
      enqueued.push(jobs);
      return jobs.map(({ id }) => ({ id, isNew: true }));
    },
    counts: async () => ({ dead }),
    redrive: act("redrive"),
    discard: act("discard"),
    search: async (filter: JobFilter, limit: number) => {
      asked.push(["search", filter, limit]);
      return { jobs: [], after: undefined };
    },
  } as unknown as QueuePort);
  return { mails, clock, enqueued, asked, use: <T>(run: () => Promise<T>) => inWorld(world, run) };
}

const refused = (promise: Promise<unknown>) => promise.then(() => "it was taken", String);

test("a job goes out as JSON, with what it was given, on behalf of its call", async () => {
  const { mails, clock, enqueued, use } = scene({
    group: { by: ({ to }) => to },
    priority: { agingMs: 1_000 },
  });
  using call = new Call(clock);
  const options = {
    delayMs: 5,
    priority: 3,
    unique: { key: "k", forMs: 9 },
    tags: ["x", "x", "y"],
    name: "n",
  };
  const answer = await inCall(call, () => use(() => mails.enqueue({ to: "a", extra: undefined }, options)));
  expect(enqueued).toEqual([
    [
      {
        id: answer.id,
        name: "n",
        json: '{"to":"a"}',
        group: "a",
        priority: 3,
        due: { afterMs: 5 },
        unique: { key: "k", forMs: 9 },
        tags: ["x", "y"],
        traceparent: expect.stringContaining(call.trace.traceId),
        session: call.session.encode() || undefined,
      },
    ],
  ]);
});

test("many go together in their order, and none makes no transaction", async () => {
  const { mails, enqueued, use } = scene();
  const answers = await use(() =>
    mails.enqueueMany([
      { value: { to: "a" }, at: 1_800_000_000_000 },
      { value: { to: "b" }, unique: "u" },
    ]),
  );
  expect(await use(() => mails.enqueueMany([]))).toEqual([]);
  expect(enqueued).toHaveLength(1);
  expect(enqueued[0]?.map((job) => job.due)).toEqual([{ atMs: 1_800_000_000_000 }, { afterMs: 0 }]);
  expect(enqueued[0]?.[1]?.unique).toEqual({ key: "u", forMs: 0 });
  expect(answers.map(({ id }) => id)).toEqual([...answers.map(({ id }) => id)].sort());
});

test("all that is wrong with a job is told at once, and nothing is enqueued", async () => {
  const { mails, enqueued, use } = scene({ group: { by: () => "" } });
  const said = await refused(
    use(() =>
      mails.enqueue(
        { to: "x".repeat(200) },
        { delayMs: -1, at: 5, priority: 1, unique: { key: "", forMs: 0 }, tags: [""], name: "a\0" },
      ),
    ),
  );
  for (const what of [
    /209 bytes.*maxJobBytes \(100\)/,
    /group\.by should answer/,
    /delayMs should be/,
    /at and delayMs/,
    /priority needs a queue/,
    /unique should be a key/,
    /unique\.forMs/,
    /each of tags/,
    /name should have/,
  ]) {
    expect(said).toMatch(what);
  }
  expect(enqueued).toEqual([]);
});

test("of many jobs every one that is wrong is told by its place", async () => {
  const { mails, enqueued, use } = scene();
  const entries = [
    { value: { to: "a" } },
    { value: { to: 1 } as never },
    { value: { to: "b" }, delayMs: -1 },
  ];
  const said = await refused(use(() => mails.enqueueMany(entries)));
  expect(said).toMatch(/2 of 3 jobs were refused.*job 1: .*to: should be a string.*job 2: delayMs/);
  const tooMany = Array.from({ length: enqueueJobsMax + 1 }, () => ({ value: { to: "a" } }));
  expect(await refused(use(() => mails.enqueueMany(tooMany)))).toMatch(/10001 jobs.*at most 10000/);
  expect(enqueued).toEqual([]);
});

test("inside a write, an enqueue without the transaction is refused with the way out", async () => {
  const { mails, enqueued, use } = scene();
  const said = insideTransaction(() => use(() => mails.enqueue({ to: "a" })));
  await expect(said).rejects.toMatchObject({ code: "HOLDFAST_TX_OPEN" });
  await expect(use(() => mails.enqueue({ to: "a" }, { in: {} as never }))).rejects.toMatchObject({
    code: "HOLDFAST_INPUT_INVALID",
  });
  expect(enqueued).toEqual([]);
});

test("what goes through the outbox arrives as the same job", async () => {
  const { mails, enqueued, use } = scene({ group: { by: ({ to }) => to } });
  await use(() =>
    mails.enqueueMany([{ value: { to: "a" }, unique: "u", tags: ["t"] }, { value: { to: "b" } }]),
  );
  for (const job of enqueued[0] ?? []) {
    const entry = outboxEntry(job);
    expect(entry.key).toBe(job.group);
    expect(jobFromOutbox(JSON.parse(JSON.stringify(entry)))).toEqual(job);
  }
});

test("what is searched by is checked, with every problem at once", async () => {
  const { mails, asked, use } = scene();
  const said = await refused(
    use(() =>
      mails.search({ state: "gone" as never, ids: ["x"], limit: 0, after: "y", color: "red" } as never),
    ),
  );
  for (const what of [
    /state should be/,
    /"x", which is no id/,
    /limit should be/,
    /after should be/,
    /color is nothing/,
  ])
    expect(said).toMatch(what);
  expect(await refused(use(() => mails.get("nonsense")))).toMatch(/"nonsense" is no id of a job/);
  expect(asked).toEqual([]);
  await use(() => mails.search({ name: "n" }));
  expect(asked).toEqual([["search", { name: "n" }, 100]]);
});

test("all dead letters are driven again in bounded steps, and no more than there were", async () => {
  const { mails, asked, use } = scene();
  expect(await use(() => mails.dead.redrive("all"))).toBe(2_500);
  expect(asked).toEqual(Array.from({ length: 3 }, () => ["redrive", {}, 1_000]));
  expect(await use(() => mails.dead.discard({ name: "n" }))).toBe(0);
});
