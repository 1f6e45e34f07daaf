/**
 * A queue whose jobs are chosen one by one: by group, priority, concurrency and rate.
 *
 * - `tables.ts`: what is stored. `settle-sql.ts`, `enqueue-sql.ts`, `claim-sql.ts`, `end-sql.ts`: how it changes, as
 *   functions of the server, because who is served next is decided and done in one transaction, without a word to a
 *   process that may be standing still.
 * - `enqueuer.ts`, `attempts.ts`: those functions from this side, with an answer to every commit without one.
 * - `look.ts`: finding, counting, dead letters. `care.ts`, `floors.ts`: what is done now and then.
 */
import { currentCall } from "../../../../call/index.ts";
import { uuidv7Generator } from "../../../../clock/ids/index.ts";
import type { Clock } from "../../../../clock/index.ts";
import { type Queue, type QueuePort, queueFullError, roomWaitMs } from "../../../../parts/queue/index.ts";
import { boundedSessions } from "../../log-session.ts";
import { flushed, writeAtOnce } from "../../log-transaction.ts";
import type { DatabaseNodes } from "../../nodes.ts";
import { topicWakeup } from "../../topic-wakeup.ts";
import { joinMember, renewMember } from "../queue-members.ts";
import { openQueueRow } from "../queue-tables.ts";
import { type Attempts, attemptsOf } from "./attempts.ts";
import { careForQueue } from "./care.ts";
import { SelectiveEnqueuer } from "./enqueuer.ts";
import { type Floors, openFloors } from "./floors.ts";
import { countJobs, discardJobs, knownJobs, redriveJobs, searchJobs } from "./look.ts";
import { rulesOf } from "./rules.ts";
import { wholeGroupSql } from "./whole-group.ts";

export interface SelectiveQueue extends QueuePort {
  /** Sends what waits, ends waiting. The pools are their owner's. */
  close(): Promise<void>;
}

const careEveryMsMax = 60_000;
/** How often a full queue is tried again. */
const roomBackoffMs = { min: 20, max: 500 } as const;

interface Opened {
  readonly id: number;
  readonly attempts: Attempts;
  readonly floors: Floors;
}

