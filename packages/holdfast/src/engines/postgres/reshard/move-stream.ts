/**
 * The streams of a move: logical replication of one shard's tables from one node to another, forth, and back.
 *
 * Along with the shard's own tables go the rows that the framework keeps of it elsewhere: its idempotency keys (of
 * which only inserts are sent: the server that gets them empties its markers itself), and the move's mark.
 *
 * Names are fixed before anything is made, and slots are made on their own, so that whatever a killed process left is
 * found by its name.
 */
import type { PostgresEndpoint } from "../config.ts";
import type { PgSession } from "../session.ts";
import { ident, literal } from "./move-context.ts";
import { inTransaction } from "./move-record.ts";
import { copiedTables, shardTables } from "./move-tables.ts";

export interface Stream {
  /** Of publication, slot and subscription. */
  readonly name: string;
  readonly shard: number;
  /** The shard's schema on both sides. */
  readonly schema: string;
  readonly mark: number;
}

export type SlotState = "none" | "there" | "lost";
export type SubscriptionState = "none" | "copying" | "streaming" | "failed";

const keysOf = (name: string) => `${name}_keys`;

export async function publish(session: PgSession, { name, shard, schema, mark }: Stream): Promise<void> {
  const tables = copiedTables(await shardTables(session, schema)).map(
    (table) => `${ident(schema)}.${ident(table.name)}`,
  );
  const keys = [0, 1, 2].map(
    (slot) => `holdfast.marker_${slot} where (shard = ${shard} and idempotency_key is not null)`,
  );
  await inTransaction(session, async () => {
    await session.send({
      text: `insert into holdfast.shard_mark (move) values (${mark}) on conflict do nothing`,
    });
    await session.send({
      text: `drop publication if exists ${ident(name)}; drop publication if exists ${ident(keysOf(name))};
        create publication ${ident(name)} for table ${[...tables, `holdfast.shard_mark where (move = ${mark})`].join(", ")};
        create publication ${ident(keysOf(name))} for table ${keys.join(", ")} with (publish = 'insert')`,
    });
  });
}

export async function isPublished(session: PgSession, name: string): Promise<boolean> {
  const { rowCount } = await session.send({
    text: "select from pg_publication where pubname = any ($1)",
    values: [[name, keysOf(name)]],
  });
  return rowCount === 2;
}

export async function unpublish(session: PgSession, name: string): Promise<void> {
  await inTransaction(session, () =>
    session.send({
      text: `drop publication if exists ${ident(name)}; drop publication if exists ${ident(keysOf(name))}`,
    }),
  );
}

/** Waits for the transactions that run now: a slot begins between transactions. */
export async function makeSlot(session: PgSession, name: string): Promise<void> {
  await session.send({
    text: "select pg_create_logical_replication_slot($1, 'pgoutput')",
    values: [name],
  });
}

export async function slotState(session: PgSession, name: string): Promise<SlotState> {
  const { rows } = await session.send<{ lost: boolean }>({
    text: "select coalesce(wal_status = 'lost', false) as lost from pg_replication_slots where slot_name = $1",
    values: [name],
  });
  if (!rows[0]) return "none";
  return rows[0].lost ? "lost" : "there";
}

/** With the slots of its copies, which a subscription that was dropped without its publisher leaves. */
export async function dropSlots(session: PgSession, names: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.send({
        text: `select pg_terminate_backend(active_pid) from pg_replication_slots
          where slot_name = any ($1) and active_pid is not null`,
        values: [names],
      });
      await session.send({
        text: "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = any ($1)",
        values: [names],
      });
      return;
    } catch (error) {
      // Its sender is just ending.
      if (attempt === slotTries) throw error;
      await session.send({ text: "select pg_sleep(0.1)" });
    }
  }
}

const slotTries = 50;

/**
 * It tries again for ever, because a publisher that restarts is an error like any other to it.
 *
 * @param from where the publisher is, as the subscribing server reaches it
 * @param start copies all that is there; or begins behind a location of the publisher's log, without a copy. A slot's
 *   own position would not do for that: a crash takes it back
 */
export async function subscribe(
  session: PgSession,
  name: string,
  from: PostgresEndpoint,
  start: "copy" | bigint,
): Promise<void> {
  const copies = start === "copy";
  await inTransaction(session, async () => {
    await session.send({
      text: `create subscription ${ident(name)} connection ${literal(connectionString(from, name))}
        publication ${ident(name)}, ${ident(keysOf(name))}
        with (create_slot = false, slot_name = ${literal(name)}, copy_data = ${copies}, enabled = ${copies})`,
    });
    if (copies) return;
    await session.send({
      text: `select pg_replication_origin_advance('pg_' || oid, $2::pg_lsn) from pg_subscription
        where subname = $1 and subdbid = (select oid from pg_database where datname = current_database())`,
      values: [name, lsnText(start)],
    });
    await session.send({ text: `alter subscription ${ident(name)} enable` });
  });
}

/** `16/B374D848` */
function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

export async function subscriptionState(session: PgSession, name: string): Promise<SubscriptionState> {
  const { rows } = await session.send<{ enabled: boolean; tables: number; ready: number }>({
    text: `select s.subenabled as enabled, count(r.srrelid)::int as tables,
        count(*) filter (where r.srsubstate = 'r')::int as ready
      from pg_subscription s left join pg_subscription_rel r on r.srsubid = s.oid
      where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database())
      group by s.oid, s.subenabled`,
    values: [name],
  });
  const row = rows[0];
  if (!row) return "none";
  if (!row.enabled) return "failed";
  return row.ready === row.tables ? "streaming" : "copying";
}

/** A worker that fails is started again: one that does so more often has a reason that does not pass. */
export const streamErrorsMax = 20;

/** How often its workers have failed since it was made, for whatever reason. */
export async function streamErrors(session: PgSession, name: string): Promise<number> {
  const { rows } = await session.send<{ errors: number }>({
    text: `select (apply_error_count + sync_error_count)::int as errors
      from pg_stat_subscription_stats where subname = $1`,
    values: [name],
  });
  return rows[0]?.errors ?? 0;
}

/** Also when the publisher cannot be reached. @returns the slots that are left there */
export async function unsubscribe(session: PgSession, name: string): Promise<string[]> {
  const { rows } = await session.send<{ slot: string }>({
    text: `select 'pg_' || s.oid || '_sync_' || r.srrelid || '_' || (select system_identifier from pg_control_system()) as slot
      from pg_subscription s join pg_subscription_rel r on r.srsubid = s.oid and r.srsubstate <> 'r'
      where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database())`,
    values: [name],
  });
  if ((await subscriptionState(session, name)) !== "none") {
    await inTransaction(session, () =>
      session.send({
        text: `alter subscription ${ident(name)} disable; alter subscription ${ident(name)} set (slot_name = none)`,
      }),
    );
    await inTransaction(session, () => session.send({ text: `drop subscription if exists ${ident(name)}` }));
  }
  return [...rows.map((row) => row.slot), name];
}

function connectionString(
  { host, port, database, user, password }: PostgresEndpoint,
  application: string,
): string {
  const fields = {
    host,
    port: String(port),
    dbname: database,
    user,
    password,
    application_name: application,
    keepalives_idle: "10",
    keepalives_interval: "5",
    keepalives_count: "3",
  };
  return Object.entries(fields)
    .map(([field, value]) => `${field}='${value.replace(/[\\']/g, "\\$&")}'`)
    .join(" ");
}
