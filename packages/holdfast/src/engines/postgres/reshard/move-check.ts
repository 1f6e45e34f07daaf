/** What has to hold before a shard is moved: looked at on both nodes, and told all at once. */
import type { PgSession } from "../session.ts";
import type { MoveRecord } from "./move-record.ts";
import { migrationTable, type ShardTable, shardTables } from "./move-tables.ts";

export interface PlannedMove {
  readonly shard: number;
  readonly source: string;
  readonly target: string;
  readonly schema: string;
}

/** Slots and senders for the stream and two tables that are copied at a time; one more for the way back. */
const slotsNeeded = 4;
const workersNeeded = 4;

interface ServerState {
  readonly major: number;
  readonly version: string;
  readonly walLevel: string;
  readonly slotsFree: number;
  readonly slotsMax: number;
  readonly sendersFree: number;
  readonly sendersMax: number;
  readonly workersFree: number;
  readonly workersMax: number;
  readonly slotWal: string;
  readonly encoding: string;
  readonly superuser: boolean;
  readonly extensions: readonly string[];
  /** Without those of `together` that are under way: they end by themselves, and the beginning of a slot waits. */
  readonly prepared: readonly string[];
}

/** Of the servers, whatever shards are moved between them. */
export async function serverProblems(
  source: PgSession,
  target: PgSession,
  { source: from, target: to }: Pick<PlannedMove, "source" | "target">,
): Promise<string[]> {
  const [here, there] = await Promise.all([stateOf(source), stateOf(target)]);
  const problems: string[] = [];
  const add = (wrong: boolean, problem: string) => wrong && problems.push(problem);
  for (const [name, state] of [
    [from, here],
    [to, there],
  ] as const) {
    add(
      state.walLevel !== "logical",
      `${name}: wal_level is ${state.walLevel}; set it to logical, and restart the server`,
    );
    add(
      state.slotWal === "-1",
      `${name}: max_slot_wal_keep_size is -1, so that a move which stands still would fill the disk; set it, to 1GB for example, and reload`,
    );
    add(
      state.slotsFree < slotsNeeded,
      `${name}: ${state.slotsFree} replication slots are free of max_replication_slots ${state.slotsMax}, and ${slotsNeeded} are needed; finish earlier moves (holdfast reshard --finish), or raise it and restart`,
    );
    add(
      state.sendersFree < slotsNeeded,
      `${name}: ${state.sendersFree} senders are free of max_wal_senders ${state.sendersMax}, and ${slotsNeeded} are needed; finish earlier moves, or raise it and restart`,
    );
    add(
      state.workersFree < workersNeeded,
      `${name}: ${state.workersFree} workers are free of max_logical_replication_workers ${state.workersMax}, and ${workersNeeded} are needed; finish earlier moves, or raise it and restart`,
    );
    add(
      state.prepared.length > 0,
      `${name}: prepared transactions keep a copy from beginning: ${state.prepared.join(", ")}; those of Holdfast end by themselves, or \`holdfast status\` says why not; commit or roll back the others (COMMIT PREPARED, ROLLBACK PREPARED)`,
    );
    add(
      !state.superuser,
      `${name}: the user may neither subscribe nor see the log; give it superuser, or pg_create_subscription and replication`,
    );
  }
  add(
    there.major < here.major,
    `${to} runs Postgres ${there.version}, older than ${from} with ${here.version}; move only to the same major or a newer one`,
  );
  add(
    there.encoding !== here.encoding,
    `${to} stores text as ${there.encoding}, ${from} as ${here.encoding}; make the database with the same encoding`,
  );
  const missing = here.extensions.filter((extension) => !there.extensions.includes(extension));
  add(
    missing.length > 0,
    `${to}: extensions that ${from} has are missing: ${missing.join(", ")}; run CREATE EXTENSION there`,
  );
  return problems;
}

