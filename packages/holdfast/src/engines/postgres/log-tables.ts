/**
 * A topic's own log: one table of messages in a ring of segments, made when the topic is first used.
 *
 * Segments are partitions of the table, so that reading is one statement over all of them and emptying one is
 * a TRUNCATE that takes no time and leaves nothing for vacuum. Every topic has its own, so that a consumer
 * that is behind keeps only its own topic's messages.
 */
import { HoldfastError } from "../../call/index.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

/** Segments of the ring: the current one, and those that wait for readers and for the end of retention. */
export const segmentCount = 4;

export interface TopicLog {
  /** Number of the topic in its home database. */
  readonly id: number;
  readonly name: string;
  readonly partitions: number;
  /** Qualified name of the table of messages. */
  readonly table: string;
}

export function segmentTable(log: TopicLog, segment: number): string {
  return `${log.table}_${segment}`;
}

/**
 * First key of a topic's advisory locks ("Ho" above, the topic's number below); the second is the slot of a
 * key, or one of the numbers beyond the slots. Topic 0 does not exist: its lock guards the making of topics.
 */
export function topicLock(topicId: number): number {
  return 0x486f0000 + topicId;
}

/**
 * Finds the topic's log, or makes it.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the log was made with another number of partitions
 */
export async function openTopicLog(session: PgSession, name: string, partitions: number): Promise<TopicLog> {
  const known = await findLog(session, name);
  if (known) await addColumns(session, known);
  return checked(known ?? (await makeLog(session, name, partitions)), partitions);
}

/** What logs that an earlier version made do not have. */
const laterColumns = { session: "text", subject: "text", bytes: "int", timeline: "int" } as const;

/** Rows of an earlier version, which may still run beside this one, have none of these. */
async function addColumns(session: PgSession, log: TopicLog): Promise<void> {
  const { rows } = await session.send<{ name: string }>({
    text: `select attname::text as name from pg_attribute
      where attrelid = $1::regclass and attname = any ($2::text[]) and not attisdropped`,
    values: [log.table, Object.keys(laterColumns)],
  });
  const missing = Object.entries(laterColumns).filter(
    ([column]) => !rows.some(({ name }) => name === column),
  );
  if (missing.length === 0) return;
  // Publishers and readers queue behind a waiting change: it gives up soon, and whoever opens next tries again.
  const added = missing.map(([column, type]) => `add column if not exists ${column} ${type}`).join(", ");
  const change = `alter table ${log.table} ${added}`;
  await session
    .send({ text: `begin read write; set local lock_timeout to '2s'; ${change}; commit` })
    .catch((error: unknown) => {
      session.push({ text: "rollback" });
      session.taint();
      throw error;
    });
}

async function findLog(session: PgSession, name: string): Promise<TopicLog | undefined> {
  const find = session.send<{ id: number; partitions: number }>({
    text: "select id, partitions from holdfast.topic where name = $1",
    values: [name],
  });
  const { rows } = await find.catch((error: unknown) => {
    if (sqlStateOf(error) !== "42P01") throw error;
    throw new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `topic "${name}": its home database has no Holdfast tables yet. Run \`holdfast up\`, or installFramework, first.`,
      { cause: error, data: { topic: name } },
    );
  });
  return rows[0] && { ...rows[0], name, table: `holdfast.topic_${rows[0].id}` };
}

async function makeLog(session: PgSession, name: string, partitions: number): Promise<TopicLog> {
  await session.send({ text: "begin read write" });
  try {
    await session.send({ text: `select pg_advisory_xact_lock(${topicLock(0)}, 0)` });
    const first = await findLog(session, name); // another process may have been faster
    if (!first) {
      const { rows } = await session.send<{ id: number }>({
        text: "insert into holdfast.topic (name, partitions) values ($1, $2) returning id",
        values: [name, partitions],
      });
      const id = rows[0]?.id as number;
      await session.send({ text: logTableSql(`holdfast.topic_${id}`) });
    }
    const made = first ?? ((await findLog(session, name)) as TopicLog);
    await session.send({ text: "commit" });
    return made;
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

/**
 * `xid` is the transaction that published, by which readers find what is new; `id` is the order of delivery.
 * The identity must not be cached per session (CACHE 1, the default), or ids would not follow key order.
 */
function logTableSql(table: string): string {
  const segments = Array.from({ length: segmentCount }, (_, segment) => segment);
  return `
    create table ${table} (
      id bigint generated always as identity,
      xid xid8 not null default pg_current_xact_id(),
      published_at timestamptz not null default clock_timestamp(),
      partition smallint not null,
      segment smallint not null,
      key text not null,
      value json not null,
      traceparent text,
      session text,
      subject text,
      -- Version of the schema that the value was validated by.
      version int,
      -- Length of the value as text.
      bytes int,
      -- Timeline of the server that took it: the id of a transaction means something only on its timeline.
      timeline int
    ) partition by list (segment);
    create index on ${table} (partition, xid);
    ${segments.map((n) => `create table ${table}_${n} partition of ${table} for values in (${n});`).join("\n    ")}`;
}

function checked(log: TopicLog, partitions: number): TopicLog {
  if (log.partitions === partitions) return log;
  throw new HoldfastError(
    "HOLDFAST_OPTIONS_INVALID",
    `topic "${log.name}" was made with ${log.partitions} partitions and is declared with ${partitions}. The number is fixed for the life of the topic, because order per key depends on it: declare ${log.partitions}, or a topic with a new name.`,
    { data: { topic: log.name, stored: log.partitions, declared: partitions } },
  );
}
