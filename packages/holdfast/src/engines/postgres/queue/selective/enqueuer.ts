/**
 * Enqueuing from one process to one selective queue: concurrent calls share a commit (`group-commit.ts`).
 *
 * A commit without an answer is settled by the evidence that its batch leaves. Where it turns out to have been
 * committed, who has each unique key is asked again: a job that is there is new.
 */
import { HoldfastError } from "../../../../call/index.ts";
import type { Enqueued, OutgoingJob } from "../../../../parts/queue/index.ts";
import { type AppendEnd, commitWith } from "../../commit-end.ts";
import { type Group, GroupCommit, type GroupCommitOptions } from "../../group-commit.ts";
import { flushed } from "../../log-transaction.ts";
import type { PgSession, Statement } from "../../session.ts";
import { sqlStateOf } from "../../session-error.ts";
import { evidenceStatement, settleJobs } from "../queue-append.ts";
import { queueFullState } from "./enqueue-sql.ts";

/** How long a batch waits for groups and keys that others are changing, in milliseconds. Then it is tried again. */
const lockTimeoutMs = 2_000;

/** Separates JSON texts in one parameter: a control character, which JSON.stringify always escapes. */
export const separator = "\u001e";

type JobGroup = Group<OutgoingJob, readonly Enqueued[]>;

export interface SelectiveStore {
  readonly id: number;
}

export interface EnqueuerOptions extends GroupCommitOptions<SelectiveStore> {
  readonly rules: string;
  /** The error of a queue that has no room for so many jobs. */
  readonly full: (jobs: number, cause: unknown) => HoldfastError;
}

export class SelectiveEnqueuer extends GroupCommit<OutgoingJob, readonly Enqueued[], SelectiveStore> {
  readonly #rules: string;
  readonly #full: EnqueuerOptions["full"];

  constructor(options: EnqueuerOptions) {
    super(options);
    this.#rules = options.rules;
    this.#full = options.full;
  }

  enqueue(jobs: readonly OutgoingJob[]): Promise<readonly Enqueued[]> {
    return this.write(
      jobs,
      jobs.reduce((sum, job) => sum + job.json.length, 0),
    );
  }

  protected override async append(
    session: PgSession,
    store: SelectiveStore,
    groups: readonly JobGroup[],
    id: string,
  ): Promise<AppendEnd<readonly (readonly Enqueued[])[]>> {
    session.push({ text: `begin read write; set local lock_timeout = ${lockTimeoutMs}; ${flushed}` });
    const jobs = groups.flatMap((group) => group.items);
    const statements = [evidenceStatement(id), enqueueStatement(store.id, jobs, this.#rules)];
    const end = await commitWith(session, statements, "jobs");
    if (end.kind !== "appended") return end;
    const holders = holdersOf(end.answer[1]?.rows as readonly EnqueueRow[]);
    return { kind: "appended", answer: groups.map((group) => answersOf(group.items, holders)) };
  }

  protected override async settle(
    session: PgSession,
    store: SelectiveStore,
    groups: readonly JobGroup[],
    id: string,
  ): Promise<readonly (readonly Enqueued[])[] | "refused"> {
    if ((await settleJobs(session, id)) === "refused") return "refused";
    const keyed = groups.flatMap((group) => group.items.filter((job) => job.unique));
    const { rows } = await session.send<EnqueueRow>({
      text: `select wanted.job, coalesce(u.job, wanted.job) as holder
               from unnest($2::uuid[], $3::text[]) as wanted (job, key)
               left join holdfast.selective_job j on j.queue = $1 and j.id = wanted.job
               left join holdfast.queue_unique u on j.id is null and u.queue = $1 and u.key = wanted.key`,
      values: [store.id, keyed.map((job) => job.id), keyed.map((job) => job.unique?.key)],
    });
    const holders = holdersOf(rows);
    return groups.map((group) => answersOf(group.items, holders));
  }

  /** Whoever holds the group or the key ends soon, or is ended by the server: try again until the deadline. */
  protected override locked(groups: readonly JobGroup[]): void {
    this.again(groups);
  }

  protected override leave(group: JobGroup, error: unknown): void {
    super.leave(group, sqlStateOf(error) === queueFullState ? this.#full(group.items.length, error) : error);
  }

  protected override waitedError(waitedMs: number): HoldfastError {
    const { what } = this.options;
    return new HoldfastError(
      "HOLDFAST_SQL_RETRY",
      `${what}: nothing was enqueued in ${waitedMs} ms, because another transaction holds the group or the unique key of a job, or the primary is too slow. See pg_locks and pg_prepared_xacts on the queue's home.`,
      { data: { what, waitedMs } },
    );
  }
}

interface EnqueueRow {
  readonly job: string;
  readonly holder: string;
}

/** Enqueues jobs in whatever READ WRITE transaction on the queue's home it is sent in. Answers `job` and `holder`. */
export function enqueueStatement(queueId: number, jobs: readonly OutgoingJob[], rules: string): Statement {
  return {
    text: "select job, holder from holdfast.selective_enqueue($1, $2::json, $3::text, $4::jsonb)",
    prepare: true,
    values: [
      queueId,
      JSON.stringify(
        jobs.map((job) => ({
          id: job.id,
          g: job.group,
          n: job.name,
          p: job.priority,
          after: "afterMs" in job.due ? job.due.afterMs : undefined,
          until: "atMs" in job.due ? job.due.atMs : undefined,
          t: job.tags,
          tp: job.traceparent,
          s: job.session,
          u: job.unique?.key,
          f: job.unique?.forMs,
        })),
      ),
      jobs.map((job) => job.json).join(separator),
      rules,
    ],
  };
}

function holdersOf(rows: readonly EnqueueRow[]): Map<string, string> {
  return new Map(rows.map(({ job, holder }) => [job, holder]));
}

function answersOf(jobs: readonly OutgoingJob[], holders: ReadonlyMap<string, string>): Enqueued[] {
  return jobs.map(({ id }) => {
    const holder = holders.get(id) ?? id;
    return { id: holder, isNew: holder === id };
  });
}
