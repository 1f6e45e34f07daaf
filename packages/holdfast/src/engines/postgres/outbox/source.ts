/**
 * What a source has: messages that committed with transactions there, read by snapshots.
 *
 * As with a topic's log (`log-read.ts`), what is new is what a later snapshot shows and the cursor's does not, so that
 * nothing is passed over because it took its number early and committed late, and nobody's long transaction holds up
 * others. Within the window the order is that of positions.
 *
 * The window's end has to be written down at the source first, as a tick, and the cursor names the tick:
 *
 * - A crash may hand out transaction ids again that a snapshot takes for passed, and so may a failover, or a restore.
 *   But a tick is committed by a transaction with a higher id than its snapshot has. While it is there, so is all that
 *   came before it; when it is not, the cursor is not believed, whatever servers and timelines are called.
 * - Its commit waits for the disk, and for the quorum of a synchronous database: so nothing is moved on that a crash
 *   of the source, or a failover within its quorum, could take back.
 */
import type { LogPosition } from "../../../call/index.ts";
import { readSettings } from "../log-read.ts";
import { flushed } from "../log-transaction.ts";
import { askInserted } from "../routing-position.ts";
import type { PgSession } from "../session.ts";
import type { Cursor, SourceMessage } from "./cursor.ts";

/** The most that is moved in one transaction. One message at least, however large. */
export const batchLimits = { messages: 1_000, bytes: 8 << 20 } as const;

export interface Window {
  readonly from: string;
  readonly to: string;
  readonly tick: string;
  readonly more: boolean;
  readonly messages: readonly SourceMessage[];
  /** When the newest of them was written, by the source's clock. */
  readonly newestAt: string;
  /** A position of the source behind the commits of all of them. */
  readonly position: LogPosition;
}

/** What is beyond each cursor, by destination: whether there is something to move. */
export async function peek(
  session: PgSession,
  asked: readonly { readonly destination: string; readonly cursor: Cursor }[],
): Promise<ReadonlySet<string>> {
  const open = asked.filter(({ cursor }) => cursor.more).map(({ destination }) => destination);
  const rest = asked.filter(({ cursor }) => !cursor.more);
  if (rest.length === 0) return new Set(open);
  session.push({ text: `begin; ${readSettings}` });
  const found = session.send<{ destination: string }>({
    text: `select d.destination from unnest($1::text[], $2::text[], $3::uuid[]) as d (destination, snapshot, tick)
      where (d.tick is not null and not exists (select from holdfast.outbox_tick t where t.id = d.tick))
        or exists (select from holdfast.outbox r where r.destination = d.destination
          and r.xid >= pg_snapshot_xmax(d.snapshot::pg_snapshot))
        or exists (select from holdfast.outbox r where r.destination = d.destination
          and r.xid = any (array(select pg_snapshot_xip(d.snapshot::pg_snapshot))))`,
    values: [
      rest.map(({ destination }) => destination),
      rest.map(({ cursor }) => cursor.to),
      rest.map(({ cursor }) => cursor.tick ?? null),
    ],
    prepare: true,
  });
  const ended = session.push({ text: "commit" });
  const { rows } = await found;
  await ended;
  return new Set([...open, ...rows.map((row) => row.destination)]);
}

/** Transaction of the n-th message that is new, from 0; no row when there are not so many. */
const newXid = (n: string) => `
  select r.xid from holdfast.outbox r where r.destination = $1 and r.xid >= pg_snapshot_xmax(w.from_snapshot)
   order by r.xid offset ${n} limit 1`;

const rowColumns = `r.position, r.id, r.shard, r.place, r.key, r.value, r.options, r.traceparent, r.session, r.bytes, r.at`;

/**
 * Parameters: destination, whether a window is open, its from and to, its tick, after, the tick that was just written,
 * the most messages and bytes.
 */
const windowSql = `
with asked as (
  select $3::pg_snapshot as from_snapshot, case when $2::bool then $4::pg_snapshot end as to_snapshot, $6::bigint as after
), w as (
  -- Of the ticks, one that keeps the window to about two batches, and shows the oldest that is new. The newest else.
  select w.from_snapshot, w.after,
         coalesce(w.to_snapshot, far.snapshot, near.snapshot) as to_snapshot,
         case when w.to_snapshot is not null then $5::uuid else coalesce(far.id, near.id) end as tick
    from asked w
    left join lateral (
      select t.id, t.snapshot from (${newXid("0")}) oldest, (${newXid("2 * $8::int")}) beyond,
        lateral (
          (select 0 as rank, t.* from holdfast.outbox_tick t
            where pg_snapshot_xmax(t.snapshot) > oldest.xid and pg_snapshot_xmax(t.snapshot) <= beyond.xid
              and pg_visible_in_snapshot(oldest.xid, t.snapshot)
            order by pg_snapshot_xmax(t.snapshot) desc limit 1)
          union all
          (select 1 as rank, t.* from holdfast.outbox_tick t
            where pg_snapshot_xmax(t.snapshot) > oldest.xid and pg_visible_in_snapshot(oldest.xid, t.snapshot)
            order by pg_snapshot_xmax(t.snapshot) limit 1)
        ) t
       where w.to_snapshot is null order by t.rank limit 1) far on true
    left join holdfast.outbox_tick near on near.id = $7::uuid
), found as (
  select ${rowColumns} from w, holdfast.outbox r
   where r.destination = $1 and r.position > w.after
     and r.xid >= pg_snapshot_xmax(w.from_snapshot) and r.xid < pg_snapshot_xmax(w.to_snapshot)
     and pg_visible_in_snapshot(r.xid, w.to_snapshot)
  union all
  select ${rowColumns} from w, holdfast.outbox r
   where r.destination = $1 and r.position > w.after
     and r.xid = any (array(select pg_snapshot_xip(w.from_snapshot)))
     and pg_visible_in_snapshot(r.xid, w.to_snapshot)
), numbered as (
  select f.*, row_number() over ordered as n, sum(f.bytes) over ordered - f.bytes as before, count(*) over () as total
    from found f window ordered as (order by f.position)
), batch as (
  select * from numbered where n <= $8::int and (before < $9::bigint or n = 1)
)
-- One row for the window, as JSON, and one for each message.
select null::text as position, null::text as id, null::int as shard, null::text as place, null::text as key,
       json_build_object('from', w.from_snapshot::text, 'to', w.to_snapshot::text, 'tick', w.tick,
         'newestAt', (select max(at)::text from batch),
         'more', coalesce((select max(total) > count(*) from batch), false))::text as value,
       null::text as options, null::text as traceparent, null::text as session
  from w
union all
select position::text, id::text, shard, place, key, value::text, options::text, traceparent, session
  from batch`;

