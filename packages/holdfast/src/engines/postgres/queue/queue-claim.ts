/**
 * Handing out jobs: one row for a batch of them, in one round trip.
 *
 * Claims of a queue are made one after the other, under an advisory lock that is held for one statement and its
 * commit, about a millisecond for any number of jobs; so jobs go in order, no two claims can overlap, and no row is
 * changed. What was claimed is read behind the commit, without the lock.
 *
 * A claim whose COMMIT had no answer is not lost: what is read is every claim of the member behind the last one that
 * it knows, so the next call brings its jobs, whenever that transaction ended. Numbers of claims hold the server's
 * time, so that a failover that lost some does not give them out again; a member that reports jobs of a claim that
 * was lost is refused, because the row is not there.
 */
import type { ClaimedJob, QueueMember } from "../../../parts/queue/index.ts";
import { flushed } from "../log-transaction.ts";
import type { PgSession } from "../session.ts";
import { fencedBy, fenceStatement } from "./queue-members.ts";
import { lockOf, type QueueStore, queueLock } from "./queue-tables.ts";
import { claimedRows, cursorSql, ringSettings, windowRows } from "./queue-window.ts";

/** Where an attempt is: what `handle` of a claimed job holds. */
export interface JobHandle {
  /** Number of the claim, a bigint as text. */
  readonly claim: string;
  readonly seq: number;
  readonly turn: number;
  readonly unique: boolean;
}

/** One claim at a time: to be sent as part of a transaction, before what rests on it. */
export function claimLockSql(store: QueueStore): string {
  return `select pg_advisory_xact_lock(${queueLock(store.id)}, ${lockOf.claim})`;
}

/** A number above `after`, and above any that was given out before now, also by a server that is gone. */
export const timedNumber = (after: string) =>
  `greatest(${after} + 1, ((extract(epoch from clock_timestamp()) * 1000)::bigint << 20) | (random() * 1048575)::bigint)`;

/** An empty claim closes a window whose last jobs were cancelled. Parameters: queue, token, jobs, bytes. */
const claimSql = (store: QueueStore) => `
with opened as materialized (
  select o.*, q.segment from holdfast.queue q, (${cursorSql(store)}) o where q.id = $1 and not q.paused
), found as materialized (
  select r.* from opened o cross join lateral (${windowRows(store, "o", "r.xid, r.seq, r.bytes", "$3::int + 1")}) r
), measured as (
  select xid, seq, row_number() over (order by xid, seq) as n,
         sum(bytes) over (order by xid, seq rows between unbounded preceding and current row) - bytes as bytes_before
    from found
), taken as materialized (
  select * from measured where n <= $3::int and (n = 1 or bytes_before < $4::bigint)
), counted as (
  select count(*)::int as count, min(seq) as seq_min, max(seq) as seq_max from taken
)
insert into ${store.claim} (sequence, segment, token, from_snapshot, to_snapshot, after_xid, after_seq,
    until_xid, until_seq, more, count, total, seq_min, seq_max)
select ${timedNumber("o.sequence")}, o.segment, $2::bigint, o.from_snapshot, o.to_snapshot,
       o.after_xid, o.after_seq, coalesce(last.xid, o.after_xid), coalesce(last.seq, o.after_seq),
       (select count(*) from found) > c.count, c.count, o.total + c.count, coalesce(c.seq_min, 0), coalesce(c.seq_max, 0)
  from opened o cross join counted c
  left join lateral (select xid, seq from taken order by n desc limit 1) last on true
 where c.count > 0 or o.within
returning sequence::text, count`;

/** Parameters: the last claim that the member knows, its token. */
const jobsSql = (store: QueueStore) => `
select c.sequence::text as claim, r.seq, r.id, r.turn, r.attempt, r.name, r.value, r.tags,
       date_part('epoch', r.enqueued_at) * 1000 as at, r.unique_key is not null as unique, r.traceparent, r.session
  from ${store.claim} c
 cross join lateral (${claimedRows(
   store,
   "c",
   "r.xid, r.seq, r.id, r.turn, r.attempt, r.name, r.value, r.tags, r.enqueued_at, r.unique_key, r.traceparent, r.session",
 )}) r
 where c.sequence > $1::bigint and c.token = $2::bigint
 order by c.sequence, r.xid, r.seq`;

