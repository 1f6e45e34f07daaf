/**
 * A queue whose jobs are handed out in the order in which they came, on Postgres: the fast one.
 *
 * - `queue-install.ts`, `queue-tables.ts`: what is stored. `queue-append.ts`, `queue-enqueuer.ts`, `queue-length.ts`:
 *   enqueuing. `queue-window.ts`, `queue-claim.ts`, `queue-finish.ts`: handing out, and ends.
 * - `queue-members.ts`, `held-jobs.ts`, `queue-return.ts`: leases, and what is lost with them. `queue-upkeep.ts`:
 *   delays. `queue-view.ts`, `queue-counts.ts`, `queue-admin.ts`: for people. `queue-ring.ts`: retention.
 */
import { currentCall, HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { Queue, QueueMember, QueuePort } from "../../../parts/queue/index.ts";
import { boundedSessions } from "../log-session.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { once } from "../once.ts";
import { patienceOf } from "../pool-lease.ts";
import { sqlStateOf } from "../session-error.ts";
import { topicWakeup } from "../topic-wakeup.ts";
import { WakeWait } from "../wake-wait.ts";
import { HeldJobs } from "./held-jobs.ts";
import { cancelJob, discardDead, keepProgress, pauseQueue, redriveDead } from "./queue-admin.ts";
import { isDelayed } from "./queue-append.ts";
import { claimJobs, newestClaim } from "./queue-claim.ts";
import { countJobs } from "./queue-counts.ts";
import { QueueEnqueuer } from "./queue-enqueuer.ts";
import { doneBefore, type FinishedJob, finishJobs } from "./queue-finish.ts";
import { fencedBy, joinMember, renewMember } from "./queue-members.ts";
import { leaveQueue } from "./queue-return.ts";
import { trimQueue, turnRing } from "./queue-ring.ts";
import { openQueueStore, type QueueStore, wakeKey } from "./queue-tables.ts";
import { QueueUpkeep } from "./queue-upkeep.ts";
import { knownJobs, searchJobs } from "./queue-view.ts";

export interface PostgresQueue extends QueuePort {
  /** Sends what waits, ends waiting, and gives the listening connection back. The pools are their owner's. */
  close(): Promise<void>;
}

/** How often a process looks after the ring at most, in milliseconds. */
const careMsMax = 60_000;
const careMsMin = 1_000;
const finishPause = { msMin: 20, msMax: 500 } as const;

/** @param home nodes of the queue's home database; connections are made when first needed */
export function ringQueue(declaration: Queue<never>, home: DatabaseNodes, clock: Clock): PostgresQueue {
  const { name, options } = declaration;
  const { retry, keepDoneMs } = options;
  const wakeup = topicWakeup(home, clock);
  const use = boundedSessions(home.primary(home.home), clock);
  const patience = () => patienceOf(currentCall(), clock);
  const openStore = once<QueueStore>(() => use((session) => openQueueStore(session, name)));
  const upkeepOf = once(async () => new QueueUpkeep(await openStore(), retry, clock));
  const heldBy = new Map<bigint, HeldJobs>();
  const waiting = new WakeWait(clock);
  let upkeep: QueueUpkeep | undefined;
  let stopListening: (() => void) | undefined;
  let closing: Promise<void> | undefined;

  let caredAtMs = clock.monotonicMs();
  let caring: Promise<unknown> | undefined;
  const careMs = Math.max(careMsMin, Math.min(careMsMax, keepDoneMs / 8));
  const care = (store: QueueStore): void => {
    if (closing || caring || clock.monotonicMs() - caredAtMs < careMs) return;
    caring = use(async (session) => {
      await turnRing(session, store, options);
      await trimQueue(session, store.id, options);
    })
      .catch(() => {}) // the next round tries again; nothing depends on its time
      .finally(() => {
        caredAtMs = clock.monotonicMs();
        caring = undefined;
      });
  };

  const tell = (store: QueueStore, delayed: boolean): void => {
    wakeup.published(wakeKey(store, delayed));
  };
  const enqueuer = new QueueEnqueuer(name, options, {
    what: `queue "${name}"`,
    items: "jobs",
    use,
    clock,
    store: openStore,
    committed: (store) => {
      tell(store, false);
      care(store);
    },
  });
  const heldOf = (member: QueueMember): HeldJobs => {
    const held = heldBy.get(member.token) ?? new HeldJobs(0n);
    heldBy.set(member.token, held);
    return held;
  };

  /** Again while the COMMIT has no answer: what the first try ended, the next one finds ended. */
  const finish = async (
    store: QueueStore,
    member: QueueMember,
    finished: readonly FinishedJob[],
  ): Promise<readonly boolean[]> => {
    const until = patience();
    let unsure = false;
    for (let pauseMs: number = finishPause.msMin; ; pauseMs = Math.min(pauseMs * 2, finishPause.msMax)) {
      try {
        const counted = await use((session) => finishJobs(session, store, member, finished), until);
        return unsure ? finished.map(() => true) : counted;
      } catch (error) {
        if (sqlStateOf(error) === "HF002") {
          if (!unsure) return finished.map(() => false);
          return await use((session) => doneBefore(session, store, member, finished), until);
        }
        const { outcome, code } = error as HoldfastError;
        const again = outcome === "unknown" || code === "HOLDFAST_SQL_RETRY" || unsure;
        if (!again || clock.monotonicMs() + pauseMs >= until.untilMs) throw unsureError(name, error, unsure);
        unsure ||= outcome === "unknown";
        await clock.sleep(pauseMs * (0.5 + clock.random.next() / 2));
      }
    }
  };

  return {
    async enqueue(jobs) {
      const enqueued = await enqueuer.enqueue(jobs);
      if (jobs.some(isDelayed)) tell(await openStore(), true);
      return enqueued;
    },
    async join(worker, memberName, leaseMs) {
      const store = await openStore();
      return use(async (session) => {
        const last = await newestClaim(session, store);
        const member = await joinMember(session, store.id, worker, memberName, leaseMs, last);
        heldBy.set(member.token, new HeldJobs(last));
        return member;
      }, patience());
    },
    async heartbeat(member, leaseMs) {
      const store = await openStore();
      const held = heldBy.get(member.token);
      care(store);
      try {
        const cancelled = await use(
          (session) => renewMember(session, store.id, member, leaseMs, held?.doneBefore),
          patience(),
        );
        return held ? cancelled.filter((id) => held.holds(id)) : cancelled;
      } catch (error) {
        if ((error as HoldfastError).code === "HOLDFAST_FENCED") heldBy.delete(member.token);
        throw error;
      }
    },
    async leave(member) {
      const store = await openStore();
      const { jobs } = await use((session) => leaveQueue(session, store, member), patience());
      heldBy.delete(member.token);
      if (jobs > 0) tell(store, false);
    },
    async claim(member, jobsMax, bytesMax) {
      const store = await openStore();
      upkeep ??= await upkeepOf();
      const own = upkeep;
      waiting.looking();
      return heldOf(member).claim((last) =>
        use(async (session) => {
          const kept = own.send(session);
          const claimed = claimJobs(session, store, member, jobsMax, bytesMax, last);
          const [first, second] = await Promise.allSettled([kept, claimed]);
          if (second.status === "rejected") throw second.reason;
          // The claim stands for itself: what failed beside it is done with the next one.
          if (first.status === "rejected") own.hurry();
          return second.value;
        }, patience()).catch((error: unknown) => {
          throw fencedBy(error, member);
        }),
      );
    },
    async finish(member, ends) {
      if (ends.length === 0) return [];
      const store = await openStore();
      const counted = await finish(store, member, ends);
      const held = heldBy.get(member.token);
      for (const { job } of ends) held?.ended(job);
      if (ends.some(({ end }) => end.kind === "released" || (end.kind === "retry" && end.afterMs <= 0)))
        tell(store, false);
      if (ends.some(({ end }) => end.kind === "retry" && end.afterMs > 0)) tell(store, true);
      return counted;
    },
    async progress(member, job, json) {
      const store = await openStore();
      await use((session) => keepProgress(session, store, member, job, json), patience());
    },
    async wait(maxWaitMs, signal) {
      if (closing) return;
      if (!stopListening) {
        const store = await openStore().catch(() => undefined);
        if (store && !stopListening) {
          const stops = [
            wakeup.listen(wakeKey(store, false), () => waiting.wake()),
            wakeup.listen(wakeKey(store, true), () => {
              upkeep?.hurry();
              waiting.wake();
            }),
          ];
          stopListening = () => {
            for (const stop of stops) stop();
          };
        }
      }
      await waiting.wait(Math.min(maxWaitMs, upkeep?.nextMs ?? maxWaitMs), signal);
    },
    async cancel(id) {
      const store = await openStore();
      return use((session) => cancelJob(session, store, id, options), patience());
    },
    async get(id) {
      const store = await openStore();
      const { jobs } = await use(
        (session) => searchJobs(session, store, { ids: [id] }, 1, undefined, options),
        patience(),
      );
      return jobs[0];
    },
    async known(ids) {
      const store = await openStore();
      return use((session) => knownJobs(session, store, ids), patience());
    },
    async search(filter, limit, after) {
      const store = await openStore();
      return use((session) => searchJobs(session, store, filter, limit, after, options), patience());
    },
    async counts() {
      const store = await openStore();
      return use((session) => countJobs(session, store, options.keepDeadMs), patience());
    },
    async redrive(filter, limit) {
      const store = await openStore();
      const redriven = await use((session) => redriveDead(session, store, filter, limit), patience());
      if (redriven > 0) tell(store, false);
      return redriven;
    },
    async discard(filter, limit) {
      const store = await openStore();
      return use((session) => discardDead(session, store, filter, limit), patience());
    },
    async pause(paused) {
      const store = await openStore();
      await use((session) => pauseQueue(session, store.id, paused), patience());
      if (!paused) tell(store, false);
    },
    close() {
      closing ??= (async () => {
        await enqueuer.close();
        stopListening?.();
        waiting.wake();
        await caring;
        await wakeup.release();
      })();
      return closing;
    },
  };
}

/** A report that was sent once without an answer stays unknown, whatever stopped the next try. */
function unsureError(queue: string, error: unknown, unsure: boolean): unknown {
  if (!unsure || (error as HoldfastError).outcome === "unknown") return error;
  return new HoldfastError(
    "HOLDFAST_OUTCOME_UNKNOWN",
    `queue "${queue}": the connection broke while ends of jobs were being committed, and the primary did not come back in time to say whether they were. Report them again: what has ended stays so.`,
    { outcome: "unknown", cause: error, data: { queue } },
  );
}
