/**
 * Enqueuing from one process to one queue: concurrent calls share a commit (`group-commit.ts`), up to `maxLength`.
 *
 * Where a queue that is full is to wait for room, a call asks again after a growing pause, until its deadline.
 */
import { currentCall, HoldfastError } from "../../../call/index.ts";
import {
  type Enqueued,
  type OutgoingJob,
  queueFullError,
  type ResolvedQueueOptions,
  roomWaitMs,
} from "../../../parts/queue/index.ts";
import type { AppendEnd } from "../commit-end.ts";
import { type Group, GroupCommit, type GroupCommitOptions } from "../group-commit.ts";
import { patienceDefaultMs } from "../pool-lease.ts";
import type { PgSession } from "../session.ts";
import { appendJobs, settleJobs } from "./queue-append.ts";
import { lengthLockSql, QueueLength } from "./queue-length.ts";
import type { QueueStore } from "./queue-tables.ts";

/** What became of one call: its jobs, or that there was no room for them. */
type Answer = readonly Enqueued[] | "full";
type JobGroup = Group<OutgoingJob, Answer>;

const roomPause = { msMin: 10, msMax: 250 } as const;

export class QueueEnqueuer extends GroupCommit<OutgoingJob, Answer, QueueStore> {
  readonly #name: string;
  readonly #limits: Pick<ResolvedQueueOptions, "maxLength" | "whenFull">;
  readonly #length: QueueLength;

  constructor(
    name: string,
    limits: Pick<ResolvedQueueOptions, "maxLength" | "whenFull">,
    options: GroupCommitOptions<QueueStore>,
  ) {
    super(options);
    this.#name = name;
    this.#limits = limits;
    this.#length = new QueueLength(limits.maxLength, options.clock);
  }

