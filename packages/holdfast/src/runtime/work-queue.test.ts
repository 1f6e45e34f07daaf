/** The loop of a worker of jobs, on the engine in memory, under a clock that the tests move. */
import { expect, test } from "vitest";
import { Call, currentCall, HoldfastError, inCall, Session } from "../call/index.ts";
import { currentWorld, inWorld, type Job, type World } from "../parts/index.ts";
import type { QueuePort } from "../parts/queue/index.ts";
import { workScene } from "./fixtures/work-scene.ts";

const never = () => new Promise<never>(() => {});
const untilAborted = (job: Job<unknown>) =>
  new Promise<never>((_, reject) => {
    if (job.signal.aborted) reject(job.signal.reason);
    job.signal.addEventListener("abort", () => reject(job.signal.reason));
  });
const notNow = (message = "not now") =>
  new HoldfastError("HOLDFAST_UNAVAILABLE", message, { outcome: "not-applied" });

test("a job runs in the worker's world, in a call linked to who enqueued it, and its result is kept", async () => {
  const { world, jobs, clock, work, until } = workScene();
  const seen: { world: World; traceId: string | undefined; leftMs: number | undefined; heard: unknown }[] =
    [];
  const at = { system: "7", timeline: 1, lsn: 9n };
  const working = work(
    async (job) => {
      const call = currentCall();
      seen.push({
        world: currentWorld(),
        traceId: call?.trace.traceId,
        leftMs: call?.remainingMs(),
        heard: call?.session.get("node-1")?.heard,
      });
      return { got: job.value };
    },
    { timeoutMs: 7_000 },
  );
  const session = new Session();
  session.raise("node-1", at, "written");
  using call = new Call(clock, { timeoutMs: 60_000, session });
  const { id } = await inCall(call, () =>
    inWorld(world, () => jobs.enqueue("a", { tags: ["t"], name: "n" })),
  );
  await until(() => working.ends.length === 1, "the job to be done");
  expect(seen).toEqual([{ world, traceId: call.trace.traceId, leftMs: 7_000, heard: at }]);
  expect(await inWorld(world, () => jobs.result(id))).toEqual({ got: "a" });
  await working.stop();
  expect(working.errors).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test("no more handlers run at once than the worker's concurrency, and all jobs are done", async () => {
  const { enqueue, work, until, clock, port } = workScene();
  let running = 0;
  let most = 0;
  const working = work(
    async () => {
      most = Math.max(most, ++running);
      await clock.sleep(5);
      running--;
    },
    { concurrency: 7 },
  );
  await enqueue(...Array.from({ length: 500 }, (_, n) => n));
  await until(() => working.ends.length === 500, "all to be done");
  expect(most).toBe(7);
  await working.stop();
  expect(await port.counts()).toMatchObject({ waiting: 0, active: 0 });
});

test("handlers that answer at once do not pile up on the stack, and their ends go together", async () => {
  const { enqueue, work, until, port } = workScene();
  let reports = 0;
  const queue: QueuePort = {
    ...port,
    finish: (...given) => {
      reports++;
      return port.finish(...given);
    },
  };
  const working = work(() => "now", {}, { queue });
  await enqueue(...Array.from({ length: 5_000 }, (_, n) => n));
  await until(() => working.ends.length === 5_000, "all to be done");
  expect(reports).toBeLessThan(500);
  await working.stop();
});

test("a lone job's end is told at once", async () => {
  const { enqueue, work, until, port, clock } = workScene();
  let toldAtMs: number | undefined;
  const queue: QueuePort = {
    ...port,
    finish: (...given) => {
      toldAtMs = clock.monotonicMs();
      return port.finish(...given);
    },
  };
  let endedAtMs = 0;
  const working = work(
    async () => {
      await clock.sleep(3);
      endedAtMs = clock.monotonicMs();
    },
    {},
    { queue },
  );
  await enqueue("a");
  await until(() => working.ends.length === 1, "the job to be done");
  expect(toldAtMs).toBe(endedAtMs);
  await working.stop();
});

test("a job that failed comes again after growing pauses, and is a dead letter after its last attempt", async () => {
  const { enqueue, work, until, port, clock } = workScene({
    retry: { attemptsMax: 4, baseMs: 1_000, capMs: 2_000 },
  });
  const begun: { attempt: number; atMs: number }[] = [];
  const working = work(async (job) => {
    begun.push({ attempt: job.attempt, atMs: clock.monotonicMs() });
    throw new Error(`attempt ${job.attempt}`);
  });
  const [id = ""] = await enqueue("a");
  await until(async () => (await port.counts()).dead === 1, "the job to be dead");
  expect(begun.map((one) => one.attempt)).toEqual([1, 2, 3, 4]);
  const pauses = begun.slice(1).map(({ atMs }, n) => atMs - (begun[n]?.atMs ?? 0));
  for (const [n, pauseMs] of pauses.entries()) {
    expect(pauseMs).toBeLessThanOrEqual(Math.min(2_000, 1_000 * 2 ** n) + 500); // and a poll
  }
  expect(await port.get(id)).toMatchObject({
    state: "dead",
    attempt: 4,
    failure: { code: "ERROR", message: "attempt 4", outcome: "unknown" },
  });
  expect(working.errors.map(({ context }) => context)).toEqual(
    [1, 2, 3, 4].map((attempt) => ({ stage: "handle", id, attempt, ...(attempt === 4 && { isDead: true }) })),
  );
  await working.stop();
});

test("a permanent error makes a dead letter at once; what is not applied comes again even where unknown ends do not", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { unknown: "dead-letter", baseMs: 10 } });
  const attempts: Record<string, number> = {};
  const working = work(async (job) => {
    const kind = String(job.value);
    attempts[kind] = job.attempt;
    if (kind === "permanent") throw new HoldfastError("HOLDFAST_INPUT_INVALID", "No such address. Mend it.");
    if (kind === "unknown") throw new Error("the connection broke");
    if (job.attempt < 3) throw notNow();
  });
  const ids = await enqueue("permanent", "unknown", "not applied");
  await until(async () => (await port.get(ids[2] ?? ""))?.state === "done", "the third to be done");
  expect(attempts).toEqual({ permanent: 1, unknown: 1, "not applied": 3 });
  const dead = await port.search({ state: "dead" }, 10, undefined);
  expect(dead.jobs.map(({ value, failure }) => [value, failure?.code, failure?.outcome])).toEqual([
    ["permanent", "HOLDFAST_INPUT_INVALID", "not-applied"],
    ["unknown", "ERROR", "unknown"],
  ]);
  await working.stop();
});

