/**
 * What every engine must do for queues that choose their jobs: priorities that age, groups that take turns, order
 * within a group, bounds on what runs at once and on how often something begins.
 */
import { expect } from "vitest";
import { bytesMax, failure, outgoing, type QueueSuite, queueScenes } from "./conformance-scene.ts";
import type { ClaimedJob, QueueMember, QueuePort } from "./port.ts";

export function selectiveQueueSuite(suite: QueueSuite): void {
  const { test, scene, until, clock } = queueScenes(suite);
  const values = (jobs: readonly ClaimedJob[]) => jobs.map((job) => job.value);
  const by = () => ""; // the handle asks it; the port is told the answer
  const inGroup = (group: string, value: unknown = group) => outgoing(value, { group });
  /** Claims one job after the other, each ended before the next, until there are no more. */
  const one = async (port: QueuePort, member: QueueMember, count: number) => {
    const taken: ClaimedJob[] = [];
    await until(async () => {
      const jobs = await port.claim(member, 1, bytesMax);
      await port.finish(
        member,
        jobs.map((job) => ({ job, end: { kind: "done", resultJson: undefined } })),
      );
      taken.push(...jobs);
      return taken.length >= count;
    }, `${count} jobs, one after the other`);
    return taken;
  };

  test("a higher priority comes first, equals in their order", async () => {
    const { port, join } = scene({ priority: { agingMs: 600_000 } });
    const priorities = [0, 5, -5, 5, 100, 0];
    await port.enqueue(priorities.map((priority, n) => outgoing(n, { priority })));
    expect(values(await one(port, await join(), 6))).toEqual([4, 1, 3, 0, 5, 2]);
  });

  test("waiting makes up for a low priority", async () => {
    const { port, join } = scene({ priority: { agingMs: 1 } });
    await port.enqueue([outgoing("low", { priority: -100 })]);
    const startMs = clock().monotonicMs();
    await until(() => clock().monotonicMs() - startMs > 250, "time to pass");
    await port.enqueue([outgoing("high", { priority: 100 })]);
    expect(values(await one(port, await join(), 2))).toEqual(["low", "high"]);
  });

  test("groups take turns: one with many jobs does not hold up one with few", async () => {
    const { port, join } = scene({ group: { by } });
    await port.enqueue(Array.from({ length: 100 }, (_, n) => inGroup("many", n)));
    await port.enqueue([inGroup("few", "a"), inGroup("few", "b"), inGroup("other", "c")]);
    const first = await one(port, await join(), 8);
    expect(values(first)).toEqual(expect.arrayContaining(["a", "b", "c"]));
  });

  test("one claim takes from many groups", async () => {
    const { port, join } = scene({ group: { by } });
    await port.enqueue(Array.from({ length: 100 }, (_, n) => inGroup("many", n)));
    await port.enqueue([inGroup("few", "a"), inGroup("other", "c")]);
    const jobs = await port.claim(await join(), 10, bytesMax);
    expect(values(jobs)).toEqual(expect.arrayContaining(["a", "c"]));
    expect(jobs.filter((job) => job.group === "many").length).toBeGreaterThan(1);
  });

  test("an ordered group gives one job after the other, whoever claims, and a retry holds it up", async () => {
    const { port, another, join, claim, done } = scene({ group: { by, ordered: true } });
    await port.enqueue([0, 1, 2].map((n) => inGroup("k", n)));
    await port.enqueue([inGroup("other", "x")]);
    const ports = [port, another()] as const;
    const members = [await join("mailer-1@a"), await join("mailer-2@a", ports[1])] as const;
    const [first, second] = await claim(members[0], 2);
    expect([first?.value, second?.value].sort()).toEqual([0, "x"]);
    const head = first?.value === 0 ? first : second;
    if (!head) throw new Error("there is no job");
    expect(await ports[1].claim(members[1], 10, bytesMax)).toEqual([]);
    await port.finish(members[0], [{ job: head, end: { kind: "retry", afterMs: 150, failure: failure() } }]);
    expect(await ports[1].claim(members[1], 10, bytesMax)).toEqual([]);
    const again = await claim(members[1], 1, ports[1]);
    expect(again).toMatchObject([{ value: 0, attempt: 2 }]);
    await done(members[1], again, ports[1]);
    expect(values(await one(port, members[0], 2))).toEqual([1, 2]);
  });

  test("a dead letter lets the next of its ordered group go", async () => {
    const { port, join, claim } = scene({ group: { by, ordered: true } });
    const member = await join();
    await port.enqueue([0, 1].map((n) => inGroup("k", n)));
    const [head] = await claim(member, 1);
    if (!head) throw new Error("there is no job");
    await port.finish(member, [{ job: head, end: { kind: "dead", failure: failure() } }]);
    expect(values(await claim(member, 1))).toEqual([1]);
  });

  test("the next of an ordered group waits for a job whose worker was lost, and comes after it", async () => {
    const { port, join, claim } = scene({ group: { by, ordered: true } });
    await port.enqueue([0, 1].map((n) => inGroup("k", n)));
    await claim(await join("mailer-1@old"), 1);
    const member = await join("mailer-1@new");
    const taken = await one(port, member, 2);
    expect(taken.map(({ value, attempt }) => [value, attempt])).toEqual([
      [0, 2],
      [1, 1],
    ]);
  });

  test("no more jobs of a group run at once than it may have, and a full group blocks nobody", async () => {
    const { port, another, join, claim, done } = scene({ group: { by, concurrencyMax: 2 } });
    await port.enqueue(Array.from({ length: 50 }, (_, n) => inGroup("a", n)));
    await port.enqueue([inGroup("b")]);
    const other = another();
    const member = await join("mailer-1@a");
    const next = await join("mailer-2@a", other);
    const jobs = await claim(member, 3);
    expect(jobs.map((job) => job.group).sort()).toEqual(["a", "a", "b"]);
    expect(await other.claim(next, 10, bytesMax)).toEqual([]);
    await done(member, jobs.filter((job) => job.group === "a").slice(0, 1));
    expect((await claim(next, 1, other)).map((job) => job.group)).toEqual(["a"]);
    expect(await port.claim(member, 10, bytesMax)).toEqual([]);
    // What a lost member held is free again.
    await join("mailer-2@b", other);
    await until(async () => (await port.claim(member, 10, bytesMax)).length === 1, "the place to be free");
  });

  test("no more jobs of a queue run at once than it may have", async () => {
    const { port, another, join, claim, done } = scene({ concurrencyMax: 3 });
    await port.enqueue(Array.from({ length: 10 }, (_, n) => outgoing(n)));
    const other = another();
    const member = await join("mailer-1@a");
    const next = await join("mailer-2@a", other);
    const jobs = await claim(member, 2);
    await claim(next, 1, other);
    expect(await other.claim(next, 10, bytesMax)).toEqual([]);
    expect(await port.claim(member, 10, bytesMax)).toEqual([]);
    await done(member, jobs);
    await claim(next, 2, other);
    expect(await port.claim(member, 10, bytesMax)).toEqual([]);
  });

  test("jobs of a group begin no more often than its rate allows, and others go on", async () => {
    const { port, join } = scene({ group: { by, rate: { count: 3, perMs: 600_000 } } });
    await port.enqueue(Array.from({ length: 20 }, (_, n) => inGroup("a", n)));
    await port.enqueue([inGroup("b")]);
    const member = await join();
    const begun = await one(port, member, 4);
    expect(begun.map((job) => job.group).sort()).toEqual(["a", "a", "a", "b"]);
    expect(await port.claim(member, 10, bytesMax)).toEqual([]);
  });

  test("jobs of a queue begin no more often than its rate allows, and go on as its bucket fills", async () => {
    const { port, another, join } = scene({ rate: { count: 10, perMs: 1_000 } });
    await port.enqueue(Array.from({ length: 30 }, (_, n) => outgoing(n)));
    const ports = [port, another()] as const;
    const members = [await join("mailer-1@a"), await join("mailer-2@a", ports[1])] as const;
    const startMs = clock().monotonicMs();
    let begun = 0;
    await until(async () => {
      const [own, others] = await Promise.all([
        ports[0].claim(members[0], 5, bytesMax),
        ports[1].claim(members[1], 5, bytesMax),
      ]);
      begun += own.length + others.length;
      const passedMs = clock().monotonicMs() - startMs;
      // What was in the bucket, and what has run into it; the store's clock began a moment before this one.
      expect(begun).toBeLessThanOrEqual(10 + Math.ceil((passedMs + 100) / 100));
      return begun >= 15;
    }, "the bucket to fill");
  });

  test("priorities count within a group, and its turn is a group's own", async () => {
    const { port, join } = scene({ group: { by }, priority: { agingMs: 600_000 } });
    await port.enqueue([
      outgoing("a low", { group: "a", priority: 0 }),
      outgoing("a high", { group: "a", priority: 10 }),
      outgoing("b", { group: "b", priority: -50 }),
    ]);
    const order = values(await one(port, await join(), 3));
    expect(order.indexOf("a high")).toBeLessThan(order.indexOf("a low"));
    expect(order.indexOf("b")).toBeLessThan(2);
  });

  test("jobs are found by their group, and counted whatever holds them up", async () => {
    const { port, join, claim } = scene({ group: { by, concurrencyMax: 1 } });
    await port.enqueue(["a", "b", "a"].map((group, n) => inGroup(group, n)));
    const page = await port.search({ group: "a" }, 10, undefined);
    expect(page.jobs.map((job) => job.value)).toEqual([0, 2]);
    await claim(await join(), 2);
    expect(await port.counts()).toMatchObject({ waiting: 1, active: 2 });
    expect(
      (await port.search({ group: "a", state: "waiting" }, 10, undefined)).jobs.map((job) => job.value),
    ).toEqual([2]);
  });
}
