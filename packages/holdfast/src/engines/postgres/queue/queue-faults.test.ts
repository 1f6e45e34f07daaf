/** Enqueuing and working while connections break, workers vanish and the server dies: nothing lost, nothing doubled. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, type HoldfastError, inCall } from "../../../call/index.ts";
import { seededRandom, systemClock } from "../../../clock/index.ts";
import type { ClaimedJob, QueueMember } from "../../../parts/queue/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { appendJobs, settleJobs } from "./queue-append.ts";
import { claimJobs, newestClaim } from "./queue-claim.ts";
import { bytesMax, outgoingJob, type RingScene, ringScene, workOff } from "./queue-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

/** Enqueues 0, 1, 2 … from several at a time until stopped, and notes how each ended. */
function enqueuing({ port }: RingScene, lanes: number) {
  const ends = { applied: [] as number[], notApplied: [] as number[], unknown: [] as number[] };
  let n = 0;
  let stopped = false;
  const done = Promise.all(
    Array.from({ length: lanes }, async () => {
      while (!stopped) {
        const value = n++;
        using call = new Call(systemClock, { timeoutMs: 20_000 });
        try {
          await inCall(call, () => port.enqueue([outgoingJob(value)]));
          ends.applied.push(value);
        } catch (error) {
          const { outcome } = error as HoldfastError;
          (outcome === "not-applied" ? ends.notApplied : ends.unknown).push(value);
        }
      }
    }),
  );
  return {
    ends,
    stop: () => {
      stopped = true;
      return done;
    },
  };
}

/** Works like a process that is restarted whenever anything fails. Notes every attempt, and each job that was done. */
function working(scene: RingScene, name: string, seed: number) {
  const port = scene.another("ring");
  const random = seededRandom(seed);
  const begun = new Map<unknown, number[]>();
  const done = new Map<unknown, number>();
  let stopped = false;
  let incarnation = 0;
  const once = async (member: QueueMember) => {
    while (!stopped) {
      const jobs = await port.claim(member, 1 + Math.floor(random.next() * 30), bytesMax);
      if (jobs.length === 0) await systemClock.sleep(2);
      for (const { value, attempt } of jobs) begun.set(value, [...(begun.get(value) ?? []), attempt]);
      if (random.next() < 0.02) return; // gone without a word, with all that it holds
      const counted = await port.finish(
        member,
        jobs.map((job) => ({ job, end: { kind: "done", resultJson: undefined } })),
      );
      for (const [at, { value }] of jobs.entries())
        if (counted[at]) done.set(value, (done.get(value) ?? 0) + 1);
    }
  };
  const running = (async () => {
    while (!stopped) {
      try {
        await once(await port.join("mailer", `${name}@${++incarnation}`, 60_000));
      } catch {
        await systemClock.sleep(10); // away, or fenced: it starts anew
      }
    }
  })();
  return {
    begun,
    done,
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

async function judged(scene: RingScene, disturb: (progress: () => number) => Promise<void>): Promise<void> {
  const load = enqueuing(scene, 8);
  const workers = [working(scene, "mailer-1", 1), working(scene, "mailer-2", 2)];
  await disturb(() => load.ends.applied.length);
  await load.stop();
  await until(
    async () => {
      const { waiting, active, delayed } = await scene.port.counts();
      return waiting + active + delayed === 0;
    },
    { what: "all jobs to be ended", timeoutMs: 40_000 },
  );
  await Promise.all(workers.map((worker) => worker.stop()));
  const done = new Map<unknown, number>();
  for (const worker of workers)
    for (const [value, times] of worker.done) done.set(value, (done.get(value) ?? 0) + times);
  expect(load.ends.unknown).toEqual([]);
  expect(load.ends.applied.filter((value) => (done.get(value) ?? 0) !== 1)).toEqual([]);
  expect(load.ends.notApplied.filter((value) => done.has(value))).toEqual([]);
  // The same attempt is never handed out twice.
  const attempts = new Map<unknown, number[]>();
  for (const worker of workers)
    for (const [value, own] of worker.begun) attempts.set(value, [...(attempts.get(value) ?? []), ...own]);
  const doubled = [...attempts].filter(([, own]) => new Set(own).size !== own.length);
  expect(doubled).toEqual([]);
}

test("connections that break and workers that vanish: every job is done once, no attempt comes twice", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const killer = new pg.Client(scene.config.nodes[0]?.primary);
  await killer.connect();
  await judged(scene, async (progress) => {
    for (let cut = 0; cut < 12; cut++) {
      const before = progress();
      await killer.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ring' and random() < 0.7",
      );
      await until(() => progress() > before + 30, { what: "enqueuing to go on" });
    }
  });
  await killer.end();
});

test("the server is killed under load, and comes back: what was acknowledged is there, and done once", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const [member] = postgres.members;
  await judged(scene, async (progress) => {
    for (let crash = 0; crash < 2; crash++) {
      const before = progress();
      await until(() => progress() > before + 50, { what: "enqueuing to go on", timeoutMs: 30_000 });
      await member?.kill();
      await member?.restart();
    }
    const before = progress();
    await until(() => progress() > before + 50, { what: "enqueuing to go on", timeoutMs: 30_000 });
  });
});

test("a batch whose COMMIT had no answer is settled for good, whichever way it went", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { nodes, store, port } = scene;
  const pool = nodes.primary(nodes.home);
  const [came, late] = ["018f0000-0000-4000-8000-000000000001", "018f0000-0000-4000-8000-000000000002"];
  await pool.use((session) => appendJobs(session, store, [outgoingJob("came")], came));
  expect(await pool.use((session) => settleJobs(session, came))).toBe("appended");
  expect(await pool.use((session) => settleJobs(session, late))).toBe("refused");
  expect(await pool.use((session) => settleJobs(session, late))).toBe("refused");
  // What arrives after it was settled is refused by the tombstone.
  const end = await pool.use((session) => appendJobs(session, store, [outgoingJob("late")], late));
  expect(end.kind).toBe("refused");
  expect(await workOff(port)).toEqual(["came"]);
});

test("a claim whose answer was lost comes with the next one, as the same attempt", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { nodes, store, port } = scene;
  await port.enqueue([outgoingJob("a"), outgoingJob("b"), outgoingJob("c")]);
  const member = await port.join("mailer", "mailer-1@a", 60_000);
  const pool = nodes.primary(nodes.home);
  // As if the answer had been lost: the port hears nothing of it.
  await pool.use(async (session) =>
    claimJobs(session, store, member, 2, bytesMax, await newestClaim(session, store)),
  );
  expect(await port.counts()).toMatchObject({ waiting: 1, active: 2 });
  const jobs: ClaimedJob[] = [...(await port.claim(member, 1, bytesMax))];
  expect(jobs.map(({ value, attempt }) => [value, attempt])).toEqual([
    ["a", 1],
    ["b", 1],
    ["c", 1],
  ]);
  // Renewing says before which claim nothing is left: the lost one was not passed over.
  await port.heartbeat(member, 60_000);
  await port.leave(member);
  expect(await port.counts()).toMatchObject({ waiting: 3, active: 0 });
});