  async enqueue(jobs: readonly OutgoingJob[]): Promise<readonly Enqueued[]> {
    const { maxLength, whenFull } = this.#limits;
    const bytes = jobs.reduce((sum, job) => sum + job.json.length, 0);
    const deadlineAtMs = currentCall()?.deadlineAtMs ?? Number.POSITIVE_INFINITY;
    const untilMs = Number.isFinite(deadlineAtMs) ? deadlineAtMs : this.clock.monotonicMs() + roomWaitMs;
    for (let pauseMs: number = roomPause.msMin; ; pauseMs = Math.min(pauseMs * 2, roomPause.msMax)) {
      const answer = await this.#tryOnce(jobs, bytes, untilMs);
      if (answer !== "full") return answer;
      // A batch that is larger than the queue never fits.
      if (whenFull === "refuse" || jobs.length > maxLength)
        throw queueFullError(this.#name, maxLength, jobs.length, "refuse");
      const leftMs = untilMs - this.clock.monotonicMs();
      if (leftMs <= 0) throw queueFullError(this.#name, maxLength, jobs.length, "wait");
      await this.clock.sleep(Math.min(leftMs, pauseMs * (0.5 + this.clock.random.next() / 2)));
    }
  }

  /** Whoever waited for room until the deadline is told that there was none, wherever it was found out. */
  async #tryOnce(jobs: readonly OutgoingJob[], bytes: number, untilMs: number): Promise<Answer> {
    const waits = this.#limits.whenFull === "wait" && this.#waited.has(jobs);
    try {
      const answer = await this.write(jobs, bytes);
      if (answer === "full") this.#waited.add(jobs);
      return answer;
    } catch (error) {
      const late = waits && this.clock.monotonicMs() >= untilMs;
      if (late && error instanceof HoldfastError && error.outcome === "not-applied")
        throw queueFullError(this.#name, this.#limits.maxLength, jobs.length, "wait");
      throw error;
    }
  }

  readonly #waited = new WeakSet<readonly OutgoingJob[]>();

  protected override async append(
    session: PgSession,
    store: QueueStore,
    groups: readonly JobGroup[],
    id: string,
  ): Promise<AppendEnd<readonly Answer[]>> {
    const wanted = groups.reduce((sum, group) => sum + group.items.length, 0);
    try {
      if (
        this.#length.take(wanted) ||
        ((await this.#length.look(session, store)) && this.#length.take(wanted))
      )
        return answered(groups, await appendJobs(session, store, itemsOf(groups), id));
      return await this.#appendMeasured(session, store, groups, wanted, id);
    } catch (error) {
      // Nothing of the batch was sent.
      session.taint();
      return { kind: "refused", error: error as HoldfastError };
    }
  }

  async #appendMeasured(
    session: PgSession,
    store: QueueStore,
    groups: readonly JobGroup[],
    wanted: number,
    id: string,
  ): Promise<AppendEnd<readonly Answer[]>> {
    await session.send({ text: `begin read write; ${lengthLockSql(store)}` });
    const room = await this.#length.measure(session, store, wanted);
    let taken = 0;
    const fitting = groups.filter((group) => {
      const fits = taken + group.items.length <= room;
      if (fits) taken += group.items.length;
      return fits;
    });
    if (fitting.length === 0) {
      await session.send({ text: "commit" });
      return { kind: "appended", answer: groups.map(() => "full") };
    }
    const end = answered(fitting, await appendJobs(session, store, itemsOf(fitting), id, true));
    if (end.kind !== "appended") return end;
    return {
      kind: "appended",
      answer: groups.map((group) => end.answer[fitting.indexOf(group)] ?? "full"),
    };
  }

  protected override async settle(
    session: PgSession,
    _store: QueueStore,
    groups: readonly JobGroup[],
    id: string,
  ): Promise<readonly Answer[] | "refused"> {
    if ((await settleJobs(session, id)) === "refused") return "refused";
    const jobs = itemsOf(groups);
    const keyed = jobs.filter((job) => job.unique);
    if (keyed.length === 0) return split(groups, jobs.map(asNew));
    const { rows } = await session.send<{ key: string; job: string }>({
      text: "select key, job from holdfast.queue_unique where queue = $1 and key = any ($2::text[])",
      values: [_store.id, keyed.map((job) => job.unique?.key)],
    });
    const holders = new Map(rows.map(({ key, job }) => [key, job]));
    const answers = jobs.map((job) => {
      const holder = job.unique && holders.get(job.unique.key);
      return holder === undefined || holder === job.id ? asNew(job) : { id: holder, isNew: false };
    });
    return split(groups, answers);
  }

  protected override locked(groups: readonly JobGroup[], _store: QueueStore, error: HoldfastError): void {
    for (const group of groups) this.leave(group, error);
  }

  protected override waitedError(): HoldfastError {
    const { what } = this.options;
    return new HoldfastError(
      "HOLDFAST_SQL_RETRY",
      `${what}: nothing was enqueued in ${patienceDefaultMs} ms, because the primary is too slow, or another transaction holds a unique key. See pg_locks on the queue's home. Nothing was sent; enqueue again.`,
      { data: { queue: this.#name, waitedMs: patienceDefaultMs } },
    );
  }
}

const asNew = ({ id }: OutgoingJob): Enqueued => ({ id, isNew: true });

function itemsOf(groups: readonly JobGroup[]): readonly OutgoingJob[] {
  return groups.length === 1 ? (groups[0] as JobGroup).items : groups.flatMap((group) => group.items);
}

function answered(
  groups: readonly JobGroup[],
  end: AppendEnd<readonly Enqueued[]>,
): AppendEnd<readonly Answer[]> {
  return end.kind === "appended" ? { kind: "appended", answer: split(groups, end.answer) } : end;
}

/** Deals the answers out to those whose jobs they are about. */
function split(groups: readonly JobGroup[], answers: readonly Enqueued[]): readonly (readonly Enqueued[])[] {
  let at = 0;
  return groups.map((group) => {
    const own = answers.slice(at, at + group.items.length);
    at += group.items.length;
    return own;
  });
}
