/**
 * Where a consumer begins, or is sent back to: a cursor, which is a snapshot (`log-read.ts`), for a place in the log.
 *
 * "Beginning" shows nothing as delivered, "now" what is committed now. For a time or an offset a snapshot is made up:
 * it shows the transactions all of whose messages are from before. That is allowed for where reading begins, because
 * it only leaves messages out; windows still end at snapshots that were really taken, so order per key holds. A
 * publish of many messages that straddles the place comes as a whole.
 *
 * A replay puts a completed batch of nothing at the place behind everything recorded, under a new token, and gives
 * every partition a new epoch: what was under way is fenced, and what is read from there counts as never applied.
 */
import { HoldfastError } from "../../call/index.ts";
import type { TopicPlace } from "../../parts/topic/index.ts";
import { isTime } from "../../parts/topic/place.ts";
import { nothing, readSettings } from "./log-read.ts";
import { nextNumberSql } from "./log-sequence.ts";
import type { TopicLog } from "./log-tables.ts";
import { flushed } from "./log-transaction.ts";
import type { PgSession } from "./session.ts";

/** The snapshot that shows what lies before the place. Run in a transaction of its own, or of its user's. */
async function snapshotBefore(session: PgSession, log: TopicLog, place: TopicPlace): Promise<string> {
  if (place === "beginning") return "1:1:";
  if (place === "now") {
    const { rows } = await session.send<{ now: string }>({
      text: "select pg_current_snapshot()::text as now",
    });
    return rows[0]?.now as string;
  }
  const [column, parameter, value] = isTime(place)
    ? ["max(r.published_at)", "$1::timestamptz", place.toISOString()]
    : ["max(r.id)", "$1::bigint", place.toString()];
  const { rows } = await session.send<{ snapshot: string }>({
    text: `
      with published as materialized (
        select r.xid, ${column} < ${parameter} as past from ${log.table} r group by r.xid
      ), edge as (
        -- Behind the last transaction that is past; everything from there on is new.
        select coalesce(max(xid)::text::numeric + 1, 1) as xmax from published where past
      ), open as (
        select xid::text::numeric as xid from published, edge where not past and xid::text::numeric < edge.xmax
        union
        select x::text::numeric from pg_snapshot_xip(pg_current_snapshot()) x, edge where x::text::numeric < edge.xmax
      )
      select coalesce((select min(xid) from open), edge.xmax)::text || ':' || edge.xmax::text || ':'
             || coalesce((select string_agg(xid::text, ',' order by xid) from open), '') as snapshot
        from edge`,
    values: [value],
  });
  return rows[0]?.snapshot ?? "1:1:";
}

/** Has a consumer that was just made begin there. Its transaction is the caller's. */
export async function placeConsumer(
  session: PgSession,
  log: TopicLog,
  consumerId: number,
  place: TopicPlace,
): Promise<void> {
  if (place === "beginning") return;
  const snapshot = await snapshotBefore(session, log, place);
  await session.send({
    text: `insert into holdfast.topic_progress
        (consumer, partition, sequence, epoch, from_snapshot, to_snapshot, after_id, until_id, more, done)
      select $1, n, 0, 0, $2::pg_snapshot, $2::pg_snapshot, 0, 0, false, true from generate_series(0, $3::int - 1) n`,
    values: [consumerId, snapshot, log.partitions],
  });
}

/**
 * Sends a consumer to another place, while it runs or stands still.
 *
 * @param token new for each replay
 */
export async function replayConsumer(
  session: PgSession,
  log: TopicLog,
  consumerId: number,
  place: TopicPlace,
  token: string,
): Promise<void> {
  await session.send({ text: `begin read write; ${flushed}; set local plan_cache_mode = force_custom_plan` });
  try {
    // As a heartbeat does: nobody takes a partition meanwhile.
    const { rowCount } = await session.send({
      text: "select from holdfast.topic_consumer where id = $1 for no key update",
      values: [consumerId],
    });
    if (rowCount === 0) throw goneError();
    // Nothing is recorded or completed any more under the epochs of before.
    await session.send({
      text: `update holdfast.topic_claim set epoch = ${nextNumberSql("epoch")} where consumer = $1`,
      values: [consumerId],
    });
    const snapshot = await snapshotBefore(session, log, place);
    await session.send({
      text: `insert into holdfast.topic_progress
          (consumer, partition, sequence, epoch, from_snapshot, to_snapshot, after_id, until_id, more, done, replay)
        select c.consumer, c.partition, ${nextNumberSql("coalesce(g.sequence, 0)")}, c.epoch, $2::pg_snapshot,
               $2::pg_snapshot, 0, 0, false, true, $3
          from holdfast.topic_claim c
          left join lateral (
            select sequence from holdfast.topic_progress g
             where g.consumer = c.consumer and g.partition = c.partition order by g.sequence desc limit 1) g on true
         where c.consumer = $1`,
      values: [consumerId, snapshot, token],
    });
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

/** The oldest message that is kept, where a replay from the beginning begins. */
export async function oldestKept(
  session: PgSession,
  log: TopicLog,
): Promise<{ readonly id: bigint; readonly publishedAtMs: number } | undefined> {
  session.push({ text: `begin; ${readSettings}` });
  const read = session.send<{ id: string | null; at: number | null }>({
    text: `select min(r.id)::text as id, min(date_part('epoch', r.published_at) * 1000) as at from (
        select o.* from generate_series(0, ${log.partitions - 1}) as a (partition)
         cross join lateral (
           select r.id, r.published_at from ${log.table} r
            where r.partition = a.partition and r.xid >= pg_snapshot_xmax(${nothing})
            order by r.xid limit 1) o) r`,
  });
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  await ended;
  const [row] = rows;
  if (!row || row.id === null || row.at === null) return undefined;
  return { id: BigInt(row.id), publishedAtMs: Math.round(row.at) };
}

function goneError(): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    "The consumer is not there any more: it was removed meanwhile.",
  );
}
