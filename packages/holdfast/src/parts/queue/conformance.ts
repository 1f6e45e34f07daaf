/**
 * What every queue engine must do, on a real server: jobs come until an attempt has ended them, only the newest
 * attempt can, leases fence, and nothing is unbounded. `selective-conformance.ts` has groups, priorities and limits.
 */
import { expect } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { seededRandom } from "../../clock/index.ts";
import { bytesMax, failure, leaseMs, outgoing, type QueueSuite, queueScenes } from "./conformance-scene.ts";
import type { ClaimedJob, QueuePort } from "./port.ts";

export type { ClosableQueue, QueueFixture, QueueSuite } from "./conformance-scene.ts";

const fenced = { code: "HOLDFAST_FENCED", outcome: "not-applied" };

export function queueSuite(suite: QueueSuite): void {
  const { test, scene, until, clock } = queueScenes(suite);
  const values = (jobs: readonly ClaimedJob[]) => jobs.map((job) => job.value);
  const stateOf = async (port: QueuePort, id: string) => (await port.get(id))?.state;

  test("a job comes as it was enqueued", async () => {
    const { port, join, claim } = scene();
    const value = { text: 'quotes " and \\ and \u0001 and 漢字 and 🪢', list: [1, null, { deep: true }] };
    const job = outgoing(value, {
      name: "welcome,{}\"'\\ 漢",
      tags: ["a b", "漢,{}\"'\\"],
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      session: "session-text",
    });
    const startMs = clock().wallMs();
    expect(await port.enqueue([job])).toEqual([{ id: job.id, isNew: true }]);
    const [claimed] = await claim(await join(), 1);
    expect(claimed).toMatchObject({
      id: job.id,
      attempt: 1,
      name: job.name,
      value,
      group: undefined,
      priority: 0,
      tags: job.tags,
      traceparent: job.traceparent,
      session: job.session,
    });
    expect(Math.abs((claimed?.enqueuedAtMs ?? 0) - startMs)).toBeLessThan(60_000);
  });

  test("jobs come in the order in which they were enqueued, no more than asked for, and then no more", async () => {
    const { port, join } = scene();
    const member = await join();
    await port.enqueue(Array.from({ length: 150 }, (_, n) => outgoing(n)));
    await port.enqueue([outgoing(150)]);
    const taken: unknown[] = [];
    for (let jobs = await port.claim(member, 40, bytesMax); jobs.length > 0; ) {
      expect(jobs.length).toBeLessThanOrEqual(40);
      taken.push(...values(jobs));
      jobs = await port.claim(member, 40, bytesMax);
    }
    expect(taken).toEqual(Array.from({ length: 151 }, (_, n) => n));
  });

  test("a claim is bounded by bytes, but for the first job", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    await port.enqueue(Array.from({ length: 10 }, (_, n) => outgoing(`${n}${"x".repeat(9_998)}`)));
    const first = await port.claim(member, 10, 1);
    expect(first).toHaveLength(1);
    const some = await port.claim(member, 10, 45_000);
    expect(some.length).toBeGreaterThanOrEqual(1);
    expect(some.length).toBeLessThanOrEqual(6);
    await claim(member, 9 - some.length);
  });

  test("a payload of 10 MB comes whole", async () => {
    const { port, join, claim } = scene({ maxJobBytes: 16 << 20 });
    const text = "kelp ".repeat(2 << 20);
    await port.enqueue([outgoing({ text })]);
    const [job] = await claim(await join(), 1);
    expect((job?.value as { text: string } | undefined)?.text === text).toBe(true);
  });

  test("members that claim at once never hold the same job", async () => {
    const { port, another, join } = scene();
    const count = 300;
    await port.enqueue(Array.from({ length: count }, (_, n) => outgoing(n)));
    const taken: ClaimedJob[] = [];
    await Promise.all(
      ["a", "b", "c"].map(async (letter) => {
        const own = another();
        const member = await join(`mailer-${letter}@1`, own);
        await until(async () => {
          taken.push(...(await own.claim(member, 7, bytesMax)));
          return taken.length >= count;
        }, "all jobs to be taken");
      }),
    );
    expect(new Set(taken.map((job) => job.id)).size).toBe(count);
    expect(taken).toHaveLength(count);
  });

  test("an attempt ends once: done is done, with its result", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    const [{ id } = { id: "" }] = await port.enqueue([outgoing("a")]);
    const [job] = await claim(member, 1);
    if (!job) throw new Error("there is no job");
    expect(await port.get(id)).toMatchObject({ state: "active", attempt: 1, member: "mailer-1@a" });
    const end = { job, end: { kind: "done", resultJson: '{"sent":true}' } } as const;
    expect(await port.finish(member, [end])).toEqual([true]);
    expect(await port.finish(member, [end])).toEqual([false]);
    expect(await port.get(id)).toMatchObject({
      state: "done",
      attempt: 1,
      value: "a",
      result: { sent: true },
    });
    expect((await port.get(id))?.endedAtMs).toBeGreaterThan(0);
    expect(await port.claim(member, 1, bytesMax)).toEqual([]);
  });

  test("a job that failed comes again after its pause, under the next attempt, with the reason kept", async () => {
    const { port, join, claim, done } = scene();
    const member = await join();
    const [{ id } = { id: "" }] = await port.enqueue([outgoing("a")]);
    const [first] = await claim(member, 1);
    if (!first) throw new Error("there is no job");
    const startMs = clock().monotonicMs();
    expect(
      await port.finish(member, [
        { job: first, end: { kind: "retry", afterMs: 200, failure: failure("full mailbox") } },
      ]),
    ).toEqual([true]);
    expect(await port.get(id)).toMatchObject({ state: "delayed", failure: failure("full mailbox") });
    const [second] = await claim(member, 1);
    expect(clock().monotonicMs() - startMs).toBeGreaterThanOrEqual(195);
    expect(second).toMatchObject({ id, attempt: 2, value: "a" });
    expect(await done(member, [first])).toEqual([false]);
    expect(await stateOf(port, id)).toBe("active");
    expect(await done(member, second ? [second] : [])).toEqual([true]);
  });

  test("many attempts end in one word, each in its own way", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    await port.enqueue(Array.from({ length: 5 }, (_, n) => outgoing(n)));
    const jobs = await claim(member, 5);
    const ends = [
      { kind: "done", resultJson: undefined },
      { kind: "retry", afterMs: 600_000, failure: failure() },
      { kind: "dead", failure: failure("never", "HOLDFAST_INPUT_INVALID") },
      { kind: "cancelled" },
      { kind: "released" },
    ] as const;
    expect(
      await port.finish(
        member,
        ends.map((end, n) => ({ job: jobs[n] as ClaimedJob, end })),
      ),
    ).toEqual([true, true, true, true, true]);
    const states = await Promise.all(jobs.map((job) => stateOf(port, job.id)));
    expect(states).toEqual(["done", "delayed", "dead", "cancelled", "waiting"]);
  });

  test("a released attempt does not count", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    await port.enqueue([outgoing("a")]);
    const [job] = await claim(member, 1);
    if (!job) throw new Error("there is no job");
    expect(await port.finish(member, [{ job, end: { kind: "released" } }])).toEqual([true]);
    expect(await claim(member, 1)).toMatchObject([{ id: job.id, attempt: 1 }]);
  });

  test("a delayed job does not come before its time; a moment that has passed is now", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    const startMs = clock().monotonicMs();
    const [delayed] = await port.enqueue([outgoing("later", { due: { afterMs: 300 } })]);
    expect(await port.get(delayed?.id ?? "")).toMatchObject({ state: "delayed" });
    await port.enqueue([outgoing("far", { due: { atMs: clock().wallMs() + 3_600_000 } })]);
    await port.enqueue([outgoing("past", { due: { atMs: clock().wallMs() - 3_600_000 } })]);
    expect(values(await claim(member, 1))).toEqual(["past"]);
    expect(values(await claim(member, 1))).toEqual(["later"]);
    expect(clock().monotonicMs() - startMs).toBeGreaterThanOrEqual(295);
    expect(await port.counts()).toMatchObject({ delayed: 1, waiting: 0 });
  });

  test("a member that was silent for longer than its lease holds nothing any more", async () => {
    const { port, another, join, done } = scene();
    await port.enqueue([outgoing("a")]);
    const paused = await join("mailer-1@a", port, 100);
    const [stale] = await port.claim(paused, 1, bytesMax);
    if (!stale) throw new Error("there is no job");
    const other = another();
    const next = await join("mailer-2@a", other);
    const taken: ClaimedJob[] = [];
    await until(async () => {
      taken.push(...(await other.claim(next, 1, bytesMax)));
      return taken.length > 0;
    }, "the lease to run out");
    expect(taken).toMatchObject([{ id: stale.id, attempt: 2, value: "a" }]);
    expect(await done(paused, [stale])).toEqual([false]);
    await port.progress(paused, stale, '"stale"');
    await expect(port.heartbeat(paused, leaseMs)).rejects.toMatchObject(fenced);
    await expect(port.claim(paused, 1, bytesMax)).rejects.toMatchObject(fenced);
    expect(await port.get(stale.id)).toMatchObject({ state: "active", attempt: 2, progress: undefined });
    expect((await port.get(stale.id))?.failure?.code).toBe("HOLDFAST_JOB_LOST");
    expect(await done(next, taken, other)).toEqual([true]);
  });

  test("heartbeats keep a lease", async () => {
    const { port, another, join, done } = scene();
    await port.enqueue([outgoing("a")]);
    const member = await join("mailer-1@a", port, 1_500);
    const jobs = await port.claim(member, 1, bytesMax);
    await port.heartbeat(member, leaseMs);
    const other = another();
    const next = await join("mailer-2@a", other);
    const endMs = clock().monotonicMs() + 1_800;
    await until(async () => {
      expect(await other.claim(next, 1, bytesMax)).toEqual([]);
      return clock().monotonicMs() > endMs;
    }, "the first lease to be over");
    expect(await done(member, jobs)).toEqual([true]);
  });

  test("a member that restarts under its name takes over at once; its former self cannot come back", async () => {
    const { port, another, join, claim, done } = scene();
    await port.enqueue([outgoing("a")]);
    const former = await join("mailer-1@old");
    const stale = await claim(former, 1);
    const restarted = another();
    const member = await join("mailer-1@new", restarted);
    expect(member.token).not.toBe(former.token);
    const [job] = await claim(member, 1, restarted);
    expect(job).toMatchObject({ attempt: 2, value: "a" });
    expect(await done(former, stale)).toEqual([false]);
    await expect(port.heartbeat(former, leaseMs)).rejects.toMatchObject(fenced);
    // Its successor lives on, whatever the former self tried.
    expect(await restarted.heartbeat(member, leaseMs)).toEqual([]);
    expect(await done(member, job ? [job] : [], restarted)).toEqual([true]);
  });

  test("whoever leaves gives back what it holds, and that does not count as an attempt", async () => {
    const { port, another, join, claim } = scene();
    await port.enqueue([outgoing("a"), outgoing("b")]);
    const leaving = await join("mailer-1@a");
    await claim(leaving, 2);
    await port.leave(leaving);
    const other = another();
    const jobs = await claim(await join("mailer-2@a", other), 2, other);
    expect(jobs.map((job) => job.attempt)).toEqual([1, 1]);
    await port.leave(leaving); // twice is fine
  });

  test("a job that is lost in its last attempt is a dead letter that says so", async () => {
    const { port, join, claim } = scene({ retry: { attemptsMax: 2 } });
    const [{ id } = { id: "" }] = await port.enqueue([outgoing("a")]);
    for (const incarnation of ["first", "second"]) await claim(await join(`mailer-1@${incarnation}`), 1);
    const last = await join("mailer-1@third");
    await until(async () => {
      expect(await port.claim(last, 1, bytesMax)).toEqual([]);
      return (await stateOf(port, id)) === "dead";
    }, "the job to be dead");
    const dead = await port.get(id);
    expect(dead).toMatchObject({ attempt: 2, failure: { code: "HOLDFAST_JOB_LOST", outcome: "unknown" } });
  });

  test("where unknown ends are for people, a lost job is a dead letter at once", async () => {
    const { port, join, claim } = scene({ retry: { unknown: "dead-letter" } });
    const [{ id } = { id: "" }] = await port.enqueue([outgoing("a")]);
    await claim(await join("mailer-1@first"), 1);
    const next = await join("mailer-1@second");
    await until(async () => {
      expect(await port.claim(next, 1, bytesMax)).toEqual([]);
      return (await stateOf(port, id)) === "dead";
    }, "the job to be dead");
  });

  test("dead letters run again from attempt 1: one, those that fit, or all", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    const names = ["x", "x", "y", "y", "z"];
    await port.enqueue(names.map((name, n) => outgoing(n, { name })));
    const jobs = await claim(member, 5);
    await port.finish(
      member,
      jobs.map((job, n) => ({
        job,
        end: { kind: "dead", failure: failure("never", n === 4 ? "HOLDFAST_DEADLINE" : "ERROR") },
      })),
    );
    expect(await port.counts()).toMatchObject({ dead: 5, waiting: 0 });
    const [first] = jobs;
    if (!first) throw new Error("there is no job");
    expect(await port.redrive({ ids: [first.id] }, 100)).toBe(1);
    expect(await claim(member, 1)).toMatchObject([{ id: first.id, attempt: 1, value: 0 }]);
    expect(await port.redrive({ failureCode: "HOLDFAST_DEADLINE" }, 100)).toBe(1);
    expect(values(await claim(member, 1))).toEqual([4]);
    expect(await port.redrive({ name: "y" }, 1)).toBe(1);
    expect(await port.redrive({}, 100)).toBe(2);
    expect(await port.redrive({}, 100)).toBe(0);
    expect(values(await claim(member, 3)).sort()).toEqual([1, 2, 3]);
    expect(await port.counts()).toMatchObject({ dead: 0 });
  });

  test("a job is known from its enqueue until it can never come again", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    const delayed = outgoing("delayed", { due: { afterMs: 60_000 } });
    const stranger = outgoing("stranger");
    await port.enqueue([outgoing("done"), outgoing("dead"), outgoing("waiting"), delayed]);
    const jobs = await claim(member, 3);
    const ids = [...jobs.map(({ id }) => id), delayed.id, stranger.id];
    const known = async () => (await port.known(ids)).map((id) => ids.indexOf(id)).sort();
    expect(await known()).toEqual([0, 1, 2, 3]);
    const [done, dead, again] = jobs;
    if (!done || !dead || !again) throw new Error("there are no jobs");
    await port.finish(member, [
      { job: done, end: { kind: "done", resultJson: undefined } },
      { job: dead, end: { kind: "dead", failure: failure() } },
      { job: again, end: { kind: "retry", afterMs: 0, failure: failure() } },
    ]);
    expect(await known()).toEqual(expect.arrayContaining([1, 2, 3]));
    await port.redrive({}, 1);
    expect(await known()).toEqual(expect.arrayContaining([1, 2, 3]));
    const [redriven] = (await claim(member, 2)).filter(({ id }) => id === dead.id);
    if (!redriven) throw new Error("it was not redriven");
    await port.finish(member, [{ job: redriven, end: { kind: "dead", failure: failure() } }]);
    expect(await known()).toEqual(expect.arrayContaining([1, 2, 3]));
    await port.discard({}, 1);
    expect(await known()).not.toContain(4);
    expect(await port.known([])).toEqual([]);
  });

  test("dead letters that are discarded are gone", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    await port.enqueue(["x", "y", "y"].map((name, n) => outgoing(n, { name })));
    const jobs = await claim(member, 3);
    await port.finish(
      member,
      jobs.map((job) => ({ job, end: { kind: "dead", failure: failure() } })),
    );
    expect(await port.discard({ name: "y" }, 100)).toBe(2);
    expect(await port.counts()).toMatchObject({ dead: 1 });
    expect(await port.get(jobs[2]?.id ?? "")).toBeUndefined();
    expect(await port.discard({}, 100)).toBe(1);
    expect(await port.redrive({}, 100)).toBe(0);
  });

  test("a unique key is one job's from its enqueue to its end", async () => {
    const { port, join, claim, done } = scene();
    const member = await join();
    const unique = { key: "report,{}\"'\\ 漢", forMs: 0 };
    const [first] = await port.enqueue([outgoing(1, { unique })]);
    expect(first?.isNew).toBe(true);
    const same = { id: first?.id, isNew: false };
    expect(await port.enqueue([outgoing(2, { unique })])).toEqual([same]);
    const jobs = await claim(member, 1);
    expect(await port.enqueue([outgoing(3, { unique })])).toEqual([same]);
    await done(member, jobs);
    const [again, twice] = await port.enqueue([outgoing(4, { unique }), outgoing(5, { unique })]);
    expect(again?.isNew).toBe(true);
    expect(twice).toEqual({ id: again?.id, isNew: false });
    expect(values(await claim(member, 1))).toEqual([4]);
    expect(await port.claim(member, 1, bytesMax)).toEqual([]);
  });

  test("a unique key with a time stays taken that long, also when the job has ended sooner", async () => {
    const { port, join, claim, done } = scene();
    const member = await join();
    const startMs = clock().monotonicMs();
    const unique = { key: "hourly", forMs: 500 };
    const [first] = await port.enqueue([outgoing(1, { unique })]);
    await done(member, await claim(member, 1));
    let refused = 0;
    await until(async () => {
      const [answer] = await port.enqueue([outgoing(2, { unique })]);
      if (answer?.isNew) return true;
      expect(answer?.id).toBe(first?.id);
      refused++;
      return false;
    }, "the key to be free");
    expect(refused).toBeGreaterThan(0);
    expect(clock().monotonicMs() - startMs).toBeGreaterThanOrEqual(495);
  });

  test("of concurrent enqueues with one unique key exactly one is new", async () => {
    const { another, port } = scene();
    const unique = { key: "once", forMs: 0 };
    const ports = [port, another(), another()];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => (ports[n % 3] as QueuePort).enqueue([outgoing(n, { unique })])),
    );
    const flat = answers.flat();
    expect(flat.filter((answer) => answer.isNew)).toHaveLength(1);
    expect(new Set(flat.map((answer) => answer.id)).size).toBe(1);
    expect(await port.counts()).toMatchObject({ waiting: 1 });
  });

  test("at its limit a queue refuses, all of an enqueue or none, and takes again when there is room", async () => {
    const { port, join, claim } = scene({ maxLength: 10 });
    await port.enqueue(Array.from({ length: 8 }, (_, n) => outgoing(n)));
    await port.enqueue([outgoing("delayed", { due: { afterMs: 600_000 } })]);
    const full = { code: "HOLDFAST_QUEUE_FULL", outcome: "not-applied" };
    await expect(port.enqueue([outgoing(9), outgoing(10)])).rejects.toMatchObject(full);
    expect(await port.counts()).toMatchObject({ waiting: 8, delayed: 1 });
    await port.enqueue([outgoing(9)]);
    await expect(port.enqueue([outgoing(10)])).rejects.toMatchObject(full);
    await expect(port.enqueue([outgoing(10)])).rejects.toThrow(/maxLength is 10/);
    await claim(await join(), 3);
    // An engine may count anew only now and then.
    await until(
      () =>
        port.enqueue([outgoing(10), outgoing(11)]).then(
          () => true,
          () => false,
        ),
      "room",
    );
  });

  test("at its limit a queue that waits takes a job as soon as there is room, or refuses at the deadline", async () => {
    const { port, join, claim } = scene({ maxLength: 2, whenFull: "wait" });
    await port.enqueue([outgoing(0), outgoing(1)]);
    using short = new Call(clock(), { timeoutMs: 1_000 });
    await expect(inCall(short, async () => port.enqueue([outgoing(2)]))).rejects.toMatchObject({
      code: "HOLDFAST_QUEUE_FULL",
      outcome: "not-applied",
    });
    using patient = new Call(clock(), { timeoutMs: 30_000 });
    const waiting = inCall(patient, async () => port.enqueue([outgoing(3)]));
    const member = await join();
    await claim(member, 2);
    expect(await waiting).toMatchObject([{ isNew: true }]);
    expect(values(await claim(member, 1))).toEqual([3]);
  });

  test("a paused queue hands out nothing, in no process, until it is resumed", async () => {
    const { port, another, join, claim, done } = scene();
    await port.enqueue([outgoing("a"), outgoing("b")]);
    const other = another();
    const member = await join("mailer-1@a", other);
    const under = await claim(member, 1, other);
    await port.pause(true);
    expect((await port.counts()).paused).toBe(true);
    await until(async () => (await other.claim(member, 1, bytesMax)).length === 0, "the pause to be seen");
    expect(await other.claim(member, 1, bytesMax)).toEqual([]);
    expect(await done(member, under, other)).toEqual([true]);
    await port.enqueue([outgoing("c")]);
    await port.pause(false);
    expect((await port.counts()).paused).toBe(false);
    await claim(member, 1, other);
  });

  test("a job that waits can be cancelled; one that runs is told, and does not come again", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    const ids = (
      await port.enqueue([
        outgoing("waits"),
        outgoing("later", { due: { afterMs: 600_000 } }),
        outgoing("runs"),
        outgoing("ends"),
      ])
    ).map((one) => one.id) as [string, string, string, string];
    const [waits, later, runs, ends] = ids;
    expect(await port.cancel(waits)).toBe("cancelled");
    expect(await port.cancel(later)).toBe("cancelled");
    expect(await stateOf(port, waits)).toBe("cancelled");
    expect(await stateOf(port, later)).toBe("cancelled");
    const jobs = await claim(member, 2);
    expect(values(jobs)).toEqual(["runs", "ends"]);
    expect(await port.cancel(runs)).toBe("requested");
    expect(await port.cancel(ends)).toBe("requested");
    expect([...(await port.heartbeat(member, leaseMs))].sort()).toEqual([runs, ends].sort());
    await port.finish(member, [
      { job: jobs[0] as ClaimedJob, end: { kind: "retry", afterMs: 0, failure: failure() } },
      { job: jobs[1] as ClaimedJob, end: { kind: "done", resultJson: "1" } },
    ]);
    expect(await stateOf(port, runs)).toBe("cancelled");
    expect(await stateOf(port, ends)).toBe("done");
    for (const id of ids) expect(await port.cancel(id)).toBe("ended");
    expect(await port.cancel(outgoing("").id)).toBe("unknown");
    expect(await port.claim(member, 4, bytesMax)).toEqual([]);
    expect(await port.heartbeat(member, leaseMs)).toEqual([]);
  });

  test("a cancelled job whose worker is lost does not come again", async () => {
    const { port, join, claim } = scene();
    await port.enqueue([outgoing("a")]);
    const [job] = await claim(await join("mailer-1@old"), 1);
    expect(await port.cancel(job?.id ?? "")).toBe("requested");
    const next = await join("mailer-1@new");
    await until(async () => {
      expect(await port.claim(next, 1, bytesMax)).toEqual([]);
      return (await stateOf(port, job?.id ?? "")) === "cancelled";
    }, "the job to be cancelled");
  });

  test("jobs are found by name, tag, state and ids, page by page", async () => {
    const { port, join, claim, done } = scene();
    const member = await join();
    const named = (n: number) => ({ name: `kind-${n % 2}`, tags: [`user-${n % 3}`, "all"] });
    const ids = (await port.enqueue(Array.from({ length: 12 }, (_, n) => outgoing(n, named(n))))).map(
      (one) => one.id,
    );
    const found = async (filter: Parameters<QueuePort["search"]>[0]) =>
      (await port.search(filter, 100, undefined)).jobs.map((job) => job.value);
    const where = (test: (n: number) => boolean) => Array.from({ length: 12 }, (_, n) => n).filter(test);
    expect(await found({})).toEqual(where(() => true));
    expect(await found({ name: "kind-1" })).toEqual(where((n) => n % 2 === 1));
    expect(await found({ tag: "user-2" })).toEqual(where((n) => n % 3 === 2));
    expect(await found({ name: "kind-0", tag: "user-0" })).toEqual([0, 6]);
    expect(await found({ tag: "nobody" })).toEqual([]);
    expect(await found({ ids: [ids[3] as string, ids[1] as string, outgoing("").id] })).toEqual([1, 3]);
    await done(member, await claim(member, 2));
    await claim(member, 2);
    expect(await found({ state: "done" })).toEqual([0, 1]);
    expect(await found({ state: "active" })).toEqual([2, 3]);
    expect(await found({ state: "waiting", name: "kind-0" })).toEqual([4, 6, 8, 10]);
    const pages: unknown[][] = [];
    let after: string | undefined;
    do {
      const page = await port.search({ tag: "all" }, 5, after);
      pages.push(page.jobs.map((job) => job.value));
      after = page.after;
    } while (after !== undefined);
    expect(pages).toEqual([where((n) => n < 5), where((n) => n >= 5 && n < 10), where((n) => n >= 10)]);
  });

  test("counts say how many there are of each, and how long the oldest has waited", async () => {
    const { port, join, claim } = scene();
    const nothing = { waiting: 0, delayed: 0, active: 0, dead: 0, oldestWaitingMs: 0, paused: false };
    expect(await port.counts()).toEqual(nothing);
    await port.enqueue(Array.from({ length: 6 }, (_, n) => outgoing(n)));
    await port.enqueue([outgoing("later", { due: { afterMs: 600_000 } })]);
    const member = await join();
    const [first] = await claim(member, 3);
    if (!first) throw new Error("there is no job");
    await port.finish(member, [{ job: first, end: { kind: "dead", failure: failure() } }]);
    expect(await port.counts()).toMatchObject({ waiting: 3, delayed: 1, active: 2, dead: 1 });
    await until(async () => (await port.counts()).oldestWaitingMs > 0, "the oldest to have waited");
  });

  test("progress is kept while the job runs", async () => {
    const { port, join, claim } = scene();
    const member = await join();
    await port.enqueue([outgoing("a")]);
    const [job] = await claim(member, 1);
    if (!job) throw new Error("there is no job");
    await port.progress(member, job, '{"sent":1}');
    await port.progress(member, job, '{"sent":2}');
    expect(await port.get(job.id)).toMatchObject({ state: "active", progress: { sent: 2 } });
  });

  test("ended jobs are kept for their time, and no longer", async () => {
    const { port, join, claim, done } = scene({ keepDoneMs: 1_000, keepDeadMs: 1_000 });
    const member = await join();
    await port.enqueue([outgoing("done"), outgoing("dead")]);
    const jobs = (await claim(member, 2)) as [ClaimedJob, ClaimedJob];
    const startMs = clock().monotonicMs();
    await done(member, [jobs[0]]);
    await port.finish(member, [{ job: jobs[1], end: { kind: "dead", failure: failure() } }]);
    await until(async () => {
      await port.claim(member, 1, bytesMax);
      const kept = await Promise.all(jobs.map((job) => port.get(job.id)));
      return kept.every((job) => job === undefined);
    }, "the jobs to be forgotten");
    expect(clock().monotonicMs() - startMs).toBeGreaterThanOrEqual(995);
    expect(await port.counts()).toMatchObject({ dead: 0 });
  });

  test("an enqueue whose deadline has passed is not applied", async () => {
    const { port } = scene();
    using call = new Call(clock(), { timeoutMs: 0 });
    await expect(inCall(call, async () => port.enqueue([outgoing("a")]))).rejects.toMatchObject({
      code: "HOLDFAST_DEADLINE",
      outcome: "not-applied",
    });
    expect(await port.counts()).toMatchObject({ waiting: 0 });
  });

  test("a waiting member is woken by an enqueue of another process", async () => {
    const { port, another } = scene();
    const reader = another();
    let woken = 0;
    const stop = new AbortController();
    const waiting = (async () => {
      while (!stop.signal.aborted) {
        // Longer than the test may take: only a wake-up ends it.
        await reader.wait(600_000, stop.signal);
        woken++;
      }
    })();
    // The first one may come before it listens.
    await until(async () => {
      await port.enqueue([outgoing("a")]);
      return woken > 0;
    }, "the member to be woken");
    stop.abort();
    await waiting;
  });

  test("under members that come, go and stand still, every job is done once, by its newest attempt", async () => {
    const { port, another, join } = scene({ retry: { attemptsMax: 1_000 } });
    const random = seededRandom(7);
    const count = 400;
    const enqueuing = (async () => {
      for (let n = 0; n < count; n += 20) {
        await port.enqueue(Array.from({ length: 20 }, (_, at) => outgoing(n + at)));
      }
    })();
    const ended = new Map<unknown, number>();
    const begun = new Map<string, number>();
    const member = async (letter: string) => {
      const own = another();
      for (let incarnation = 0; ended.size < count; incarnation++) {
        // Now and then one stands still beyond its lease, with jobs in its hands.
        const held = await join(`mailer-${letter}@${incarnation}`, own, random.next() < 0.3 ? 30 : leaseMs);
        try {
          while (ended.size < count && random.next() > 0.1) {
            const jobs = await own.claim(held, 1 + Math.floor(random.next() * 20), bytesMax);
            for (const job of jobs) {
              expect(job.attempt).toBeGreaterThanOrEqual(begun.get(job.id) ?? 1);
              begun.set(job.id, job.attempt);
            }
            if (random.next() < 0.1) continue; // left lying
            const counted = await own.finish(
              held,
              jobs.map((job) => ({
                job,
                end:
                  random.next() < 0.2
                    ? { kind: "retry", afterMs: random.next() < 0.5 ? 0 : 20, failure: failure() }
                    : { kind: "done", resultJson: JSON.stringify(job.attempt) },
              })),
            );
            for (const [at, job] of jobs.entries()) {
              const view = counted[at] ? await port.get(job.id) : undefined;
              if (view?.state !== "done" || view.result !== job.attempt) continue;
              ended.set(job.value, (ended.get(job.value) ?? 0) + 1);
            }
          }
          if (random.next() < 0.5) await own.leave(held);
        } catch (error) {
          expect(error).toMatchObject(fenced);
        }
      }
    };
    await Promise.all(["a", "b", "c"].map(member));
    await enqueuing;
    expect([...ended.values()].every((times) => times === 1)).toBe(true);
    expect(ended.size).toBe(count);
    expect(await port.counts()).toMatchObject({ waiting: 0, delayed: 0, active: 0, dead: 0 });
  });
}
