/**
 * The invalidation bus as SQL: one append-only table on every node, read by snapshots.
 *
 * A reader remembers the snapshot of its last read, and asks for the rows whose transactions were not visible
 * in it. Reading by `id > last` would lose every transaction that took its id early and committed late.
 *
 * Old rows go by snapshots too: `horizon` is a snapshot taken at least `retentionMs` ago, and only rows that
 * were visible in it are deleted. A reader whose own snapshot is older than the horizon may have missed some,
 * and is told so (`missed`). The store's clock only decides when the horizon moves, never what was missed.
 */
import type { InstallStep } from "./install-step.ts";

export const busInstall: InstallStep = {
  name: "bus",
  version: 1,
  sql: `
    create table holdfast.invalidation (
      id bigint generated always as identity,
      xid xid8 not null default pg_current_xact_id(),
      cache text not null,
      keys text[] not null
    );
    create index invalidation_xid on holdfast.invalidation (xid);
    create table holdfast.invalidation_retention (
      single boolean primary key default true check (single),
      candidate pg_snapshot not null default pg_current_snapshot(),
      candidate_at timestamptz not null default clock_timestamp(),
      horizon pg_snapshot
    );
    insert into holdfast.invalidation_retention default values;
  `,
};

export const busChannel = "holdfast_invalidation";

/** More unread rows than this count as a gap: forgetting everything is cheaper than reading them. */
export const busRowsMax = 10_000;

/**
 * Which server this connection talks to, and where reading starts. Fails on a standby, and where the tables
 * are not installed yet: neither counts as contact.
 *
 * The position is read after the snapshot was taken. Loads of every key wait for it, so it is what is flushed,
 * which a crash does not take back, and not what is only inserted.
 */
export const busStartSql = `
  select pg_current_snapshot()::text as snapshot,
         (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text as lsn,
         (select system_identifier::text from pg_control_system()) as system,
         ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int as timeline
    from holdfast.invalidation_retention`;

export interface BusStartRow {
  readonly snapshot: string;
  readonly lsn: string;
  readonly system: string;
  readonly timeline: number;
}

/**
 * One statement, one snapshot. The position is read after the snapshot was taken, so every row that the
 * snapshot sees was committed before it. Parameters: the last snapshot, the row limit.
 */
export const busReadSql = `
  select pg_current_snapshot()::text as snapshot,
         (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text as lsn,
         (select pg_snapshot_xmax($1::pg_snapshot) < pg_snapshot_xmax(horizon)
              or (pg_snapshot_xmax($1::pg_snapshot) = pg_snapshot_xmax(horizon)
                  and exists (select pg_snapshot_xip($1::pg_snapshot) except select pg_snapshot_xip(horizon)))
            from holdfast.invalidation_retention where horizon is not null) as missed,
         (select json_agg(json_build_array(id::text, cache, keys))
            from (select id, cache, keys from holdfast.invalidation
                   where xid >= pg_snapshot_xmax($1::pg_snapshot)
                      or xid = any (array(select pg_snapshot_xip($1::pg_snapshot)))
                   limit $2) unread) as unread`;

export interface BusReadRow {
  readonly snapshot: string;
  readonly lsn: string;
  readonly missed: boolean | null;
  readonly unread: readonly (readonly [id: string, cache: string, keys: readonly string[]])[] | null;
}

/** Parameter: a JSON array of `{cache, keys}`. */
export const busInsertSql = `
  insert into holdfast.invalidation (cache, keys)
  select word.cache, word.keys from jsonb_to_recordset($1::jsonb) as word (cache text, keys text[])`;

/** Moves the horizon when it is old enough. Parameter: milliseconds of retention. */
export const busMoveHorizonSql = `
  update holdfast.invalidation_retention
     set horizon = candidate, candidate = pg_current_snapshot(), candidate_at = clock_timestamp()
   where candidate_at < clock_timestamp() - $1 * interval '1 millisecond'`;

/** Deletes a bounded batch of what lies behind the committed horizon. */
export const busDeleteSql = `
  delete from holdfast.invalidation where ctid = any (array(
    select old.ctid from holdfast.invalidation old, holdfast.invalidation_retention
     where old.xid < pg_snapshot_xmax(horizon) and pg_visible_in_snapshot(old.xid, horizon)
     limit 5000))`;