interface MessageRow {
  readonly position: string;
  readonly id: string;
  readonly shard: number;
  readonly place: string;
  readonly key: string;
  readonly value: string;
  readonly options: string | null;
  readonly traceparent: string | null;
  readonly session: string | null;
}

interface WindowRow {
  readonly position: null;
  readonly value: string;
}

/**
 * Writes down a tick, and reads what comes behind the cursor.
 *
 * @param newTick id of the tick that is written, a UUID
 * @returns `lost` when the cursor's tick is not there any more; `undefined` when there is nothing
 */
export async function readWindow(
  session: PgSession,
  destination: string,
  cursor: Cursor,
  newTick: string,
): Promise<Window | "lost" | undefined> {
  let unsure = false;
  session.onNotice = ({ routine }) => {
    // The wait for a standby was cancelled: the tick is there, and nobody knows for how long.
    if (routine === "SyncRepWaitForLSN") unsure = true;
  };
  try {
    if (!cursor.more) await writeTick(session, newTick);
    if (unsure) throw new Error(`${session.where}: the wait for a synchronous standby was cancelled`);
  } finally {
    session.onNotice = undefined;
  }
  session.push({ text: `begin isolation level repeatable read; ${readSettings}` });
  const known = session.send<{ known: boolean }>({
    text: "select $1::uuid is null or exists (select from holdfast.outbox_tick where id = $1::uuid) as known",
    values: [cursor.tick ?? null],
    prepare: true,
  });
  const read = session.send<MessageRow | WindowRow>({
    text: windowSql,
    values: [
      destination,
      cursor.more,
      cursor.more ? cursor.from : cursor.to,
      cursor.to,
      cursor.tick ?? null,
      cursor.more ? cursor.after : "0",
      newTick,
      batchLimits.messages,
      batchLimits.bytes,
    ],
    prepare: true,
  });
  const ended = session.push({ text: "commit" });
  const asked = askInserted(session);
  const [{ rows }, { rows: checked }, position] = await Promise.all([read, known, asked, ended]);
  if (!checked[0]?.known) return "lost";
  const window = rows.find((row): row is WindowRow => row.position === null);
  const messages = rows.filter((row): row is MessageRow => row.position !== null).map(messageOf);
  if (!window || messages.length === 0) return undefined;
  messages.sort((a, b) => (BigInt(a.position) < BigInt(b.position) ? -1 : 1));
  return {
    ...(JSON.parse(window.value) as Pick<Window, "from" | "to" | "tick" | "newestAt" | "more">),
    messages,
    position,
  };
}

function messageOf({ value, options, traceparent, session, ...row }: MessageRow): SourceMessage {
  return {
    ...row,
    json: value,
    options: options ?? undefined,
    traceparent: traceparent ?? undefined,
    session: session ?? undefined,
  };
}

async function writeTick(session: PgSession, id: string): Promise<void> {
  const begun = session.push({ text: `begin read write; ${flushed}` });
  const written = session.push({
    text: "insert into holdfast.outbox_tick (id, snapshot) values ($1::uuid, pg_current_snapshot())",
    values: [id],
    prepare: true,
  });
  const ended = session.send({ text: "commit" });
  // A first failure says why; those behind it are its echo.
  for (const answer of await Promise.allSettled([begun, written, ended])) {
    if (answer.status === "fulfilled") continue;
    session.taint();
    throw answer.reason;
  }
}

/**
 * Where to go on when the cursor's tick is not there: behind the newest of `ticks` that is, or else from the start.
 *
 * @param ticks the newest first
 */
export async function findGround(
  session: PgSession,
  ticks: readonly { readonly seq: number; readonly tick: string }[],
): Promise<Pick<Cursor, "from" | "to" | "tick" | "recheck">> {
  const { rows } = await session.send<{ nr: number; snapshot: string }>({
    text: `select asked.nr::int as nr, t.snapshot::text as snapshot
      from unnest($1::uuid[]) with ordinality as asked (id, nr) join holdfast.outbox_tick t on t.id = asked.id
      order by asked.nr limit 1`,
    values: [ticks.map(({ tick }) => tick)],
  });
  const { rows: last } = await session.send<{ position: string }>({
    text: "select last_value::text as position from holdfast.outbox_position_seq",
  });
  const [found] = rows;
  const ground = found && ticks[found.nr - 1];
  const snapshot = found?.snapshot ?? "1:1:";
  return {
    from: snapshot,
    to: snapshot,
    tick: ground?.tick,
    recheck: { seq: ground?.seq ?? 0, position: last[0]?.position ?? "9223372036854775807" },
  };
}
