/**
 * Appending a batch of messages to a topic's log, and finding out whether a batch was appended.
 *
 * One INSERT, sent together with its BEGIN and COMMIT, so that a batch costs one round trip and one flush.
 *
 * - Order per key. Before ids are drawn, the transaction locks the slots of its keys, in order. Ids of one key
 *   therefore rise in the order of commits, and the order of ids is the order of delivery within a key, whatever
 *   else the publishers do. The locks are advisory and end with the transaction.
 * - Evidence. The batch leaves a row under its own random id. Whoever does not know whether it was committed
 *   inserts a tombstone under the same id: that waits for a transaction still under way, then either finds its
 *   row (applied), or stays, and an INSERT that arrives late fails on it (not applied, for good).
 * - Segments. The INSERT goes to the segment that is current when it begins. A segment is only emptied under an
 *   exclusive lock and after a look at what is in it, so a slow INSERT into an old one is safe.
 */
import type { HoldfastError } from "../../call/index.ts";
import { type AppendEnd, commitWith } from "./commit-end.ts";
import { timelineNow } from "./log-sequence.ts";
import { type TopicLog, topicLock } from "./log-tables.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession, Statement } from "./session.ts";

export interface AppendMessage {
  readonly partition: number;
  readonly key: string;
  /** JSON text. */
  readonly json: string;
  readonly traceparent: string | undefined;
  /** The publisher's session, encoded. */
  readonly session: string | undefined;
  /** What consumers choose by, if it has one. */
  readonly subject?: string | undefined;
  /** Of the schema it was validated by, where the topic declares versions. */
  readonly version?: number | undefined;
}

/** Slots that keys are locked by. More slots: fewer keys wait for each other, more locks per batch. */
const lockSlots = 128;

/** How long a batch waits for the keys of others before it is sorted out which of them are held, in ms. */
const lockTimeoutMs = 250;

/**
 * The lock slot of a key: FNV-1a, 32 bits, over UTF-16 units. All processes that publish to a topic at the
 * same time must agree on it; nothing that is stored depends on it.
 */
export function lockSlotOf(key: string, slots: number = lockSlots): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return (hash >>> 0) % slots;
}

/** Separates JSON texts in one parameter: a control character, which JSON.stringify always escapes. */
export const separator = "\u001e";

const insertSql = (log: TopicLog) => `
with message as materialized (
  select m.* from unnest($2::int2[], $3::text[], string_to_array($4::text, E'\\x1e'), $5::text[],
      $8::text[], $9::text[], $10::int[])
    with ordinality as m (partition, key, value, traceparent, session, subject, version, n)
), evidence as (
  insert into holdfast.topic_batch (id) values ($1::uuid)
), locked as materialized (
  -- Counted, so that every lock is held before the first id is drawn.
  select count(pg_advisory_xact_lock(${topicLock(log.id)}, slot)) as n
    from (select distinct slot from unnest($6::int[]) as slot order by slot) slots
), tick as (
  insert into holdfast.topic_tick (topic, snapshot) select ${log.id}, pg_current_snapshot() where $7::bool
)
insert into ${log.table}
  (segment, partition, key, value, traceparent, session, subject, version, bytes, timeline)
select topic.segment, m.partition, m.key, m.value::json, m.traceparent, m.session, m.subject, m.version,
       octet_length(m.value), (select ${timelineNow})
  from locked, holdfast.topic, message m
 where topic.id = ${log.id} and locked.n is not null
 order by m.n`;

export interface AppendBatch {
  /** Random, new for each attempt. */
  readonly id: string;
  readonly messages: readonly AppendMessage[];
  /** Record a snapshot for readers that are behind. */
  readonly tick: boolean;
}

/** Appends the batch. Never rejects: every end is one of the three. */
export async function appendBatch(session: PgSession, log: TopicLog, batch: AppendBatch): Promise<AppendEnd> {
  session.push({ text: `begin read write; set local lock_timeout = ${lockTimeoutMs}; ${flushed}` });
  return appendWith(session, appendStatement(log, batch));
}

/**
 * Appends those of `groups` whose keys are free now, without waiting for any.
 *
 * @returns which groups were tried, by index: the others have a key that another transaction holds
 */
export async function appendFree(
  session: PgSession,
  log: TopicLog,
  groups: readonly (readonly AppendMessage[])[],
  id: string,
): Promise<{ tried: readonly number[]; end: AppendEnd }> {
  session.push({ text: `begin read write; ${flushed}` });
  const slots = [...new Set(groups.flatMap((group) => group.map((message) => lockSlotOf(message.key))))];
  try {
    const { rows } = await session.send<{ slot: number; free: boolean }>({
      text: `select slot, pg_try_advisory_xact_lock(${topicLock(log.id)}, slot) as free
               from (select slot from unnest($1::int[]) as slot order by slot) slots`,
      values: [slots],
    });
    const held = new Set(rows.filter((row) => !row.free).map((row) => row.slot));
    const tried: number[] = [];
    for (const [index, group] of groups.entries()) {
      const slots = group.map((message) => lockSlotOf(message.key));
      if (!slots.some((slot) => held.has(slot))) tried.push(index);
      // Nor may a later group overtake this one at another of its keys.
      else for (const slot of slots) held.add(slot);
    }
    if (tried.length === 0) {
      await session.send({ text: "rollback" });
      return { tried, end: { kind: "appended", answer: undefined } };
    }
    const messages = tried.flatMap((index) => groups[index] ?? []);
    return { tried, end: await appendWith(session, appendStatement(log, { id, messages, tick: false })) };
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    return {
      tried: groups.map((_, index) => index),
      end: { kind: "refused", error: error as HoldfastError },
    };
  }
}

/**
 * Whether the batch was appended, settled for good: asked again, it answers the same. Throws when the primary
 * cannot say in time.
 */
export async function settleBatch(session: PgSession, id: string): Promise<"appended" | "refused"> {
  const [{ rows }] = await writeAtOnce<[{ tombstone: boolean }]>(
    session,
    [
      {
        // DO UPDATE, because it answers with the row that is there, also one from after this statement began.
        text: `insert into holdfast.topic_batch as batch (id, tombstone) values ($1::uuid, true)
               on conflict (id) do update set tombstone = batch.tombstone returning tombstone`,
        values: [id],
      },
    ],
    `set local lock_timeout = '2s'; ${flushed}`,
  );
  return rows[0]?.tombstone ? "refused" : "appended";
}

/** The INSERT of a batch, for whatever READ WRITE transaction it is to be part of. */
export function appendStatement(log: TopicLog, { id, messages, tick }: AppendBatch) {
  return {
    text: insertSql(log),
    prepare: true,
    values: [
      id,
      messages.map((message) => message.partition),
      messages.map((message) => message.key),
      messages.map((message) => message.json).join(separator),
      messages.map((message) => message.traceparent ?? null),
      [...new Set(messages.map((message) => lockSlotOf(message.key)))],
      tick,
      messages.map((message) => message.session ?? null),
      messages.map((message) => message.subject ?? null),
      messages.map((message) => message.version ?? null),
    ],
  };
}

async function appendWith(session: PgSession, statement: Statement): Promise<AppendEnd> {
  const end = await commitWith(session, [statement], "messages");
  return end.kind === "appended" ? { kind: "appended", answer: undefined } : end;
}
