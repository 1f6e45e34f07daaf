/**
 * Reading a topic's log, by snapshots.
 *
 * A cursor is a snapshot: the set of transactions whose messages were delivered. What is new is what a later
 * snapshot contains and the cursor does not: `(from, to]`, the window. Transactions that were under way in
 * `from` are named in it one by one, so a window costs what is in it, however long some transaction elsewhere
 * stays open; and nothing is ever skipped because it took its id early and committed late.
 *
 * Within the window messages come in the order of their ids. Ids of one key rise in the order of commits
 * (`log-append.ts`), so order per key holds within a window, and from one window to the next.
 *
 * `to` must be a snapshot that somebody really took: a cut anywhere else could separate a message from an
 * earlier one of its key. A reader that is far behind goes from tick to tick (snapshots that publishers left),
 * so that no window is much larger than a batch.
 *
 * A consumer may want some subjects only. What it does not want is left out here, and the cursor passes it.
 */
import type { BatchFailure, StoredMessage } from "../../parts/topic/index.ts";
import type { BatchPlace, MessagePlace } from "./log-mark.ts";
import { nextNumberSql } from "./log-sequence.ts";
import type { TopicLog } from "./log-tables.ts";
import type { PgSession } from "./session.ts";

export interface PartitionAsk {
  readonly partition: number;
  readonly epoch: bigint;
  readonly maxMessages: number;
}

/** What of the log a batch is made of. */
export interface ReadWish {
  /** Regular expression of the subjects that are wanted; all messages when undefined. */
  readonly filter: string | undefined;
  /** Most bytes of values in a batch; the first message comes however long it is. */
  readonly bytesMax: number;
}

export const everything: ReadWish = { filter: undefined, bytesMax: Number.MAX_SAFE_INTEGER };

/** A message together with where it is in the log; redriven ones are not in it any more. */
export type ReadMessage = StoredMessage & { readonly place: MessagePlace };

/** The next batch of a partition: recorded already, or yet to be. */
export interface PartitionRead extends BatchPlace {
  readonly partition: number;
  /** Whether the asker's epoch is the partition's. If not, nothing else counts. */
  readonly held: boolean;
  /** Whether the batch was recorded before, and waits to be completed. */
  readonly recorded: boolean;
  /** Whether dead letters wait to be tried once more, before anything that is not recorded yet. */
  readonly redrive: boolean;
  /** Epoch under which it was recorded. */
  readonly epoch: bigint;
  readonly afterId: string;
  readonly more: boolean;
  readonly filter: string | undefined;
  /** Up to where batches are being halved, if they are. */
  readonly isolateUntil: string | undefined;
  readonly attempts: number;
  readonly reported: number;
  readonly failure: BatchFailure | undefined;
  /** Messages in the window that are not wanted, counted up to `passedMax`, when none is. */
  readonly passed: number;
  readonly messages: readonly ReadMessage[];
}

/** So many messages that are not wanted are worth a note that they were passed. */
export const passedMax = 1_000;

/**
 * Index scans only, and one plan: the statistics of a log are always out of date, and a plan made while a
 * segment was empty must not scan it when it is full.
 */
export const readSettings =
  "set local enable_seqscan = off; set local enable_bitmapscan = off; set local plan_cache_mode = force_generic_plan";

/** The messages of one partition in the window of `w`: two precise index ranges. */
export const windowRows = (log: TopicLog, w: string, columns: string) => `
      select ${columns} from ${log.table} r
       where r.partition = ${w}.partition
         and r.xid >= pg_snapshot_xmax(${w}.from_snapshot) and r.xid < pg_snapshot_xmax(${w}.to_snapshot)
         and pg_visible_in_snapshot(r.xid, ${w}.to_snapshot)
      union all
      select ${columns} from ${log.table} r
       where r.partition = ${w}.partition
         and r.xid = any (array(select pg_snapshot_xip(${w}.from_snapshot)))
         and pg_visible_in_snapshot(r.xid, ${w}.to_snapshot)`;

/** The newest recorded batch of `a.partition`, from the end of the index. */
export const newestProgress = `
    select * from holdfast.topic_progress g
     where g.consumer = $1 and g.partition = a.partition order by g.sequence desc limit 1`;

/** Transaction of the n-th message that is new to `o.partition`, from 0; no row when there are not so many. */
const newXid = (log: TopicLog, n: string) => `
        select r.xid from ${log.table} r
         where r.partition = o.partition and r.xid >= pg_snapshot_xmax(o.from_snapshot)
         order by r.xid offset ${n} limit 1`;

/** What has been delivered before anything was: nothing. */
export const nothing = "'1:1:'::pg_snapshot";

/** A value's stored size stands in for its length where an earlier version has not noted that. */
const messageColumns = `r.id, r.published_at, r.key, r.value, r.traceparent, r.session, r.subject, r.version, r.xid, r.timeline,
        coalesce(r.bytes, pg_column_size(r.value)) as size`;

