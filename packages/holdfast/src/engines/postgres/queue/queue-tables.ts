/**
 * A queue's ring: three tables in segments that turn together, made when the queue is first used.
 *
 * - ready: one row for each time that a job became ready. `seq` names it, `xid` is the transaction that brought it.
 * - claim: one row for each batch that was handed out: a window of ready rows, as in `queue-window.ts`.
 * - end: one row for each batch of attempts that ended: of which claim, and which `seq`.
 *
 * All three are only appended to. What a job's state is follows from them: nothing is updated or deleted when it is
 * claimed or done, so no dead rows come of it, whatever transaction is held open elsewhere.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { PgSession } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";

/** Segments of the ring: the current one, and those that wait for their jobs' ends and for the end of retention. */
export const segmentCount = 4;

export interface QueueStore {
  /** Number of the queue in its home database. */
  readonly id: number;
  readonly name: string;
  /** Qualified name of the table of ready jobs. */
  readonly ready: string;
  readonly claim: string;
  readonly end: string;
}

/** What a job takes along wherever it goes. @param of alias of the table that it is read from */
export function payload(of = ""): string {
  return "turn attempt enqueued_at bytes value name tags unique_key traceparent session failure"
    .split(" ")
    .map((column) => (of === "" ? column : `${of}.${column}`))
    .join(", ");
}

/**
 * First key of a queue's advisory locks ("Hp" above, the queue's number below). The second says what is locked; queue
 * 0 does not exist: its lock guards the making of queues.
 */
export function queueLock(queueId: number): number {
  return 0x48700000 + queueId;
}

/** Under which key of the home's wake-up workers hear of jobs. `delayed`: some of them are not ready yet. */
export function wakeKey({ id }: Pick<QueueStore, "id">, delayed: boolean): string {
  return delayed ? `q${id}d` : `q${id}`;
}

/** Second keys. One claim at a time, one process at a time that turns the ring, one enqueue when it is nearly full. */
export const lockOf = { claim: 0, ring: 1, length: 2 } as const;

/** What the enqueue and the claim of either kind of queue need to know of it. */
export interface QueueRow {
  readonly id: number;
  readonly selective: boolean;
}

/** Finds the queue, or makes it. @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when it was made as the other kind */
export async function openQueueStore(session: PgSession, name: string): Promise<QueueStore> {
  const { id } = await openQueueRow(session, name, false, ringSql);
  return storeOf(id, name);
}

export function storeOf(id: number, name: string): QueueStore {
  const ready = `holdfast.queue_${id}`;
  return { id, name, ready, claim: `${ready}_claim`, end: `${ready}_end` };
}

/** @param tables SQL that makes what a queue of this kind needs for itself, given its number */
export async function openQueueRow(
  session: PgSession,
  name: string,
  selective: boolean,
  tables: (id: number) => string,
): Promise<QueueRow> {
  const row = (await findQueue(session, name)) ?? (await makeQueue(session, name, selective, tables));
  if (row.selective === selective) return row;
  throw new HoldfastError(
    "HOLDFAST_OPTIONS_INVALID",
    `queue "${name}" was made ${row.selective ? "with" : "without"} groups, priorities or limits and is declared ${selective ? "with" : "without"}. Jobs of the two kinds are kept differently: declare it as it was, or let it run empty and declare a queue with a new name.`,
    { data: { queue: name, stored: row.selective, declared: selective } },
  );
}

export async function findQueue(session: PgSession, name: string): Promise<QueueRow | undefined> {
  const find = session.send<{ id: number; selective: boolean }>({
    text: "select id, selective from holdfast.queue where name = $1",
    values: [name],
  });
  const { rows } = await find.catch((error: unknown) => {
    if (sqlStateOf(error) !== "42P01") throw error;
    throw new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `queue "${name}": its home database has no Holdfast tables yet. Run \`holdfast up\`, or installFramework, first.`,
      { cause: error, data: { queue: name } },
    );
  });
  return rows[0];
}

async function makeQueue(
  session: PgSession,
  name: string,
  selective: boolean,
  tables: (id: number) => string,
): Promise<QueueRow> {
  await session.send({ text: "begin read write" });
  try {
    await session.send({ text: `select pg_advisory_xact_lock(${queueLock(0)}, 0)` });
    let row = await findQueue(session, name); // another process may have been faster
    if (!row) {
      const { rows } = await session.send<{ id: number }>({
        text: "insert into holdfast.queue (name, selective) values ($1, $2) returning id",
        values: [name, selective],
      });
      row = { id: rows[0]?.id as number, selective };
      const sql = tables(row.id);
      if (sql !== "") await session.send({ text: sql });
    }
    await session.send({ text: "commit" });
    return row;
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

/**
 * The identity must not be cached per session (CACHE 1, the default): within a transaction `seq` is the order in
 * which jobs were given. Indexes are each segment's own, so that what is unique need not contain the segment.
 */
function ringSql(id: number): string {
  const { ready, claim, end } = storeOf(id, "");
  const segments = Array.from({ length: segmentCount }, (_, segment) => segment);
  return `
    create table ${ready} (
      seq bigint generated always as identity,
      xid xid8 not null default pg_current_xact_id(),
      segment smallint not null,
      id uuid not null,
      turn int not null default 0,
      attempt int not null default 1,
      enqueued_at timestamptz not null default clock_timestamp(),
      ready_at timestamptz not null default clock_timestamp(),
      bytes int not null,
      value text not null,
      name text,
      tags text[],
      unique_key text,
      traceparent text,
      session text,
      failure json
    ) partition by list (segment);
    create table ${claim} (
      sequence bigint not null,
      segment smallint not null,
      token bigint not null,
      at timestamptz not null default clock_timestamp(),
      from_snapshot pg_snapshot not null,
      to_snapshot pg_snapshot not null,
      after_xid xid8 not null,
      after_seq bigint not null,
      until_xid xid8 not null,
      until_seq bigint not null,
      -- Whether the window holds jobs behind this claim.
      more boolean not null,
      -- Jobs of this claim, of all up to it, and the bounds of their seq.
      count int not null,
      total bigint not null,
      seq_min bigint not null,
      seq_max bigint not null
    ) partition by list (segment);
    create table ${end} (
      claim bigint not null,
      segment smallint not null,
      at timestamptz not null default clock_timestamp(),
      -- True: the jobs are done. False: they are elsewhere, or ready again under their next turn.
      done boolean not null,
      seqs int8multirange not null,
      count int not null,
      -- Of those jobs of it that have a result.
      result_seqs bigint[],
      results text[]
    ) partition by list (segment);
    ${segments
      .map(
        (n) => `
    create table ${ready}_${n} partition of ${ready} for values in (${n});
    create index on ${ready}_${n} (xid, seq);
    create unique index on ${ready}_${n} (id, turn);
    create index on ${ready}_${n} (name, id) where name is not null;
    create index on ${ready}_${n} using gin (tags) where tags is not null;
    create table ${claim}_${n} partition of ${claim} for values in (${n});
    create unique index on ${claim}_${n} (sequence);
    create index on ${claim}_${n} (until_xid, until_seq);
    create table ${end}_${n} partition of ${end} for values in (${n});
    create index on ${end}_${n} (claim);`,
      )
      .join("")}`;
}
