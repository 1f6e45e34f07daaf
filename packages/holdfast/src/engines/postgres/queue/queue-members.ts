/**
 * Members of a queue's consumers: who is alive, under which lease, with which token.
 *
 * Leases run by the server's clock. A clock that is put forward ends leases early, and their jobs come again under a
 * higher attempt; one that is put back makes leases longer. Neither lets two attempts of a job both count, because
 * what ends an attempt is fenced by the member's row, not by time.
 *
 * Tokens have to differ also after a failover that lost some of them: a token is the server's time in milliseconds
 * and 20 random bits, and higher than any other of the queue. Whoever reports with one has to have its name, too.
 *
 * Who has taken a member for dead removes its row, in the transaction that gives its jobs to others. A row that is
 * locked by a report under way is left for the next look.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { QueueMember } from "../../../parts/queue/index.ts";
import { flushed, writeAtOnce } from "../log-transaction.ts";
import type { PgSession, Statement } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";

const joinSql = `
with former as (
  update holdfast.queue_member set expires_at = '-infinity'
   where queue = $1 and worker = $2 and split_part($3, '@', 2) <> '' and name <> $3
     and split_part(name, '@', 1) = split_part($3, '@', 1)
)
insert into holdfast.queue_member (queue, token, worker, name, expires_at, done_before)
select $1, greatest(
         (select max(token) + 1 from holdfast.queue_member where queue = $1),
         ((extract(epoch from clock_timestamp()) * 1000)::bigint << 20) | (random() * 1048575)::bigint),
       $2, $3, clock_timestamp() + $4::float8 * interval '1 millisecond', $5::bigint
returning token`;

/**
 * Joins. Former selves (same worker and instance, another incarnation) lose their leases at once.
 *
 * @param doneBefore number of the first claim that can be the member's
 */
export async function joinMember(
  session: PgSession,
  queueId: number,
  worker: string,
  name: string,
  leaseMs: number,
  doneBefore = 0n,
): Promise<QueueMember> {
  const [joined] = await writeAtOnce<[{ token: string }]>(
    session,
    [{ text: joinSql, values: [queueId, worker, name, leaseMs, doneBefore.toString()] }],
    flushed,
  );
  return { worker, name, token: BigInt(joined.rows[0]?.token as string) };
}

const renewSql = `
update holdfast.queue_member
   set expires_at = clock_timestamp() + $4::float8 * interval '1 millisecond',
       done_before = greatest(done_before, $5::bigint)
 where queue = $1 and token = $2 and name = $3 and expires_at > clock_timestamp()`;

const cancelledSql = "select id from holdfast.queue_cancel where queue = $1 and token = $2";

/**
 * Renews the lease. Not flushed: what a crash undoes of it shortens a lease, no more.
 *
 * @returns ids of jobs that are to be cancelled
 * @throws {HoldfastError} HOLDFAST_FENCED
 */
export async function renewMember(
  session: PgSession,
  queueId: number,
  member: QueueMember,
  leaseMs: number,
  doneBefore = 0n,
): Promise<readonly string[]> {
  const { token, name } = member;
  const [renewed, cancelled] = await writeAtOnce<[unknown, { id: string }]>(
    session,
    [
      { text: renewSql, values: [queueId, token.toString(), name, leaseMs, doneBefore.toString()] },
      { text: cancelledSql, values: [queueId, token.toString()] },
    ],
    "set local synchronous_commit = off",
  );
  if (renewed.rowCount === 0) throw fencedError(member);
  return cancelled.rows.map(({ id }) => id);
}

/** Fails the transaction with HF002 unless the member holds its lease. `locked`: nobody takes it before the end. */
export function fenceStatement(queueId: number, { token, name }: QueueMember, locked: boolean): Statement {
  return {
    text: "select holdfast.queue_fence($1, $2, $3, $4)",
    prepare: true,
    values: [queueId, token.toString(), name, locked],
  };
}

/**
 * Marks members whose lease is over as lost, those that are reporting just now left out. In a statement of its own,
 * ahead of the one that gives back what they hold: what a report committed until the mark, that one sees.
 */
export function markLostStatement(queueId: number): Statement {
  return {
    text: `update holdfast.queue_member set expires_at = '-infinity' where queue = $1 and token = any (array(
             select token from holdfast.queue_member
              where queue = $1 and expires_at <= clock_timestamp() and expires_at > 'epoch' for update skip locked))`,
    prepare: true,
    values: [queueId],
  };
}

/** Marks the member as leaving, while it has its lease. */
export function markLeavingStatement(queueId: number, { token, name }: QueueMember): Statement {
  return {
    text: `update holdfast.queue_member set expires_at = 'epoch'
            where queue = $1 and token = $2 and name = $3 and expires_at > clock_timestamp()`,
    values: [queueId, token.toString(), name],
  };
}

/** Members that were marked: their rows, locked. `$1` is the queue. */
export const lostMembersSql = `
  select token, name, done_before from holdfast.queue_member
   where queue = $1 and expires_at = '-infinity' for update skip locked`;
export const leavingMembersSql = `
  select token, name, done_before from holdfast.queue_member where queue = $1 and expires_at = 'epoch' for update`;

/** `error`, or what it means to a member when it is that of the fence. */
export function fencedBy(error: unknown, member: QueueMember): unknown {
  return sqlStateOf(error) === "HF002" ? fencedError(member, error) : error;
}

export function fencedError({ worker, name, token }: QueueMember, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `"${name}" of worker "${worker}" has lost its lease: it was taken for dead, or another has joined under its name. Its jobs are others' now. Stop working on them, and join again.`,
    { data: { worker, member: name, token: token.toString() }, cause },
  );
}