test("a handler that never returns does not hold up the others, and its attempt fails when its time is up", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { attemptsMax: 1 } });
  let told: unknown;
  const working = work(
    (job) => {
      if (job.value !== "stuck") return undefined;
      job.signal.addEventListener("abort", () => {
        told = job.signal.reason;
      });
      return never();
    },
    { concurrency: 1, timeoutMs: 2_000 },
  );
  const [stuck = ""] = await enqueue("stuck", "next");
  await until(() => working.ends.some(({ job }) => job.value === "next"), "the next to be done");
  expect(told).toMatchObject({ code: "HOLDFAST_ATTEMPT_TIMEOUT" });
  expect(await port.get(stuck)).toMatchObject({
    state: "dead",
    failure: { code: "HOLDFAST_ATTEMPT_TIMEOUT", outcome: "unknown" },
  });
  await working.stop();
});

test("an attempt that a call of its own told of its deadline first has run out of time as well", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { attemptsMax: 1 } });
  const untilDeadline = () =>
    new Promise<never>((_, reject) => {
      const { signal } = currentCall() ?? {};
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  const working = work(untilDeadline, { timeoutMs: 1_010 });
  const [late = ""] = await enqueue("late");
  await until(() => working.ends.length === 1, "the attempt to end");
  expect(await port.get(late)).toMatchObject({
    failure: { code: "HOLDFAST_ATTEMPT_TIMEOUT", outcome: "unknown" },
  });
  expect(working.errors).toMatchObject([{ error: { cause: { code: "HOLDFAST_DEADLINE" } } }]);
  await working.stop();
});

test("with too many handlers that do not return the loop ends and says so", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { attemptsMax: 1 } });
  const working = work(never, { concurrency: 4, timeoutMs: 1_000 });
  let failed: unknown;
  working.running.catch((error: unknown) => {
    failed = error;
  });
  await enqueue(...Array.from({ length: 30 }, (_, n) => n));
  await until(() => failed !== undefined, "the loop to end");
  expect(failed).toMatchObject({ code: "HOLDFAST_HANDLERS_STUCK", data: { worker: "mailer" } });
  // What it held is given back at once, or ended.
  expect(await port.counts()).toMatchObject({ active: 0 });
});

test("a handler that ends within the grace of its time-out has done its job", async () => {
  const { enqueue, work, until, port } = workScene();
  const working = work((job) => untilAborted(job).catch(() => "just in time"), { timeoutMs: 1_000 });
  const [id = ""] = await enqueue("a");
  await until(() => working.ends.length === 1, "the job to be done");
  expect(await port.get(id)).toMatchObject({ state: "done", result: "just in time" });
  await working.stop();
});

