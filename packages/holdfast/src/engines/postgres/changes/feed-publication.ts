/** A feed's publication on a node: which tables it has, and the server's fitness for it. */
import { HoldfastError } from "../../../call/index.ts";
import { ident, literal } from "../reshard/move-context.ts";
import { inTransaction } from "../reshard/move-record.ts";
import { type ShardTable, shardTables } from "../reshard/move-tables.ts";
import type { PgSession } from "../session.ts";
import { parseShardSchema } from "./feed-names.ts";
import { joinFeedsSql } from "./feed-sql.ts";

export interface PublishedFeed {
  readonly feed: string;
  readonly table: string;
  /** Of publication and slot. */
  readonly object: string;
}

/** Schemas of shards that have the table. */
async function shardsWith(session: PgSession, table: string): Promise<string[]> {
  const { rows } = await session.send<{ schema: string }>({
    text: `select n.nspname as schema from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relname = $1 and c.relkind in ('r', 'p') and n.nspname ~ '^s[0-9]+(_m[0-9]+)?$' order by length(n.nspname), 1`,
    values: [table],
  });
  return rows.map((row) => row.schema).filter((schema) => parseShardSchema(schema) !== undefined);
}

/**
 * Makes the publication where it is missing, and puts every shard's table into it that is not in it yet.
 *
 * @param again whether the tables' rows are told anyway: then none is noted as filled
 */
export async function publishFeed(
  session: PgSession,
  { feed, table, object }: PublishedFeed,
  again: boolean,
): Promise<void> {
  const schemas = await shardsWith(session, table);
  const { rows } = await session.send<{ major: number; there: boolean }>({
    text: `select current_setting('server_version_num')::int / 10000 as major,
      exists (select from pg_publication where pubname = $1) as there`,
    values: [object],
  });
  const { major = 15, there = false } = rows[0] ?? {};
  // What is computed and stored is part of what a read answers; older servers do not send it.
  const generated = major >= 18 ? ", publish_generated_columns = stored" : "";
  await inTransaction(session, async () => {
    await session.send({
      text: `set local lock_timeout to '2s';
        insert into holdfast.change_feed (feed, publication, table_name)
          values (${literal(feed)}, ${literal(object)}, ${literal(table)})
          on conflict (feed) do update set publication = excluded.publication, table_name = excluded.table_name
          where (change_feed.publication, change_feed.table_name) is distinct from (excluded.publication, excluded.table_name)`,
    });
    if (!there)
      await session.send({
        text: `create publication ${ident(object)} with (publish_via_partition_root = true${generated})`,
      });
    for (const schema of schemas) await session.send({ text: joinFeedsSql, values: [schema] });
    if (again)
      await session.send({ text: "delete from holdfast.change_joined where feed = $1", values: [feed] });
  });
}

export async function isPublished(session: PgSession, object: string): Promise<boolean> {
  const { rowCount } = await session.send({
    text: "select from pg_publication where pubname = $1",
    values: [object],
  });
  return rowCount === 1;
}

export async function unpublishFeed(session: PgSession, { feed, object }: PublishedFeed): Promise<void> {
  await inTransaction(session, () =>
    session.send({
      text: `drop publication if exists ${ident(object)};
        delete from holdfast.change_feed where feed = ${literal(feed)};
        delete from holdfast.change_joined where feed = ${literal(feed)}`,
    }),
  );
}

/** Schemas whose table had rows when it joined, taken once. */
export async function takeJoined(session: PgSession, feed: string): Promise<string[]> {
  const { rows } = await session.send<{ schema: string }>({
    text: "select schema_name as schema from holdfast.change_joined where feed = $1",
    values: [feed],
  });
  return rows.map((row) => row.schema);
}

export async function forgetJoined(
  session: PgSession,
  feed: string,
  schemas: readonly string[],
): Promise<void> {
  await inTransaction(session, () =>
    session.send({
      text: "delete from holdfast.change_joined where feed = $1 and schema_name = any ($2)",
      values: [feed, schemas],
    }),
  );
}

/** Slots: the feed's, and one for a while, by which rows are read. */
const slotsNeeded = 2;

/**
 * What keeps a server from telling changes, all at once.
 *
 * @param begun whether the feed has its slot already
 */
