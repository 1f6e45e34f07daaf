/**
 * The cursor of a relay: how far what one source has for one destination was moved. It lives at the destination's
 * home, and moves in the transaction that appends the messages, so that the two cannot part: not when the relay dies,
 * not when its COMMIT has no answer, and not when the home fails over and loses both.
 *
 * It moves only from where the relay has read it, known by its random id, and not by its number: after a failover of
 * the home a number may stand for something else. So any number of relays may work at once, and one of them moves it.
 */
import type { PgSession } from "../session.ts";
import type { OutboxMessage } from "./destination.ts";

/** A message as its source has it. */
export interface SourceMessage extends OutboxMessage {
  readonly position: string;
  readonly shard: number;
  /** The schema that the shard had where it was written. */
  readonly place: string;
}

export interface Cursor {
  /** 0 before the first. */
  readonly seq: number;
  readonly id: string | undefined;
  /** The tick that `to` was written down as; `undefined` before the first. */
  readonly tick: string | undefined;
  readonly from: string;
  readonly to: string;
  readonly after: string;
  /** Whether the window (from, to] has more behind `after`. */
  readonly more: boolean;
  /** Set while what was relayed before may come again. */
  readonly recheck: Recheck | undefined;
}

/** Messages up to `position` may have come, and are then among the ids of rows behind `seq`. */
export interface Recheck {
  readonly seq: number;
  readonly position: string;
}

/** Nothing was relayed yet: the snapshot that shows nothing. */
export const noCursor: Cursor = {
  seq: 0,
  id: undefined,
  tick: undefined,
  from: "1:1:",
  to: "1:1:",
  after: "0",
  more: false,
  recheck: undefined,
};

interface CursorRow {
  readonly seq: string;
  readonly id: string;
  readonly tick: string;
  readonly from: string;
  readonly to: string;
  readonly after: string;
  readonly more: boolean;
  readonly recheckSeq: string | null;
  readonly recheckPosition: string | null;
}

const columns = `seq::text, id::text, tick::text, from_snapshot::text as "from", to_snapshot::text as "to",
  after_position::text as after, more, recheck_seq::text as "recheckSeq", recheck_position::text as "recheckPosition"`;

/** @returns the newest cursor, and how many messages of the source are held back at the home */
export async function readCursor(
  home: PgSession,
  source: string,
  destination: string,
): Promise<{ readonly cursor: Cursor; readonly held: number }> {
  const newest = home.send<CursorRow>({
    text: `select ${columns} from holdfast.outbox_cursor where source = $1 and destination = $2
      order by holdfast.outbox_cursor.seq desc limit 1`,
    values: [source, destination],
    prepare: true,
  });
  const holding = home.send<{ held: number }>({
    text: "select count(*)::int as held from holdfast.outbox_held where destination = $1 and source = $2",
    values: [destination, source],
    prepare: true,
  });
  const [{ rows }, { rows: counted }] = await Promise.all([newest, holding]);
  return { cursor: rows[0] ? cursorOf(rows[0]) : noCursor, held: counted[0]?.held ?? 0 };
}

function cursorOf({ recheckSeq, recheckPosition, seq, ...row }: CursorRow): Cursor {
  return {
    ...row,
    seq: Number(seq),
    recheck:
      recheckSeq === null || recheckPosition === null
        ? undefined
        : { seq: Number(recheckSeq), position: recheckPosition },
  };
}

/** Ticks of windows that were relayed whole, the newest first: where a source that has lost the newest may be gone on. */
export async function readTicks(
  home: PgSession,
  source: string,
  destination: string,
): Promise<readonly { readonly seq: number; readonly tick: string }[]> {
  const { rows } = await home.send<{ seq: number; tick: string }>({
    text: `select seq::float8 as seq, tick::text from holdfast.outbox_cursor
      where source = $1 and destination = $2 and not more order by holdfast.outbox_cursor.seq desc limit 10000`,
    values: [source, destination],
  });
  return rows;
}

/** Of these messages, those that came before: the ids that rows behind `seq` have. */
export async function readSeen(
  home: PgSession,
  source: string,
  destination: string,
  seq: number,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await home.send<{ id: string }>({
    text: `select distinct seen.id::text from holdfast.outbox_cursor c, unnest(c.ids) as seen (id)
      where c.source = $1 and c.destination = $2 and c.seq > $3 and seen.id = any ($4::uuid[])`,
    values: [source, destination, seq, ids],
  });
  return new Set(rows.map((row) => row.id));
}

export interface CursorMove {
  readonly source: string;
  readonly destination: string;
  /** Where it was read. */
  readonly was: Cursor;
  readonly next: Omit<Cursor, "seq"> & { readonly id: string; readonly tick: string };
  /** What is moved with it. */
  readonly ids: readonly string[];
  /** When the newest of them was written, by the source's clock. */
  readonly newestAt: string;
}

/** Moves the cursor, within the transaction. @returns false when another relay has moved it, or it is not there */
export async function moveCursor(home: PgSession, move: CursorMove): Promise<boolean> {
  const { source, destination, was, next } = move;
  const { rowCount } = await home.send({
    text: `insert into holdfast.outbox_cursor (source, destination, seq, id, tick, from_snapshot, to_snapshot,
        after_position, more, recheck_seq, recheck_position, ids, newest_at)
      select $1, $2, $3::bigint + 1, $4::uuid, $5::uuid, $6::pg_snapshot, $7::pg_snapshot, $8::bigint, $9::bool,
        $10::bigint, $11::bigint, $12::uuid[], $13::timestamptz
       where (select c.id from holdfast.outbox_cursor c where c.source = $1 and c.destination = $2
               order by c.seq desc limit 1) is not distinct from $14::uuid
      on conflict do nothing`,
    values: [
      source,
      destination,
      was.seq,
      next.id,
      next.tick,
      next.from,
      next.to,
      next.after,
      next.more,
      next.recheck?.seq ?? null,
      next.recheck?.position ?? null,
      move.ids,
      move.newestAt,
      was.id ?? null,
    ],
    prepare: true,
  });
  return rowCount === 1;
}

/** Forgets what cannot come again: rows whose messages the source has not kept since `keptSince`, but for the newest. */
export async function trimCursor(
  home: PgSession,
  source: string,
  destination: string,
  keptSince: string,
  marginMs: number,
): Promise<void> {
  await home.send({
    text: `delete from holdfast.outbox_cursor c where c.source = $1 and c.destination = $2
      and c.newest_at < $3::timestamptz - $4::float8 * interval '1 millisecond'
      and c.seq < (select max(seq) from holdfast.outbox_cursor n where n.source = $1 and n.destination = $2)`,
    values: [source, destination, keptSince, marginMs],
  });
}
