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
 */
import type { StoredMessage } from "../../parts/topic/index.ts";
import type { TopicLog } from "./log-tables.ts";
import type { PgSession } from "./session.ts";

export interface PartitionAsk {
  readonly partition: number;
  readonly epoch: bigint;
  readonly maxMessages: number;
}

/** The next batch of a partition: recorded already, or yet to be. */
export interface PartitionRead {
  readonly partition: number;
  /** Whether the asker's epoch is the partition's. If not, nothing else counts. */
  readonly held: boolean;
  /** Whether the batch was recorded before, and waits to be completed. */
  readonly recorded: boolean;
  readonly sequence: bigint;
  /** Epoch under which it was recorded. */
  readonly epoch: bigint;
  readonly fromSnapshot: string;
  readonly toSnapshot: string;
  readonly afterId: string;
  readonly untilId: string;
  readonly more: boolean;
  readonly messages: readonly StoredMessage[];
}

/**
 * Index scans only, and one plan: the statistics of a log are always out of date, and a plan made while a
 * segment was empty must not scan it when it is full.
 */
export const readSettings =
  "set local enable_seqscan = off; set local enable_bitmapscan = off; set local plan_cache_mode = force_generic_plan";

/** The messages of one partition in the window of `w`: two precise index ranges. */
const windowRows = (log: TopicLog, w: string, columns: string) => `
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
const newestProgress = `
    select * from holdfast.topic_progress g
     where g.consumer = $1 and g.partition = a.partition order by g.sequence desc limit 1`;

/** Transaction of the n-th message that is new to `o.partition`, from 0; no row when there are not so many. */
const newXid = (log: TopicLog, n: string) => `
        select r.xid from ${log.table} r
         where r.partition = o.partition and r.xid >= pg_snapshot_xmax(o.from_snapshot)
         order by r.xid offset ${n} limit 1`;

/** What has been delivered before anything was: nothing. */
const nothing = "'1:1:'::pg_snapshot";

const readSql = (log: TopicLog) => `
with asked as (
  select a.partition, a.max, coalesce(c.epoch = a.epoch, false) as held, coalesce(g.epoch, 0) as epoch,
         coalesce(g.sequence, 0) as sequence, g.sequence is not null and not g.done as recorded,
         -- A window with more messages is gone on with; otherwise the next one begins where it ended.
         g.sequence is not null and (not g.done or g.more) as within,
         g.from_snapshot, g.to_snapshot, g.after_id, g.until_id, g.more
    from unnest($2::int[], $3::bigint[], $4::int[]) as a (partition, epoch, max)
    left join holdfast.topic_claim c on c.consumer = $1 and c.partition = a.partition
    left join lateral (${newestProgress}) g on true
), opened as (
  select partition, max, held, epoch, sequence, recorded,
         case when within then from_snapshot else coalesce(to_snapshot, ${nothing}) end as from_snapshot,
         case when within then to_snapshot end as to_snapshot,
         case when recorded then after_id when within then until_id else 0 end as after_id,
         case when recorded then until_id else 9223372036854775807 end as until_id,
         recorded and more as more
    from asked where held
), bounded as (
  select o.partition, o.max, o.epoch, o.sequence, o.recorded, o.from_snapshot, o.after_id, o.until_id, o.more,
         coalesce(o.to_snapshot, tick.snapshot, pg_current_snapshot()) as to_snapshot
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
), batch as (
  select b.partition, b.max, r.*
    from bounded b
    join lateral (
      select * from (${windowRows(log, "b", "r.id, r.published_at, r.key, r.value, r.traceparent, r.session, r.version")}) r
       where r.id > b.after_id and r.id <= b.until_id
       -- One more than asked for, to know whether the window holds more.
       order by r.id limit case when b.recorded then null else b.max + 1 end
    ) r on true
)
-- One row for each partition, its state as JSON, and one for each message: few columns, for there are many.
select a.partition, null::text as id, null::float8 as at, null::text as key,
       json_build_object('held', a.held, 'recorded', b.recorded, 'sequence', b.sequence::text,
         'epoch', b.epoch::text, 'from', b.from_snapshot::text, 'to', b.to_snapshot::text,
         'after', b.after_id::text, 'more', b.more) as value,
       null::text as traceparent, null::text as session, null::int as version
  from asked a left join bounded b on b.partition = a.partition