const readSql = (log: TopicLog) => `
with asked as (
  select a.partition, a.max, coalesce(c.epoch = a.epoch, false) as held, coalesce(g.epoch, 0) as epoch,
         coalesce(g.sequence, 0) as sequence, g.sequence is not null and not g.done as recorded,
         -- A window with more messages is gone on with; otherwise the next one begins where it ended.
         g.sequence is not null and (not g.done or g.more) as within,
         g.from_snapshot, g.to_snapshot, g.after_id, g.until_id, g.more, coalesce(g.replay, '') as replay,
         g.filter, g.letters, g.isolate_until, g.attempts, g.reported, g.failure
    from unnest($2::int[], $3::bigint[], $4::int[]) as a (partition, epoch, max)
    left join holdfast.topic_claim c on c.consumer = $1 and c.partition = a.partition
    left join lateral (${newestProgress}) g on true
), opened as (
  select partition, max, held, epoch, recorded, replay, attempts, reported, failure,
         case when recorded then sequence else ${nextNumberSql("sequence")} end as sequence,
         case when within then from_snapshot else coalesce(to_snapshot, ${nothing}) end as from_snapshot,
         case when within then to_snapshot end as to_snapshot,
         case when recorded then after_id when within then until_id else 0 end as after_id,
         case when recorded then until_id else 9223372036854775807 end as until_id,
         recorded and more as more,
         case when recorded then filter else $5::text end as filter,
         case when recorded then letters end as letters,
         case when recorded or (within and until_id < isolate_until) then isolate_until end as isolate_until
    from asked where held
), bounded as (
  select o.*, coalesce(o.to_snapshot, tick.snapshot, pg_current_snapshot()) as end_snapshot
    from opened o
    left join lateral (
      -- Far behind, the last tick that keeps the window to about two batches, or else the first there is.
      -- It has to show the oldest new message, so that the window is not empty. Near the end: none, so now.
      select coalesce(
        (select t.snapshot from holdfast.topic_tick t
          where t.topic = ${log.id} and pg_snapshot_xmax(t.snapshot) > oldest.xid
            and pg_snapshot_xmax(t.snapshot) <= far.xid and pg_visible_in_snapshot(oldest.xid, t.snapshot)
          order by pg_snapshot_xmax(t.snapshot) desc limit 1),
        (select t.snapshot from holdfast.topic_tick t
          where t.topic = ${log.id} and pg_snapshot_xmax(t.snapshot) > oldest.xid
            and pg_visible_in_snapshot(oldest.xid, t.snapshot)
          order by pg_snapshot_xmax(t.snapshot) limit 1)) as snapshot
        from (${newXid(log, "0")}) oldest, (${newXid(log, "2 * o.max")}) far
       where o.to_snapshot is null
    ) tick on true
), framed as (
  select partition, max, held, epoch, recorded, replay, attempts, reported, failure, sequence, from_snapshot,
         end_snapshot as to_snapshot, after_id, until_id, more, filter, letters, isolate_until
    from bounded
), batch as (
  select f.partition, r.*, not f.recorded and r.before > 0 and r.before + r.size > $6::bigint as cut
    from framed f
    join lateral (
      select s.*, sum(s.size) over (order by s.id) - s.size as before
        from (
          select * from (${windowRows(log, "f", messageColumns)}) r
           where r.id > f.after_id and r.id <= f.until_id and (f.filter is null or r.subject ~ f.filter)
           -- One more than asked for, to know whether the window holds more.
           order by r.id limit case when f.recorded then null else f.max + 1 end
        ) s
    ) r on f.letters is null
  union all
  select f.partition, d.message_id, d.published_at, d.key, d.value, d.traceparent, d.session, d.subject, d.version,
         null::xid8, null::int, null::int, 0, false
    from framed f join holdfast.topic_dead_letter d on d.id = any (f.letters)
)
-- One row for each partition, its state as JSON, and one for each message: few columns, for there are many.
select a.partition, null::text as id, null::float8 as at, null::text as key,
       json_build_object('held', a.held, 'recorded', f.recorded, 'sequence', f.sequence::text,
         'epoch', f.epoch::text, 'from', f.from_snapshot::text, 'to', f.to_snapshot::text,
         'after', f.after_id::text, 'until', f.until_id::text, 'more', f.more, 'replay', f.replay, 'filter', f.filter,
         'isolate', f.isolate_until::text, 'attempts', f.attempts, 'reported', f.reported,
         'failure', f.failure,
         'letters', f.letters is not null,
         'redrive', not f.recorded and exists (select from holdfast.topic_dead_letter d
            where d.consumer = $1 and d.partition = f.partition and d.redrive_at is not null),
         'passed', case when f.filter is not null and not f.recorded then (
            select count(*) from (
              select from (${windowRows(log, "f", "r.id")}) r
               where r.id > f.after_id limit ${passedMax}) p) end) as value,
       null::text as traceparent, null::text as session, null::text as subject, null::int as version, null::text as place
  from asked a left join framed f on f.partition = a.partition
union all
select partition, id::text, date_part('epoch', published_at) * 1000, key, case when cut then null else value end,
       traceparent, session, subject, version,
       case when cut then '' else xid::text || ' ' || coalesce(timeline::text, '') end
  from batch`;

