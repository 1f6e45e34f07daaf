/**
 * Removes the guards that `job.apply` has left on shards, of jobs that never come again.
 *
 * A guard is kept as long as the store of its queue has anything of the job: while it waits, runs or is retried, as a
 * dead letter, and after its end until that is cleared away. The guard is read first and the queue asked afterwards: a
 * job was in its queue before it could leave a guard, so one that the queue does not know then has ended for good.
 *
 * What that alone does not cover is an attempt that was replaced and does not know: a process that stood still may go
 * on after the job has ended. So guards stay for some hours beyond the longest time that an attempt may take, in which
 * such a process has noticed that its time is up. And a failover of the queue's home may bring jobs back that had
 * just ended: for that, ended jobs stay known for `keepDoneMs`.
 *
 * A queue that the system does not declare cannot be asked, and may be declared by another version of it, or again:
 * its guards stay for a month.
 *
 * Any number of processes may sweep at once; whoever is too late removes nothing. A job's id begins with the time at
 * which it was enqueued, and a guard is younger than its job: so only the old end of the index is looked at.
 */
import { sql } from "kysely";
import { HoldfastError } from "../../../call/index.ts";
import type { DatabasePort } from "../../../parts/database/port.ts";
import type { QueuePort } from "../../../parts/queue/index.ts";
import { jobGuardPrefix, jobGuardsPrefix } from "../../../parts/worker/index.ts";

/** How much older than an attempt may get a guard is before it is looked at, in milliseconds. */
export const guardAgeMs = 6 * 3_600_000;
/** How long the guards of a queue that the system does not have are kept, in milliseconds. */
export const strangeGuardAgeMs = 30 * 86_400_000;
/** Guards that are looked at together. */
const batchRows = 1_000;

/** A queue of the system. */
export interface GuardedQueue {
  readonly port: Pick<QueuePort, "known">;
  /** The longest that an attempt of one of its jobs may take, in milliseconds. */
  readonly attemptMsMax: number;
}

export interface GuardSweep {
  readonly database: Pick<DatabasePort, "read" | "write" | "shardCount">;
  readonly queues: ReadonlyMap<string, GuardedQueue>;
  readonly nowMs: number;
}

/**
 * @returns how many guards were removed
 * @throws what the first queue or shard that could not be swept answered, after all others were; a user who may not
 *   look or delete leaves it to those who may
 */
export async function sweepJobGuards(sweep: GuardSweep): Promise<number> {
  let removed = 0;
  const failures: unknown[] = [];
  const attempt = async (run: () => Promise<void>) => {
    await run().catch((error: unknown) => {
      const isForOthers = error instanceof HoldfastError && error.code === "HOLDFAST_SQL_PERMISSION";
      if (!isForOthers) failures.push(error);
    });
  };
  for (let shard = 0; shard < sweep.database.shardCount; shard++) {
    await attempt(async () => {
      for await (const queue of queuesOn(sweep, shard)) {
        await attempt(async () => {
          removed += await sweepQueue(sweep, shard, queue);
        });
      }
    });
  }
  if (failures.length > 0) throw failures[0];
  return removed;
}

/** Names of queues whose jobs have guards on the shard: one look at the index for each. */
async function* queuesOn({ database }: GuardSweep, shard: number): AsyncGenerator<string> {
  for (let after = jobGuardsPrefix; ; ) {
    const rows = await database.read(shard, "strong", (db) =>
      sql<{ consumer: string }>`select consumer from holdfast_effect
        where consumer > ${after} and starts_with(consumer, ${jobGuardsPrefix}) order by consumer limit 1`
        .execute(db)
        .then((result) => result.rows),
    );
    const name = rows[0]?.consumer.split(":")[1];
    if (name === undefined) return;
    yield name;
    after = `${jobGuardPrefix(name)}g`; // behind all ids, which are hexadecimal
  }
}

async function sweepQueue(sweep: GuardSweep, shard: number, name: string): Promise<number> {
  const { database, queues, nowMs } = sweep;
  const queue = queues.get(name);
  const beforeMs = nowMs - (queue ? guardAgeMs + queue.attemptMsMax : strangeGuardAgeMs);
  const prefix = jobGuardPrefix(name);
  const until = `${prefix}${firstIdAt(beforeMs)}`;
  let removed = 0;
  for (let after = prefix; ; ) {
    const rows = await database.read(shard, "strong", (db) =>
      // One without a mark was made before guards had marks.
      sql<{ consumer: string }>`select consumer from holdfast_effect
        where consumer > ${after} and consumer < ${until}
          and case when starts_with(consumer, ${prefix}) then coalesce(mark::bigint, 0) < ${beforeMs} end
        order by consumer limit ${batchRows}`
        .execute(db)
        .then((result) => result.rows),
    );
    const idOf = (consumer: string) => consumer.slice(prefix.length, prefix.length + 36);
    const guards = rows.map(({ consumer }) => consumer);
    const ids = [...new Set(guards.map(idOf))];
    const known = new Set(queue && ids.length > 0 ? await queue.port.known(ids) : []);
    const over = guards.filter((guard) => !known.has(idOf(guard)));
    if (over.length > 0) removed += await removeGuards(sweep, shard, over);
    const last = guards.at(-1);
    if (last === undefined || guards.length < batchRows) return removed;
    after = last;
  }
}

async function removeGuards({ database }: GuardSweep, shard: number, guards: readonly string[]) {
  return database.write(
    shard,
    async (tx) => {
      const result = await sql`delete from holdfast_effect where consumer = any (${guards}::text[])`.execute(
        tx,
      );
      return Number(result.numAffectedRows ?? 0);
    },
    {},
  );
}

/** No UUID of version 7 that was drawn at that time or later is before it. */
function firstIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