union all
select partition, id::text, date_part('epoch', published_at) * 1000, key, value, traceparent, session, version
  from batch`;

interface MessageRow {
  readonly partition: number;
  readonly id: string;
  readonly at: number;
  readonly key: string;
  readonly value: unknown;
  readonly traceparent: string | null;
  readonly session: string | null;
  readonly version: number | null;
}

/** What is known of a partition; only `held` when it is not held. */
interface PartitionState {
  readonly held: boolean;
  readonly recorded: boolean;
  readonly sequence: string;
  readonly epoch: string;
  readonly from: string;
  readonly to: string;
  readonly after: string;
  readonly more: boolean;
}

type ReadRow = MessageRow | { readonly partition: number; readonly id: null; readonly value: PartitionState };

export function readStatement(log: TopicLog, consumerId: number, asked: readonly PartitionAsk[]) {
  return {
    text: readSql(log),
    prepare: true,
    values: [
      consumerId,
      asked.map((ask) => ask.partition),
      asked.map((ask) => ask.epoch.toString()),
      asked.map((ask) => ask.maxMessages),
    ],
  };
}

/** Reads the next batch of each partition asked for, all at one snapshot. Changes nothing. */
export async function readPartitions(
  session: PgSession,
  log: TopicLog,
  consumerId: number,
  asked: readonly PartitionAsk[],
): Promise<PartitionRead[]> {
  session.push({ text: `begin; ${readSettings}` });
  const read = session.send<ReadRow>(readStatement(log, consumerId, asked));
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  // The answer to COMMIT may come in a packet of its own: a session that still waits for it is no use to anybody.
  await ended;
  const states = new Map<number, PartitionState>();
  const messages = new Map<number, StoredMessage[]>(asked.map((ask) => [ask.partition, []]));
  for (const row of rows) {
    if (row.id === null) states.set(row.partition, row.value);
    else messages.get(row.partition)?.push(storedMessage(row));
  }
  return asked.map((ask) =>
    partitionRead(ask, states.get(ask.partition) as PartitionState, messages.get(ask.partition) ?? []),
  );
}

function partitionRead(ask: PartitionAsk, state: PartitionState, found: StoredMessage[]): PartitionRead {
  // The order of a UNION ALL's second half is its own business.
  found.sort((a, b) => (a.id < b.id ? -1 : 1));
  const recorded = state.recorded === true;
  const messages = recorded ? found : found.slice(0, ask.maxMessages);
  return {
    partition: ask.partition,
    held: state.held,
    recorded,
    sequence: BigInt(state.sequence ?? 0) + (recorded ? 0n : 1n),
    epoch: recorded ? BigInt(state.epoch) : ask.epoch,
    fromSnapshot: state.from,
    toSnapshot: state.to,
    afterId: state.after,
    untilId: String(messages.at(-1)?.id ?? 0n),
    more: recorded ? state.more : found.length > ask.maxMessages,
    messages,
  };
}

function storedMessage(row: MessageRow): StoredMessage {
  return {
    id: BigInt(row.id),
    partition: row.partition,
    key: row.key,
    value: row.value,
    publishedAtMs: Math.round(row.at),
    traceparent: row.traceparent ?? undefined,
    session: row.session ?? undefined,
    ...(row.version === null ? {} : { version: row.version }),
  };
}

/** Messages of the topic that the consumer has not completed. */
const lagSql = (log: TopicLog) => `
with asked as (
  select a.partition, g.*
    from generate_series(0, ${log.partitions - 1}) as a (partition)
    left join lateral (
      select sequence, done, more, from_snapshot as window_from, to_snapshot as window_to, after_id, until_id
        from (${newestProgress}) newest) g on true
), opened as (
  select partition,
         case when sequence is null then ${nothing} when done and not more then window_to else window_from end
           as from_snapshot,
         pg_current_snapshot() as to_snapshot,
         -- Of an open window, what lies before this id is completed.
         case when sequence is null or (done and not more) then null else window_to end as window_to,
         case when done then until_id else after_id end as completed_id
    from asked
)
select count(*)::text as lag
  from opened o
  join lateral (${windowRows(log, "o", "r.id, r.xid")}) r
    on o.window_to is null or not (pg_visible_in_snapshot(r.xid, o.window_to) and r.id <= o.completed_id)`;

export async function readLag(session: PgSession, log: TopicLog, consumerId: number): Promise<bigint> {
  session.push({ text: `begin; ${readSettings}` });
  const read = session.send<{ lag: string }>({ text: lagSql(log), prepare: true, values: [consumerId] });
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  await ended;
  return BigInt(rows[0]?.lag ?? "0");
}