/** Of one shard. */
export async function shardProblems(
  source: PgSession,
  target: PgSession,
  move: PlannedMove,
  open: readonly MoveRecord[],
): Promise<string[]> {
  const { shard, schema, source: from, target: to } = move;
  const problems: string[] = [];
  const tables = await shardTables(source, schema);
  const named = (names: readonly string[]) => names.join(", ");
  if (tables.length === 0)
    problems.push(`shard ${shard}: there is no schema "${schema}" on ${from}; migrate first`);
  const unidentified = tables.filter(({ identified, name }) => !identified && name !== migrationTable);
  if (unidentified.length > 0)
    problems.push(
      `shard ${shard}: rows of ${named(unidentified.map(({ name }) => name))} cannot be told apart by others: no replica identity; add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL`,
    );
  const unlogged = tables.filter(({ logged }) => !logged);
  if (unlogged.length > 0)
    problems.push(
      `shard ${shard}: ${named(unlogged.map(({ name }) => name))} is not written to the log, so it cannot be followed; ALTER TABLE … SET LOGGED, or drop it`,
    );
  const pinned = await functionsWithPath(source, schema);
  if (pinned.length > 0)
    problems.push(
      `shard ${shard}: the functions ${named(pinned)} set a search_path of their own, and a moved shard's schema has another name; leave SET search_path out`,
    );
  const shadowed = await namesInPublic(source, tables);
  if (shadowed.length > 0)
    problems.push(
      `shard ${shard}: ${named(shadowed)} is in schema "public" too, where SQL of your own would find it once the shard has left; drop it there, or give it another name`,
    );
  const kept = open.find((known) => known.shard === shard && known.state === "kept");
  if (kept)
    problems.push(
      `shard ${shard}: move ${kept.id} from ${kept.source} can still be taken back; take it back (--back) or finish it (--finish) first`,
    );
  const { rowCount } = await target.send({
    text: "select from pg_namespace where nspname = $1",
    values: [schema],
  });
  if ((rowCount ?? 0) > 0 && !kept) {
    const rows = await rowsIn(target, schema);
    if (rows.length > 0)
      problems.push(
        `shard ${shard}: ${to} has a schema "${schema}" with rows in ${named(rows)} that no move knows of; save what you need of it, and drop it`,
      );
  }
  return problems;
}

/** What a search path would find in a shard's place. */
async function namesInPublic(session: PgSession, tables: readonly ShardTable[]): Promise<string[]> {
  const { rows } = await session.send<{ name: string }>({
    text: "select relname as name from pg_class where relnamespace = to_regnamespace('public') and relname = any($1) order by 1",
    values: [tables.map(({ name }) => name)],
  });
  return rows.map((row) => row.name);
}

async function functionsWithPath(session: PgSession, schema: string): Promise<string[]> {
  const { rows } = await session.send<{ name: string }>({
    text: `select proname as name from pg_proc where pronamespace = to_regnamespace($1)
      and exists (select from unnest(proconfig) setting where setting like 'search_path=%')`,
    values: [schema],
  });
  return rows.map((row) => row.name);
}

async function rowsIn(session: PgSession, schema: string): Promise<string[]> {
  const filled: string[] = [];
  for (const { name, kind } of await shardTables(session, schema)) {
    if (kind !== "r" || name === migrationTable) continue;
    const { rowCount } = await session.send({
      text: `select from "${schema.replaceAll('"', '""')}"."${name.replaceAll('"', '""')}" limit 1`,
    });
    if ((rowCount ?? 0) > 0) filled.push(name);
  }
  return filled;
}

async function stateOf(session: PgSession): Promise<ServerState> {
  const { rows } = await session.send<ServerState>({
    text: `select current_setting('server_version_num')::int / 10000 as major,
      current_setting('server_version') as version,
      current_setting('wal_level') as "walLevel",
      current_setting('max_replication_slots')::int - (select count(*) from pg_replication_slots)::int as "slotsFree",
      current_setting('max_replication_slots')::int as "slotsMax",
      current_setting('max_wal_senders')::int - (select count(*) from pg_stat_replication)::int as "sendersFree",
      current_setting('max_wal_senders')::int as "sendersMax",
      current_setting('max_logical_replication_workers')::int - (select count(*) from pg_stat_subscription where pid is not null)::int as "workersFree",
      current_setting('max_logical_replication_workers')::int as "workersMax",
      current_setting('max_slot_wal_keep_size') as "slotWal",
      current_setting('server_encoding') as encoding,
      (select rolsuper or (rolreplication and pg_has_role(current_user, 'pg_read_all_stats', 'usage'))
        from pg_roles where rolname = current_user) as superuser,
      array(select extname::text from pg_extension order by 1) as extensions,
      array(select gid from pg_prepared_xacts where database = current_database()
        and not (gid like 'holdfast:%' and prepared > now() - interval '10 seconds') order by 1) as prepared`,
  });
  return rows[0] as ServerState;
}
