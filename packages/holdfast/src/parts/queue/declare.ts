/**
 * `queue`: jobs that are to be done once, each by somebody, some time, with retries.
 *
 * `enqueue` is durable when it resolves. A job that was handed out comes again until an attempt has ended it; only
 * its newest attempt can. What it does to a database happens once when it is done with `job.apply`.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { currentCall, HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { appendIn, type InTransaction, type OutboxEntry, refuseInside } from "../outbox/index.ts";
import type { Bindable } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";
import { type DeadLetters, deadLetters } from "./dead-letters.ts";
import { checkJobId, checkSearch, type JobSearch } from "./job-search.ts";
import { type QueueOptions, type ResolvedQueueOptions, resolveQueueOptions } from "./options.ts";
import { outboxEntry } from "./outbox-job.ts";
import type { Enqueued, JobPage, JobView, OutgoingJob, QueueCounts, QueuePort } from "./port.ts";
import { allPrepared, type EnqueueOptions, type JobRule, prepareJob } from "./prepare-job.ts";
import { awaitResult, type ResultOptions } from "./result.ts";

/** Most jobs in one `enqueueMany`: they are one transaction. */
export const enqueueJobsMax = 10_000;

export type EnqueueEntry<Value> = EnqueueOptions & { readonly value: Value };

export interface EnqueueWithin {
  /**
   * The `tx` of a write, of whatever database and shard: the jobs commit with it, or not at all, and are then moved on
   * to the queue. They arrive though the queue is at `maxLength`, and delays count from when they do. Whether a
   * unique key is taken is decided there, so `isNew` is true here.
   */
  readonly in?: InTransaction;
}

export interface Queue<Value> extends Bindable<QueuePort> {
  readonly kind: "queue";
  readonly options: ResolvedQueueOptions;
  /**
   * Resolves when the job is durable; with `in`, when it is part of the transaction.
   *
   * @returns its id, and whether it is new: with `unique`, a job that has the key already is answered instead
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID, HOLDFAST_QUEUE_FULL, HOLDFAST_OVERLOADED, HOLDFAST_UNAVAILABLE:
   *   not enqueued. HOLDFAST_OUTCOME_UNKNOWN: the commit had no answer until the deadline. HOLDFAST_DEADLINE and
   *   HOLDFAST_ABORTED say in their outcome which of the two. HOLDFAST_TX_OPEN inside a write without `in`.
   */
  enqueue(value: Value, options?: EnqueueOptions & EnqueueWithin): Promise<Enqueued>;
  /** Many at once, at most 10_000, in one transaction: all or none. Answers in their order. */
  enqueueMany(entries: readonly EnqueueEntry<Value>[], options?: EnqueueWithin): Promise<readonly Enqueued[]>;
  /**
   * For parts that add jobs in transactions of their own, such as a schedule.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it does not fit
   */
  prepare(value: Value, clock: Clock, options?: EnqueueOptions): Promise<OutboxEntry>;
  /** The job as it is now; `undefined` when there is none with this id, or none any more. */
  get(id: string): Promise<JobView | undefined>;
  /** Jobs that fit all conditions, in the order of their ids, a page of at most `limit` (default 100) at a time. */
  search(search?: JobSearch): Promise<JobPage>;
  /**
   * `cancelled`: it was waiting and will not run. `requested`: it runs, and its handler is told within a third of its
   * worker's lease; it will not run again. `ended`: too late. `unknown`: there is no such job any more.
   */
  cancel(id: string): Promise<"cancelled" | "requested" | "ended" | "unknown">;
  /**
   * What the handler answered, as soon as the job is done, within the call's deadline and `timeoutMs`.
   *
   * @throws {HoldfastError} HOLDFAST_JOB_DEAD, HOLDFAST_JOB_CANCELLED, HOLDFAST_JOB_UNKNOWN; HOLDFAST_DEADLINE: it
   *   has not ended yet, and goes on
   */
  result(id: string, options?: ResultOptions): Promise<unknown>;
  counts(): Promise<QueueCounts>;
  readonly dead: DeadLetters;
  /** No job is handed out any more, to anybody, until `resume`; those under way go on. Kept in the store. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function queue<Schema extends StandardSchemaV1>(
  name: string,
  options: QueueOptions<Schema>,
): Queue<StandardSchemaV1.InferOutput<Schema>> {
  type Value = StandardSchemaV1.InferOutput<Schema>;
  const resolved = resolveQueueOptions(name, options);
  const rule: JobRule<Value> = {
    kind: "queue",
    name,
    schema: options.schema as StandardSchemaV1<unknown, Value>,
    bytesMax: resolved.maxJobBytes,
    groupBy: options.group?.by,
    hasPriority: resolved.priority !== undefined,
  };
  const report = <T>(operation: string, run: (port: QueuePort) => Promise<T>): Promise<T> =>
    currentWorld(handle).seam.operation("queue", name, operation, currentCall(), async () =>
      run(boundPort(handle)),
    );
  const add = async (
    port: QueuePort,
    entries: readonly EnqueueEntry<Value>[],
    tx: InTransaction | undefined,
  ): Promise<readonly Enqueued[]> => {
    if (tx === undefined) refuseInside(handle, "enqueue");
    const context = { clock: currentWorld(handle).clock, call: currentCall() };
    const prepared = await Promise.all(entries.map((entry) => prepareJob(rule, entry.value, entry, context)));
    const jobs = allPrepared(rule, prepared);
    if (tx === undefined) return port.enqueue(jobs);
    await appendIn(tx, handle, jobs.map(outboxEntry), (database) => currentWorld(handle).has(database));
    return jobs.map(({ id }) => ({ id, isNew: true }));
  };
  const handle: Queue<Value> = {
    kind: "queue",
    name,
    options: resolved,
    enqueue: (value, { in: tx, ...given } = {}) =>
      report("enqueue", async (port) => {
        const [answer] = await add(port, [{ ...given, value }], tx);
        return answer as Enqueued; // one for each
      }),
    enqueueMany: (entries, { in: tx } = {}) =>
      report("enqueue", async (port) => {
        if (entries.length > enqueueJobsMax) throw tooManyError(name, entries.length);
        return entries.length === 0 ? [] : add(port, entries, tx);
      }),
    prepare: async (value, clock, given = {}) => {
      const prepared = await prepareJob(rule, value, given, { clock, call: undefined });
      const [job] = allPrepared(rule, [prepared]);
      return outboxEntry(job as OutgoingJob); // one for each
    },
    get: (id) => report("get", (port) => port.get(checkJobId(name, id))),
    search: (search = {}) =>
      report("search", (port) => {
        const { filter, limit, after } = checkSearch(name, search);
        return port.search(filter, limit, after);
      }),
    cancel: (id) => report("cancel", (port) => port.cancel(checkJobId(name, id))),
    result: (id, given = {}) =>
      report("result", (port) =>
        awaitResult(name, port, checkJobId(name, id), currentWorld(handle).clock, given),
      ),
    counts: () => report("counts", (port) => port.counts()),
    dead: deadLetters(name, report),
    pause: () => report("pause", (port) => port.pause(true)),
    resume: () => report("resume", (port) => port.pause(false)),
  };
  return handle;
}

function tooManyError(name: string, count: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `queue "${name}": ${count} jobs in one enqueueMany; they are one transaction, so at most ${enqueueJobsMax} are taken. Enqueue them in parts.`,
    { data: { queue: name, count, countMax: enqueueJobsMax } },
  );
}