interface MessageRow {
  readonly partition: number;
  readonly id: string;
  readonly at: number;
  readonly key: string;
  readonly value: unknown;
  readonly traceparent: string | null;
  readonly session: string | null;
  readonly subject: string | null;
  /** Transaction and timeline; null for a redriven message, empty for one that is too much for the batch. */
  readonly place: string | null;
  readonly version: number | null;
}

/** What is known of a partition; only `held` when it is not held. */
interface PartitionState {
  readonly held: boolean;
  readonly recorded: boolean;
  readonly redrive: boolean;
  readonly sequence: string;
  readonly epoch: string;
  readonly from: string;
  readonly to: string;
  readonly after: string;
  readonly until: string;
  readonly more: boolean;
  readonly replay: string;
  readonly filter: string | null;
  readonly isolate: string | null;
  readonly attempts: number | null;
  readonly reported: number | null;
  readonly failure: BatchFailure | null;
  readonly letters: boolean;
  readonly passed: number | null;
}

type ReadRow = MessageRow | { readonly partition: number; readonly id: null; readonly value: PartitionState };

export function readStatement(
  log: TopicLog,
  consumerId: number,
  asked: readonly PartitionAsk[],
  { filter, bytesMax }: ReadWish = everything,
) {
  return {
    text: readSql(log),
    prepare: true,
    values: [
      consumerId,
      asked.map((ask) => ask.partition),
      asked.map((ask) => ask.epoch.toString()),
      asked.map((ask) => ask.maxMessages),
      filter ?? null,
      bytesMax,
    ],
  };
}

/** Reads the next batch of each partition asked for, all at one snapshot. Changes nothing. */
export async function readPartitions(
  session: PgSession,
  log: TopicLog,
  consumerId: number,
  asked: readonly PartitionAsk[],
  wish: ReadWish = everything,
): Promise<PartitionRead[]> {
  session.push({ text: `begin; ${readSettings}` });
  const read = session.send<ReadRow>(readStatement(log, consumerId, asked, wish));
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  // The answer to COMMIT may come in a packet of its own: a session that still waits for it is no use to anybody.
  await ended;
  const states = new Map<number, PartitionState>();
  const messages = new Map<number, MessageRow[]>(asked.map((ask) => [ask.partition, []]));
  for (const row of rows) {
    if (row.id === null) states.set(row.partition, row.value);
    else messages.get(row.partition)?.push(row);
  }
  return asked.map((ask) =>
    partitionRead(ask, states.get(ask.partition) as PartitionState, messages.get(ask.partition) ?? []),
  );
}

function partitionRead(ask: PartitionAsk, state: PartitionState, found: MessageRow[]): PartitionRead {
  const recorded = state.recorded === true;
  const wanted = found.filter((row) => row.place !== "").map(readMessage);
  // The order of a UNION ALL's second half is its own business.
  wanted.sort((a, b) => (a.id < b.id ? -1 : 1));
  const messages = recorded ? wanted : wanted.slice(0, ask.maxMessages);
  return {
    partition: ask.partition,
    held: state.held,
    recorded,
    redrive: state.redrive === true,
    sequence: BigInt(state.sequence ?? 0),
    epoch: recorded ? BigInt(state.epoch) : ask.epoch,
    fromSnapshot: state.from,
    toSnapshot: state.to,
    afterId: state.after,
    untilId: recorded ? state.until : String(messages.at(-1)?.id ?? 0n),
    more: recorded ? state.more : found.length > messages.length,
    replay: state.replay ?? "",
    filter: state.filter ?? undefined,
    isolateUntil: state.isolate ?? undefined,
    attempts: recorded ? (state.attempts ?? 0) : 0,
    reported: recorded ? (state.reported ?? 0) : 0,
    failure: recorded ? (state.failure ?? undefined) : undefined,
    passed: state.passed ?? 0,
    messages,
    ...(state.letters ? { letters: messages.map(({ id }) => id) } : {}),
  };
}

function readMessage(row: MessageRow): ReadMessage {
  const [xid = "0", timeline = ""] = (row.place ?? "").split(" ");
  const message: StoredMessage = {
    id: BigInt(row.id),
    partition: row.partition,
    key: row.key,
    value: row.value,
    publishedAtMs: Math.round(row.at),
    subject: row.subject ?? undefined,
    traceparent: row.traceparent ?? undefined,
    session: row.session ?? undefined,
    ...(row.version === null ? {} : { version: row.version }),
  };
  // Not for handlers, and not for whoever prints or compares messages.
  const place: MessagePlace = {
    id: message.id,
    xid: BigInt(xid || 0),
    timeline: timeline === "" ? undefined : Number(timeline),
  };
  return Object.defineProperty(message, "place", { value: place, enumerable: false }) as ReadMessage;
}
