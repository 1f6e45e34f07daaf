/** A feed's slot on a node: what became of it, making one, and reading rows at the very point where one begins. */
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import type { PgSession } from "../session.ts";
import { parseLsn } from "../timeline.ts";
import { connectReplication, cutOff, type ReplicationClient } from "./replication-client.ts";

export type FeedSlot =
  | { readonly state: "none" }
  /** The server no longer has the log behind it. */
  | { readonly state: "lost"; readonly why: string }
  | { readonly state: "there"; readonly confirmed: bigint; readonly active: boolean };

export async function readFeedSlot(session: PgSession, name: string): Promise<FeedSlot> {
  // Through JSON, because columns came with versions: 16 `conflicting`, 17 `invalidation_reason` and `synced`.
  const { rows } = await session.send<{
    status: string | null;
    reason: string | null;
    conflicting: boolean;
    confirmed: string | null;
    active: boolean;
    plugin: string | null;
    here: boolean;
  }>({
    text: `select wal_status as status, to_jsonb(s) ->> 'invalidation_reason' as reason,
        coalesce((to_jsonb(s) ->> 'conflicting')::bool, false) as conflicting,
        confirmed_flush_lsn::text as confirmed, active, plugin, database = current_database() as here
      from pg_replication_slots s where slot_name = $1`,
    values: [name],
  });
  const row = rows[0];
  if (!row) return { state: "none" };
  if (row.status === "lost" || row.reason || row.conflicting)
    return { state: "lost", why: row.reason ?? "the server has removed the log behind it" };
  if (row.plugin !== "pgoutput" || !row.here || row.confirmed === null)
    return { state: "lost", why: "a slot of that name is somebody else's" };
  return { state: "there", confirmed: parseLsn(row.confirmed), active: row.active };
}

export async function dropFeedSlot(session: PgSession, name: string): Promise<void> {
  await session.send({
    text: `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots
      where slot_name = $1 and active_pid is not null`,
    values: [name],
  });
  await session.send({
    text: "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1",
    values: [name],
  });
}

export interface SlotOn {
  readonly endpoint: PostgresEndpoint;
  readonly major: number;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Makes the slot. It survives a failover to a standby that synchronizes slots, from Postgres 17 on.
 *
 * Waits for every transaction that is under way on the server, prepared ones included: a slot begins between them.
 *
 * @returns where it begins
 */
export async function makeFeedSlot(on: SlotOn, name: string): Promise<bigint> {
  const failover = on.major >= 17 ? ", FAILOVER true" : "";
  return withReplication(on, async (client) => {
    const { rows } = await client.query<{ consistent_point: string }>(
      `CREATE_REPLICATION_SLOT "${name}" LOGICAL pgoutput (SNAPSHOT 'nothing'${failover})`,
    );
    return parseLsn(rows[0]?.consistent_point as string);
  });
}

export interface ExportedSnapshot {
  /** Shows what was committed before this location, and nothing else. */
  readonly lsn: bigint;
  /** For SET TRANSACTION SNAPSHOT, as long as it is not released. */
  readonly name: string;
  release(): void;
}

/** A snapshot whose place in the log is known: that of a slot which is made for it, and goes with its connection. */
export async function exportSnapshot(on: SlotOn, slot: string): Promise<ExportedSnapshot> {
  const client = await connectReplication(on.endpoint, on.applicationName, on.clock);
  const cut = () => cutOff(client);
  on.signal.addEventListener("abort", cut, { once: true });
  const release = () => {
    on.signal.removeEventListener("abort", cut);
    cut();
  };
  try {
    const { rows } = await client.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT "${slot}" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')`,
    );
    const row = rows[0];
    if (!row) throw new Error("the server made a slot and said nothing about it");
    return { lsn: parseLsn(row.consistent_point), name: row.snapshot_name, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function withReplication<T>(
  { endpoint, applicationName, clock, signal }: SlotOn,
  run: (client: ReplicationClient) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = await connectReplication(endpoint, applicationName, clock);
  const cut = () => cutOff(client);
  signal.addEventListener("abort", cut, { once: true });
  try {
    return await run(client);
  } finally {
    signal.removeEventListener("abort", cut);
    cut();
  }
}

/** What the beginning of a slot waits for, in words; empty when nothing holds it up. */
export async function whoHoldsUp(session: PgSession): Promise<string[]> {
  const { rows } = await session.send<{ who: string }>({
    text: `select format('prepared transaction %s of database %s, since %s', quote_literal(gid), database, prepared::timestamptz(0)) as who
        from pg_prepared_xacts
      union all
      select format('transaction of pid %s (%s), since %s', pid, application_name, xact_start::timestamptz(0))
        from pg_stat_activity
       where backend_xid is not null and pid <> pg_backend_pid() and xact_start < clock_timestamp() - interval '1 second'`,
  });
  return rows.map((row) => row.who);
}