interface JobRow {
  readonly claim: string;
  readonly seq: string;
  readonly id: string;
  readonly turn: number;
  readonly attempt: number;
  readonly name: string | null;
  readonly value: string;
  readonly tags: string[] | null;
  readonly at: number;
  readonly unique: boolean;
  readonly traceparent: string | null;
  readonly session: string | null;
}

export interface Claimed {
  readonly jobs: readonly ClaimedJob[];
  /** The newest claim that the member knows now. */
  readonly last: bigint;
}

/**
 * Claims, and answers every job of the member's claims behind `last`.
 *
 * @throws {HoldfastError} HOLDFAST_FENCED; whatever else: ask again with the same `last`, and nothing is missed
 */
export async function claimJobs(
  session: PgSession,
  store: QueueStore,
  member: QueueMember,
  jobsMax: number,
  bytesMax: number,
  last: bigint,
): Promise<Claimed> {
  const token = member.token.toString();
  for (;;) {
    const begun = session.push({
      text: `begin read write; ${ringSettings}; ${flushed}; ${claimLockSql(store)}`,
    });
    const fenced = session.push(fenceStatement(store.id, member, false));
    const claim = session.send<{ sequence: string; count: number }>({
      text: claimSql(store),
      prepare: true,
      values: [store.id, token, jobsMax, bytesMax],
    });
    const committed = session.send({ text: "commit" });
    const jobs = readJobs(session, store, token, last);
    const answers = await Promise.allSettled([begun, fenced, claim, committed, jobs]);
    for (const answer of answers) {
      if (answer.status === "fulfilled") continue;
      session.taint();
      throw fencedBy(answer.reason, member);
    }
    const { rows } = await claim;
    const [made] = rows;
    const found = await jobs;
    if (made && made.count > 0 && BigInt(made.sequence) <= last) {
      // A failover lost what this member had claimed, to a server whose clock is behind.
      last = BigInt(made.sequence) - 1n;
      return claimed(await readJobs(session, store, token, last), last);
    }
    if (found.length > 0 || !made) return claimed(found, last);
    // The end of a window: the next one has more.
  }
}

/** Number of the newest claim, 0 when there is none. */
export async function newestClaim(session: PgSession, { claim }: QueueStore): Promise<bigint> {
  const { rows } = await session.send<{ sequence: string }>({
    text: `select sequence::text from ${claim} order by sequence desc limit 1`,
  });
  return BigInt(rows[0]?.sequence ?? 0);
}

async function readJobs(
  session: PgSession,
  store: QueueStore,
  token: string,
  last: bigint,
): Promise<readonly JobRow[]> {
  session.push({ text: `begin; ${ringSettings}` });
  const read = session.send<JobRow>({
    text: jobsSql(store),
    prepare: true,
    values: [last.toString(), token],
  });
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  // The answer to COMMIT may come in a packet of its own: a session that still waits for it is no use to anybody.
  await ended;
  return rows;
}

function claimed(rows: readonly JobRow[], last: bigint): Claimed {
  const newest = rows.at(-1);
  return { jobs: rows.map(jobOf), last: newest ? BigInt(newest.claim) : last };
}

function jobOf(row: JobRow): ClaimedJob {
  const handle: JobHandle = {
    claim: row.claim,
    seq: Number(row.seq),
    turn: row.turn,
    unique: row.unique,
  };
  return {
    id: row.id,
    attempt: row.attempt,
    name: row.name ?? undefined,
    value: JSON.parse(row.value) as unknown,
    group: undefined,
    priority: 0,
    tags: row.tags ?? [],
    enqueuedAtMs: Math.round(row.at),
    traceparent: row.traceparent ?? undefined,
    session: row.session ?? undefined,
    handle,
  };
}