test("a job that is cancelled while it runs is told, and does not come again", async () => {
  const { enqueue, work, until, port, jobs, world } = workScene();
  let reason: unknown;
  let begun = 0;
  const working = work(
    (job) => {
      begun++;
      return untilAborted(job).catch((error: unknown) => {
        reason = error;
        throw error;
      });
    },
    { concurrency: 1 },
  );
  const [running = "", waiting = ""] = await enqueue("a", "b");
  await until(() => begun === 1, "the first to run");
  await inWorld(world, () => jobs.cancel(running));
  await inWorld(world, () => jobs.cancel(waiting));
  await until(() => working.ends.length >= 1, "the first to end");
  expect(reason).toMatchObject({ code: "HOLDFAST_ABORTED" });
  await until(async () => (await port.counts()).active === 0, "nothing to run");
  expect((await port.get(running))?.state).toBe("cancelled");
  expect((await port.get(waiting))?.state).toBe("cancelled");
  expect(working.errors).toEqual([]);
  await working.stop();
  expect(begun).toBe(1);
});

test("when the lease runs out unheard, handlers are told, nothing of them counts, and the process joins anew", async () => {
  const { enqueue, work, until, port, clock } = workScene();
  let isAway = false;
  const reports: unknown[] = [];
  const queue: QueuePort = {
    ...port,
    heartbeat: (...given) => (isAway ? new Promise<never>(() => {}) : port.heartbeat(...given)),
    finish: (member, ends) => {
      reports.push(...ends.map(({ job }) => [job.value, job.attempt]));
      return port.finish(member, ends);
    },
  };
  const reasons: unknown[] = [];
  const working = work(
    async (job) => {
      if (job.attempt > 1) return "the second";
      await untilAborted(job).catch((error: unknown) => reasons.push(error));
      return "late";
    },
    { leaseMs: 3_000 },
    { queue },
  );
  const [id = ""] = await enqueue("a");
  await clock.advance(500);
  isAway = true;
  await until(() => reasons.length > 0, "the handler to be told");
  isAway = false;
  expect(reasons).toMatchObject([{ code: "HOLDFAST_FENCED" }]);
  await until(async () => (await port.get(id))?.state === "done", "the next attempt");
  expect(await port.get(id)).toMatchObject({ attempt: 2, result: "the second" });
  expect(reports).toEqual([["a", 2]]);
  expect(working.errors).toMatchObject([{ context: { stage: "heartbeat" } }]);
  await working.stop();
});

test("an attempt that another has taken over is refused, and that is told", async () => {
  const { enqueue, work, until, port, clock } = workScene();
  const queue: QueuePort = { ...port, heartbeat: async () => [] }; // it believes itself alive
  const first = work(() => clock.sleep(4_000), { leaseMs: 3_000 }, { queue });
  await enqueue("a");
  await clock.advance(100);
  const second = work(async () => "second", { leaseMs: 3_000 }, { memberName: "mailer-2" });
  await until(() => second.ends.length === 1, "the second to take over");
  await until(() => first.errors.length > 0, "the first to be refused");
  expect(first.errors[0]).toMatchObject({ error: { code: "HOLDFAST_FENCED" } });
  expect(first.ends).toEqual([]);
  expect(second.ends).toMatchObject([{ job: { attempt: 2 }, end: { kind: "done" } }]);
  await second.stop();
  await first.stop().catch(() => {});
});

test("a process under whose name another works ends, and the other goes on", async () => {
  const { enqueue, work, until } = workScene();
  const first = work(async () => {});
  let failed: unknown;
  first.running.catch((error: unknown) => {
    failed = error;
  });
  await enqueue("a");
  await until(() => first.ends.length === 1, "the first to work");
  const second = work(async () => {});
  await until(() => failed !== undefined, "the first to end");
  expect(failed).toMatchObject({ code: "HOLDFAST_FENCED" });
  await enqueue("b");
  await until(() => second.ends.length === 1, "the second to work");
  await second.stop();
});

