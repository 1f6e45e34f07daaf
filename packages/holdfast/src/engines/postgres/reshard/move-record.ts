/**
 * A move as it is written down, on the database's home node: what is wanted, and what was done last.
 *
 * What comes next is not written anywhere. It follows from what is there (`move-facts.ts`, `move-step.ts`), so that
 * a record which a killed process left behind can never be wrong about it.
 */
import type { PgSession } from "../session.ts";
import type { PlainPlace } from "../shard-place.ts";

export type MoveState = "moving" | "kept" | "finished" | "aborted" | "taken-back";
export type MoveIntent = "forward" | "abort" | "finish";

export interface MoveRecord {
  readonly id: number;
  readonly shard: number;
  readonly source: string;
  readonly target: string;
  /** The shard's schema before the move, and behind it. */
  readonly schema: string;
  readonly schemaAfter: string;
  readonly stream: string;
  readonly mark: number;
  readonly state: MoveState;
  readonly intent: MoveIntent;
  readonly keep: boolean;
  readonly step: string;
  readonly data: MoveData;
  readonly startedAt: string;
  readonly changedAt: string;
}

/** What has to outlive the process that moves. */
export interface MoveData {
  /** The move that this one takes back: its stream is there already. */
  readonly backOf?: number;
  /** The servers that the copy began on: on others it begins anew. */
  readonly began?: { readonly source: ServerLine; readonly target: ServerLine };
  /** The target's schema is whole, and empty. */
  readonly made?: boolean;
  /** The schemas were found to differ: one side was migrated since. */
  readonly unlike?: boolean;
  /** Rows that were compared, and where. */
  readonly verified?: { readonly tables: number; readonly rows: string };
  /** The mark that the fence has set. */
  readonly fence?: number;
  /** The place that the map is to have. */
  readonly place?: PlainPlace;
  /** Where the source's log was when the shard was handed over: all that was written there lies before it. */
  readonly leftAt?: { readonly system: string; readonly timeline: number; readonly lsn: string };
  /** How the copy went, for people. */
  readonly bytes?: number;
  readonly copyMs?: number;
  readonly cutoverMs?: number;
  /** Why it stopped last. */
  readonly error?: string;
}

export interface ServerLine {
  readonly system: string;
  readonly timeline: number;
}

const columns = `id, shard, source, target, schema, schema_after as "schemaAfter", stream, mark, state, intent, keep,
  step, data, started_at::text as "startedAt", changed_at::text as "changedAt"`;

/** Moves that are not over: under way, or kept so that they can be taken back. */
export async function openMoves(home: PgSession): Promise<MoveRecord[]> {
  const { rows } = await home.send<MoveRecord>({
    text: `select ${columns} from holdfast.shard_move where state in ('moving', 'kept') order by id`,
  });
  return rows;
}

export async function readMove(home: PgSession, id: number): Promise<MoveRecord> {
  const { rows } = await home.send<MoveRecord>({
    text: `select ${columns} from holdfast.shard_move where id = $1`,
    values: [id],
  });
  const row = rows[0];
  if (!row) throw new RangeError(`there is no move ${id}`);
  return row;
}

export interface NewMove {
  readonly shard: number;
  readonly source: string;
  readonly target: string;
  readonly schema: string;
  readonly keep: boolean;
  /** The kept move that it takes back. */
  readonly back?: MoveRecord | undefined;
}

/** Writes a move down before anything is done for it. */
export async function beginMove(home: PgSession, move: NewMove): Promise<MoveRecord> {
  const { back } = move;
  const [row] = await inTransaction(home, async () => {
    const { rows } = await home.send<MoveRecord>({
      text: `insert into holdfast.shard_move (id, shard, source, target, schema, schema_after, stream, mark, keep, data)
        overriding system value
        select id, $1::int, $2, $3, $4, 's' || $1::int || '_m' || id, coalesce($5, $8 || '_m' || id),
          coalesce($6::int, id), $7::boolean, $9::jsonb
          from (select nextval(pg_get_serial_sequence('holdfast.shard_move', 'id'))::int as id) next
        returning ${columns}`,
      values: [
        move.shard,
        move.source,
        move.target,
        move.schema,
        back ? backOf(back.stream) : null,
        back?.mark ?? null,
        move.keep,
        streamPrefix(home.endpoint.database),
        JSON.stringify(back ? { backOf: back.id } : {}),
      ],
    });
    if (back) {
      await home.send({
        text: "update holdfast.shard_move set state = 'taken-back', changed_at = clock_timestamp() where id = $1",
        values: [back.id],
      });
    }
    return rows;
  });
  return row as MoveRecord;
}

export interface MoveChange {
  readonly step?: string;
  readonly state?: MoveState;
  readonly intent?: MoveIntent;
  /** Merged into what is there; a key with `null` is taken out. */
  readonly data?: { readonly [key in keyof MoveData]?: MoveData[key] | null };
}

export async function changeMove(home: PgSession, id: number, change: MoveChange): Promise<MoveRecord> {
  const [row] = await inTransaction(home, async () => {
    const { rows } = await home.send<MoveRecord>({
      text: `update holdfast.shard_move set step = coalesce($2, step), state = coalesce($3, state),
          intent = coalesce($4, intent), data = jsonb_strip_nulls(data || $5::jsonb), changed_at = clock_timestamp()
        where id = $1 returning ${columns}`,
      values: [
        id,
        change.step ?? null,
        change.state ?? null,
        change.intent ?? null,
        JSON.stringify(change.data ?? {}),
      ],
    });
    return rows;
  });
  return row as MoveRecord;
}

/** Publication, slot and subscription of the way back. */
export function backOf(stream: string): string {
  return `${stream}_back`;
}

/** Slots are named per server, and databases share servers: letters, digits and _ only, 63 bytes with what follows. */
function streamPrefix(database: string): string {
  return `holdfast_${database
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, "_")
    .slice(0, 24)}`;
}

/** Read-write, and rolled back by whatever fails. */
export async function inTransaction<T>(session: PgSession, run: () => Promise<T>): Promise<T> {
  await session.send({ text: "begin read write" });
  try {
    const value = await run();
    await session.send({ text: "commit" });
    return value;
  } catch (error) {
    await session.send({ text: "rollback" }).catch(() => session.taint());
    throw error;
  }
}