export async function feedProblems(
  session: PgSession,
  node: string,
  { table }: PublishedFeed,
  begun: boolean,
): Promise<string[]> {
  const { rows } = await session.send<{
    walLevel: string;
    slotWal: string;
    slotsFree: number;
    slotsMax: number;
    sendersFree: number;
    sendersMax: number;
    replicates: boolean;
    creates: boolean;
  }>({
    text: `select current_setting('wal_level') as "walLevel", current_setting('max_slot_wal_keep_size') as "slotWal",
      current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots)::int as "slotsFree",
      current_setting('max_replication_slots')::int as "slotsMax",
      current_setting('max_wal_senders')::int - (select count(*) from pg_stat_replication)::int as "sendersFree",
      current_setting('max_wal_senders')::int as "sendersMax",
      (select rolsuper or rolreplication from pg_roles where rolname = current_user) as replicates,
      has_database_privilege(current_database(), 'create') as creates`,
  });
  const state = rows[0];
  if (!state) return [`${node}: the server says nothing about itself`];
  const problems: string[] = [];
  const add = (wrong: boolean, problem: string) => wrong && problems.push(`${node}: ${problem}`);
  add(
    state.walLevel !== "logical",
    `wal_level is ${state.walLevel}; set it to logical, and restart the server`,
  );
  add(
    state.slotWal === "-1",
    "max_slot_wal_keep_size is -1, so that a relay which stands still would fill the disk; set it, to 1GB for example, and reload",
  );
  const slots = begun ? slotsNeeded - 1 : slotsNeeded;
  add(
    state.slotsFree < slots,
    `${state.slotsFree} replication slots are free of max_replication_slots ${state.slotsMax}, and ${slots} are needed; raise it and restart, or drop slots that nobody reads`,
  );
  add(
    state.sendersFree < slotsNeeded,
    `${state.sendersFree} senders are free of max_wal_senders ${state.sendersMax}, and ${slotsNeeded} are needed; raise it and restart`,
  );
  add(
    !state.replicates,
    "the relay's user may not replicate; ALTER ROLE … REPLICATION, or give the relay a user that may",
  );
  add(!state.creates, "the relay's user may not make publications; GRANT CREATE ON DATABASE … to it");
  problems.push(...(await tableProblems(session, node, table)));
  return problems;
}

async function tableProblems(session: PgSession, node: string, table: string): Promise<string[]> {
  const schemas = await shardsWith(session, table);
  if (schemas.length === 0) {
    const { rows } = await session.send<{ shards: number; names: string[] }>({
      text: `select count(distinct n.nspname)::int as shards,
          coalesce(array_agg(distinct c.relname::text) filter (where c.relname not like 'holdfast%'), '{}') as names
        from pg_namespace n left join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p')
        where n.nspname ~ '^s[0-9]+(_m[0-9]+)?$'`,
    });
    const { shards = 0, names = [] } = rows[0] ?? {};
    // A node without shards has none yet, and gets the table with the first.
    if (shards === 0) return [];
    return [
      `${node}: no shard has a table "${table}"; there are ${names.join(", ") || "none"}. Correct the name, or add the migration that makes it`,
    ];
  }
  const found: { readonly schema: string; readonly shape: ShardTable }[] = [];
  for (const schema of schemas) {
    const shape = (await shardTables(session, schema)).find(({ name }) => name === table);
    if (shape) found.push({ schema, shape });
  }
  const where = (wrong: (shape: ShardTable) => boolean) =>
    found.filter(({ shape }) => wrong(shape)).map(({ schema }) => schema);
  const keyless = where(({ kind, identified }) => kind === "r" && !identified);
  const unlogged = where(({ logged }) => !logged);
  const problems: string[] = [];
  if (keyless.length > 0)
    problems.push(
      `${node}: rows of "${table}" cannot be told apart by others in ${keyless.join(", ")}: no replica identity; add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL`,
    );
  if (unlogged.length > 0)
    problems.push(
      `${node}: "${table}" is not written to the log in ${unlogged.join(", ")}, so it cannot be followed; ALTER TABLE … SET LOGGED`,
    );
  return problems;
}

export function refusedError(feed: string, problems: readonly string[]): HoldfastError {
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  return new HoldfastError(
    "HOLDFAST_CHANGES_REFUSED",
    `Change feed "${feed}" cannot be read:${list}\nNothing was changed; it is looked at again, and begins once this is put right.`,
    { data: { feed, problems } },
  );
}