test("draining lets what runs end, and gives back what has not begun", async () => {
  const { enqueue, work, until, port } = workScene();
  let release = () => {};
  let begun = 0;
  const working = work(
    async (job) => {
      begun++;
      if (begun > 50) await new Promise<void>((resolve) => (release = resolve));
      expect(job.signal.aborted).toBe(false);
    },
    { concurrency: 1 },
  );
  await enqueue(...Array.from({ length: 200 }, (_, n) => n));
  await until(() => begun === 51, "one to be held up");
  const stopped = working.stop();
  release();
  await stopped;
  expect(begun).toBe(51);
  expect(working.ends.filter(({ end }) => end.kind === "done")).toHaveLength(51);
  expect(await port.counts()).toMatchObject({ waiting: 149, active: 0 });
  const page = await port.search({ state: "waiting" }, 200, undefined);
  expect(page.jobs.every((job) => job.attempt === 0)).toBe(true);
});

test("a handler that outlasts draining is told to stop, and its job comes again elsewhere", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { baseMs: 10 } });
  let reason: unknown;
  const first = work(
    (job) =>
      untilAborted(job).catch((error: unknown) => {
        reason = error;
        throw error;
      }),
    {},
    { drainMs: 500 },
  );
  const [id = ""] = await enqueue("a");
  await until(async () => (await port.counts()).active === 1, "the job to run");
  await first.stop();
  expect(reason).toMatchObject({ code: "HOLDFAST_ABORTED" });
  const second = work(async (job) => job.attempt, {}, { memberName: "mailer-2" });
  await until(async () => (await port.get(id))?.state === "done", "the second to do it");
  expect(await port.get(id)).toMatchObject({ attempt: 2, result: 2 });
  await second.stop();
});

test("draining ends also when a handler does not", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { baseMs: 10 } });
  const working = work(never, {}, { drainMs: 500 });
  const [id = ""] = await enqueue("a");
  await until(async () => (await port.counts()).active === 1, "the job to run");
  await working.stop();
  expect(["delayed", "waiting"]).toContain((await port.get(id))?.state);
});

test("a report that fails is made again, and an end counts once", async () => {
  const { enqueue, work, until, port } = workScene();
  let fail = 3;
  const queue: QueuePort = {
    ...port,
    finish: async (...given) => {
      const counted = await port.finish(...given);
      // The last of the failures had been heard: only its answer was lost.
      if (fail > 0 && fail-- > 0)
        throw new HoldfastError("HOLDFAST_OUTCOME_UNKNOWN", "No answer. Ask again.");
      return counted;
    },
  };
  const working = work(async () => "done", {}, { queue });
  const [id = ""] = await enqueue("a");
  await until(() => working.ends.length === 1, "the end to be told");
  expect(await port.get(id)).toMatchObject({ state: "done", attempt: 1 });
  expect(working.errors.map(({ context }) => context)).toEqual(
    [1, 2, 3].map((attempt) => ({ stage: "finish", attempt })),
  );
  await working.stop();
});

test("a claim that fails is tried again", async () => {
  const { enqueue, work, until, port } = workScene();
  let fail = 2;
  const queue: QueuePort = {
    ...port,
    claim: async (...given) => {
      if (fail-- > 0) throw notNow("the store is away");
      return port.claim(...given);
    },
  };
  const working = work(async () => {}, {}, { queue });
  await enqueue("a");
  await until(() => working.ends.length === 1, "the job to be done");
  expect(working.errors.map(({ context }) => context.stage)).toEqual(["claim", "claim"]);
  await working.stop();
});

test("progress can be read while the job runs; what is too large is refused with its size", async () => {
  const { enqueue, work, until, port } = workScene({ retry: { attemptsMax: 1 } });
  let go = () => {};
  const working = work(async (job) => {
    await job.progress({ sent: 3 });
    await new Promise<void>((resolve) => (go = resolve));
    await job.progress("x".repeat(20_000));
  });
  const [id = ""] = await enqueue("a");
  await until(async () => (await port.get(id))?.progress !== undefined, "progress");
  expect(await port.get(id)).toMatchObject({ state: "active", progress: { sent: 3 } });
  go();
  await until(async () => (await port.get(id))?.state === "dead", "the job to end");
  expect((await port.get(id))?.failure).toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
  expect((await port.get(id))?.failure?.message).toMatch(/20002 bytes.*16384 bytes/);
  await working.stop();
});

test("a result that cannot be kept makes a dead letter that says the work was done", async () => {
  const { enqueue, work, until, port } = workScene();
  const working = work((job) => (job.value === "large" ? "x".repeat(2 << 20) : 1n));
  const ids = await enqueue("large", "bigint");
  await until(() => working.ends.length === 2, "both to end");
  for (const id of ids) {
    const job = await port.get(id);
    expect(job).toMatchObject({ state: "dead", attempt: 1, failure: { outcome: "applied" } });
    expect(job?.failure?.message).toMatch(/did its work, but its result is/);
  }
  await working.stop();
});
