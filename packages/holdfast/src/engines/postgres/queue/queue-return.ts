/**
 * Giving back what a member holds: of members whose lease is over, and of one that leaves.
 *
 * Under the lock of claims, so that nobody claims for a member while it is removed, and with the member's row locked,
 * so that no report is under way. What is not ended of its claims is ready again under the next turn: as the next
 * attempt when the member was lost, as the same one when it left. Then the row goes, and with it whatever the member
 * still tries to report. Marked first, in a statement of its own: the next one sees every end that was reported until
 * then, and none can follow.
 */
import type { QueueMember, ResolvedQueueOptions } from "../../../parts/queue/index.ts";
import { flushed } from "../log-transaction.ts";
import type { PgSession, Statement } from "../session.ts";
import { claimLockSql } from "./queue-claim.ts";
import {
  leavingMembersSql,
  lostMembersSql,
  markLeavingStatement,
  markLostStatement,
} from "./queue-members.ts";
import { payload, type QueueStore } from "./queue-tables.ts";
import { claimedRows, ringSettings } from "./queue-window.ts";

/** The words of `jobLostFailure`, said by the server. */
const lostFailure = `json_build_object('code', 'HOLDFAST_JOB_LOST', 'outcome', 'unknown', 'message',
  g.name || ' stopped renewing its lease during attempt ' || r.attempt || ': it was killed, stood still, or was cut off.')`;

const columns =
  "r.xid, r.seq, r.id, r.turn, r.attempt, r.enqueued_at, r.bytes, r.value, r.name, r.tags, r.unique_key, r.traceparent, r.session, r.failure";

/** `$1` queue, `$2` most attempts, `$3` whether a lost job is dead at once. `gone` has token, name and done_before. */
const returnSql = (store: QueueStore, gone: string, lost: boolean) => `
with gone as materialized (${gone}), held as materialized (
  select c.*, g.name from ${store.claim} c join gone g on g.token = c.token and c.sequence >= g.done_before
   where c.count > coalesce((select sum(e.count) from ${store.end} e where e.claim = c.sequence), 0)
), unended as materialized (
  select g.sequence as claim, r.seq, r.id, r.turn + 1 as turn, r.attempt as attempt_ended,
         ${lost ? "r.attempt + 1" : "r.attempt"} as attempt, r.enqueued_at, r.bytes, r.value, r.name, r.tags,
         r.unique_key, r.traceparent, r.session, ${lost ? lostFailure : "r.failure"} as failure,
         case when exists (select from holdfast.queue_cancel x where x.queue = $1 and x.id = r.id) then 'cancelled'
              when ${lost} and ($3::boolean or r.attempt >= $2::int) then 'dead' else 'ready' end as kind
    from held g cross join lateral (${claimedRows(store, "g", columns)}) r
   where not exists (select from ${store.end} e where e.claim = g.sequence and e.seqs @> r.seq)
), ended as (
  insert into ${store.end} (claim, segment, done, seqs, count)
  select u.claim, q.segment, false, range_agg(int8range(u.seq, u.seq + 1)), count(*)
    from unended u join holdfast.queue q on q.id = $1 group by u.claim, q.segment
), ready as (
  insert into ${store.ready} (segment, id, ${payload()})
  select q.segment, u.id, ${payload("u")} from unended u join holdfast.queue q on q.id = $1
   where u.kind = 'ready' order by u.claim, u.seq
), kept as (
  insert into holdfast.queue_kept (queue, id, state, turn, attempt, enqueued_at, bytes, value, name, tags, unique_key,
      traceparent, session, failure)
  select $1, id, kind, turn, attempt_ended, enqueued_at, bytes, value, name, tags, unique_key, traceparent, session,
         failure
    from unended where kind in ('dead', 'cancelled')
), freed as materialized (
  select holdfast.queue_release_unique($1, array_agg(id)) from unended
   where kind in ('dead', 'cancelled') and unique_key is not null having count(*) > 0
), removed as (
  delete from holdfast.queue_member m using gone where m.queue = $1 and m.token = gone.token
)
select (select count(*)::int from gone) as members,
       (select count(*)::int from unended where kind = 'ready') as jobs, (select count(*) from freed) as freed`;

export interface Returned {
  readonly members: number;
  /** Jobs that are ready again. */
  readonly jobs: number;
}

/** For members whose lease is over; to be sent behind the lock of claims. Only the last one answers with a row. */
export function returnLostStatements(
  store: QueueStore,
  { attemptsMax, unknown }: ResolvedQueueOptions["retry"],
): readonly [mark: Statement, back: Statement] {
  const values = [store.id, attemptsMax, unknown === "dead-letter"];
  return [
    markLostStatement(store.id),
    { text: returnSql(store, lostMembersSql, true), prepare: true, values },
  ];
}

/** The member leaves: what it holds is released. Nothing when it has lost its lease. */
export async function leaveQueue(
  session: PgSession,
  store: QueueStore,
  member: QueueMember,
): Promise<Returned> {
  const begun = session.send({
    text: `begin read write; ${ringSettings}; ${flushed}; ${claimLockSql(store)}`,
  });
  const marked = session.send(markLeavingStatement(store.id, member));
  const returned = session.send<Returned>({
    text: returnSql(store, leavingMembersSql, false),
    values: [store.id, 0, false],
  });
  const answers = await Promise.allSettled([begun, marked, returned, session.send({ text: "commit" })]);
  for (const answer of answers) {
    if (answer.status === "fulfilled") continue;
    session.taint();
    throw answer.reason;
  }
  return (await returned).rows[0] as Returned;
}