/** @param home nodes of the queue's home database; connections are made when first needed */
export function selectiveQueue(declaration: Queue<never>, home: DatabaseNodes, clock: Clock): SelectiveQueue {
  const { name, options } = declaration;
  const rules = rulesOf(options);
  const wakeup = topicWakeup(home, clock);
  const use = boundedSessions(home.primary(home.home), clock);
  const newId = uuidv7Generator(clock);

  let opening: Promise<Opened> | undefined;
  const open = (): Promise<Opened> => {
    opening ??= use(async (session) => {
      const { id } = await openQueueRow(session, name, true, wholeGroupSql);
      const floors = openFloors(id, clock);
      return { id, floors, attempts: attemptsOf({ use, clock, queueId: id, rules, floors, newId }) };
    }).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };

  let closing: Promise<void> | undefined;
  let caredAtMs = clock.monotonicMs();
  let caring: Promise<unknown> | undefined;
  const careEveryMs = Math.min(careEveryMsMax, options.keepDoneMs / 2, options.keepDeadMs / 2);
  const care = ({ id, floors }: Opened): void => {
    if (closing || caring) return;
    const isTime = clock.monotonicMs() - caredAtMs >= careEveryMs;
    if (!isTime && !floors.due()) return;
    caring = use(async (session) => {
      if (floors.due()) await floors.look(session);
      if (isTime) await careForQueue(session, { queueId: id, options, rules });
    })
      .catch(() => {}) // the next round tries again; nothing depends on its time
      .finally(() => {
        if (isTime) caredAtMs = clock.monotonicMs();
        caring = undefined;
      });
  };

  const enqueuer = new SelectiveEnqueuer({
    what: `queue "${name}"`,
    items: "jobs",
    use,
    clock,
    store: open,
    committed: ({ id }) => wakeup.published(`q${id}`),
    rules,
    full: (jobs) => queueFullError(name, options.maxLength, jobs, options.whenFull),
  });

  /** Something changed after the last claim began. */
  let woken = false;
  /** When there will be something to claim, as the last claim knew, on the monotonic clock. */
  let nextAtMs = Number.POSITIVE_INFINITY;
  const waiting = new Set<() => void>();
  let stopListening: (() => void) | undefined;
  const wake = (): void => {
    woken = true;
    for (const resolve of waiting) resolve();
  };

  return {
    async enqueue(jobs) {
      if (jobs.length === 0) return [];
      const call = currentCall();
      const untilMs = Math.min(call?.deadlineAtMs ?? Infinity, clock.monotonicMs() + roomWaitMs);
      let backoffMs: number = roomBackoffMs.min;
      let full: unknown;
      for (;;) {
        try {
          return await enqueuer.enqueue(jobs);
        } catch (error) {
          const { code, outcome } = error as { code?: string; outcome?: string };
          // The deadline came before it could be tried once more: it was for want of room.
          if (full && code === "HOLDFAST_DEADLINE" && outcome === "not-applied") throw full;
          if (code !== "HOLDFAST_QUEUE_FULL" || options.whenFull === "refuse") throw error;
          full = error;
          const leftMs = untilMs - clock.monotonicMs();
          if (leftMs <= 0 || call?.signal?.aborted) throw error;
          await clock.sleep(Math.min(leftMs, backoffMs * (0.5 + clock.random.next() / 2)));
          backoffMs = Math.min(backoffMs * 2, roomBackoffMs.max);
          if (clock.monotonicMs() >= untilMs) throw error;
        }
      }
    },
    async join(worker, member, leaseMs) {
      const { id } = await open();
      return use((session) => joinMember(session, id, worker, member, leaseMs));
    },
    async heartbeat(member, leaseMs) {
      const { id, attempts } = await open();
      const cancelled = await use(async (session) => {
        await renewMember(session, id, member, leaseMs);
        const { rows } = await session.send<{ id: string }>({
          text: "select id from holdfast.selective_item where queue = $1 and member = $2::bigint and cancel",
          values: [id, member.token.toString()],
        });
        return rows.map((row) => row.id);
      });
      await attempts.giveBack(member);
      return cancelled;
    },
    async leave(member) {
      const { id, attempts } = await open();
      await attempts.leave(member);
      wakeup.published(`q${id}`);
    },
    async claim(member, jobsMax, bytesMax) {
      const opened = await open();
      woken = false;
      const { jobs, nextMs } = await opened.attempts.claim(member, jobsMax, bytesMax);
      nextAtMs = nextMs === undefined ? Infinity : clock.monotonicMs() + Math.max(0, nextMs);
      care(opened);
      return jobs;
    },
    async finish(member, ends) {
      if (ends.length === 0) return [];
      const { id, attempts } = await open();
      const counted = await attempts.finish(member, ends);
      // Another process may have waited for the room that this made, or may take what comes again.
      const frees = options.group?.concurrencyMax !== undefined || options.concurrencyMax !== undefined;
      if (frees || ends.some(({ end }) => end.kind === "retry" || end.kind === "released")) {
        wakeup.published(`q${id}`);
      }
      return counted;
    },
    async progress(member, job, json) {
      const { id } = await open();
      await use((session) =>
        writeAtOnce(
          session,
          [
            {
              text: `update holdfast.selective_item set progress = $5::json
                      where queue = $1 and id = $2::uuid and member = $3::bigint and claim = $4::uuid`,
              values: [id, job.id, member.token.toString(), job.handle, json],
            },
          ],
          "set local synchronous_commit = off",
        ),
      );
    },
    async wait(maxWaitMs, signal) {
      if (closing) return;
      if (!stopListening) {
        const opened = await open().catch(() => undefined);
        if (opened) stopListening ??= wakeup.listen(`q${opened.id}`, wake);
      }
      const waitMs = Math.min(maxWaitMs, nextAtMs - clock.monotonicMs());
      if (woken || signal.aborted || waitMs <= 0) {
        woken = false;
        return;
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          waiting.delete(done);
          timer.cancel();
          signal.removeEventListener("abort", done);
          resolve();
        };
        const timer = clock.timer(waitMs, done, { ref: true });
        waiting.add(done);
        signal.addEventListener("abort", done, { once: true });
      });
    },
    async cancel(job) {
      const { id } = await open();
      const [{ rows }] = await use((session) =>
        writeAtOnce<[{ became: "cancelled" | "requested" | "ended" | "unknown" }]>(
          session,
          [
            {
              text: "select holdfast.selective_cancel($1, $2::uuid, $3::jsonb) as became",
              values: [id, job, rules],
            },
          ],
          flushed,
        ),
      );
      const became = rows[0]?.became ?? "unknown";
      if (became === "cancelled") wakeup.published(`q${id}`);
      return became;
    },
    async get(job) {
      const { id } = await open();
      return use(async (session) => {
        const { jobs } = await searchJobs(session, id, options, { ids: [job] }, 1, undefined);
        return jobs[0];
      });
    },
    async known(ids) {
      const { id } = await open();
      return use((session) => knownJobs(session, id, ids));
    },
    async search(filter, limit, after) {
      const { id } = await open();
      return use((session) => searchJobs(session, id, options, filter, limit, after));
    },
    async counts() {
      const { id } = await open();
      return use((session) => countJobs(session, id, options));
    },
    async redrive(filter, limit) {
      const { id } = await open();
      const redriven = await use((session) => redriveJobs(session, id, options, filter, limit, rules));
      if (redriven > 0) wakeup.published(`q${id}`);
      return redriven;
    },
    async discard(filter, limit) {
      const { id } = await open();
      return use((session) => discardJobs(session, id, options, filter, limit));
    },
    async pause(paused) {
      const { id } = await open();
      await use((session) =>
        writeAtOnce(
          session,
          [{ text: "update holdfast.queue set paused = $2 where id = $1", values: [id, paused] }],
          flushed,
        ),
      );
      if (!paused) wakeup.published(`q${id}`);
    },
    close() {
      closing ??= (async () => {
        await enqueuer.close();
        stopListening?.();
        wake();
        await caring;
        await wakeup.release();
      })();
      return closing;
    },
  };
}
