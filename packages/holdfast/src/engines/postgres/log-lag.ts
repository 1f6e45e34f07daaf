/**
 * How far consumers are behind: messages that they want and have not completed, and the age of the oldest.
 *
 * Counted from the newest recorded batch, as reading is. Counting costs what there is to count, so whoever asks often
 * says where to stop.
 */
import type { ConsumerState, PartitionLag } from "../../parts/topic/index.ts";
import { nothing, readSettings, windowRows } from "./log-read.ts";
import type { TopicLog } from "./log-tables.ts";
import type { PgSession } from "./session.ts";

/** For each consumer of `chosen` (id, filter) and partition what has not been completed. Parameter: where to stop. */
const openSql = (log: TopicLog, chosen: string, stop: string) => `
asked as (
  select c.id as consumer, c.filter, a.partition, g.*
    from (${chosen}) c
   cross join generate_series(0, ${log.partitions - 1}) as a (partition)
    left join lateral (
      select sequence, done or letters is not null as done, more, from_snapshot as window_from,
             to_snapshot as window_to, after_id, until_id
        from holdfast.topic_progress g
       where g.consumer = c.id and g.partition = a.partition order by g.sequence desc limit 1) g on true
), opened as (
  select consumer, partition, filter,
         case when sequence is null then ${nothing} when done and not more then window_to else window_from end
           as from_snapshot,
         pg_current_snapshot() as to_snapshot,
         -- Of an open window, what lies before this id is completed.
         case when sequence is null or (done and not more) then null else window_to end as window_to,
         case when done then until_id else after_id end as completed_id
    from asked
), counted as (
  select o.consumer, o.partition, l.messages, l.oldest
    from opened o cross join lateral (
      select count(*) as messages, min(published_at) as oldest from (
        select r.published_at
          from (${windowRows(log, "o", "r.id, r.xid, r.subject, r.published_at")}) r
         where (o.window_to is null or not (pg_visible_in_snapshot(r.xid, o.window_to) and r.id <= o.completed_id))
           and (o.filter is null or r.subject ~ o.filter)
         limit ${stop}) r) l
)`;

async function inReading<Row>(session: PgSession, text: string, values: readonly unknown[]): Promise<Row[]> {
  session.push({ text: `begin; ${readSettings}` });
  const read = session.send<Row>({ text, prepare: true, values });
  const ended = session.push({ text: "commit" });
  const { rows } = await read;
  await ended;
  return rows;
}

/** @param consumerId 0 for one that does not exist yet: all messages wait for it */
export async function readLag(session: PgSession, log: TopicLog, consumerId: number): Promise<bigint> {
  const chosen = "select $1::int as id, (select filter from holdfast.topic_consumer where id = $1) as filter";
  const rows = await inReading<{ lag: string }>(
    session,
    `with ${openSql(log, chosen, "null")} select coalesce(sum(messages), 0)::text as lag from counted`,
    [consumerId],
  );
  return BigInt(rows[0]?.lag ?? "0");
}

interface StateRow {
  readonly name: string;
  readonly ephemeral: boolean;
  readonly letters: string;
  readonly members: readonly string[] | null;
  readonly partitions: readonly {
    readonly partition: number;
    readonly messages: number;
    readonly oldest: number | null;
    readonly owner: string | null;
  }[];
}

export interface StateWish {
  /** All consumers when undefined. */
  readonly name?: string | undefined;
  readonly messagesMax?: number | undefined;
}

export async function readConsumers(
  session: PgSession,
  log: TopicLog,
  { name, messagesMax }: StateWish = {},
): Promise<ConsumerState[]> {
  const chosen = `select id, filter from holdfast.topic_consumer
    where topic = ${log.id} and ($1::text is null or name = $1)`;
  const rows = await inReading<StateRow>(
    session,
    `with ${openSql(log, chosen, "$2::bigint")}
      select c.name, c.ephemeral,
             (select count(*) from holdfast.topic_dead_letter d where d.consumer = c.id)::text as letters,
             (select json_agg(m.name order by m.name) from holdfast.topic_member m
               where m.consumer = c.id and m.expires_at > clock_timestamp()) as members,
             json_agg(json_build_object('partition', o.partition, 'messages', o.messages, 'owner', a.owner, 'oldest',
               greatest(0, date_part('epoch', clock_timestamp() - o.oldest) * 1000)) order by o.partition) as partitions
        from counted o
        join holdfast.topic_consumer c on c.id = o.consumer
        left join holdfast.topic_claim a on a.consumer = c.id and a.partition = o.partition
       group by c.id order by c.name`,
    [name ?? null, messagesMax ?? null],
  );
  return rows.map(stateOf);
}

function stateOf({ name, ephemeral, letters, members, partitions: found }: StateRow): ConsumerState {
  const partitions: PartitionLag[] = found.map(({ partition, messages, oldest, owner }) => ({
    partition,
    messages: Number(messages),
    oldestMs: messages > 0 ? Math.round(oldest ?? 0) : 0,
    member: owner?.split("@")[0],
  }));
  return {
    name,
    ephemeral,
    messages: partitions.reduce((sum, { messages }) => sum + messages, 0),
    oldestMs: Math.max(0, ...partitions.map(({ oldestMs }) => oldestMs)),
    deadLetters: Number(letters),
    members: (members ?? []).map((member) => member.split("@")[0] as string),
    partitions,
  };
}
