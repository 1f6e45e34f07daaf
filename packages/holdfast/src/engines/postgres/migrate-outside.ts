/**
 * Runs a statement outside a transaction so that a run that is killed at any point can be gone on with.
 *
 * | killed                          | what the next run finds                | and does                        |
 * |---------------------------------|----------------------------------------|---------------------------------|
 * | before it was noted as begun    | nothing                                | runs it                         |
 * | while it ran                    | begun; an invalid index, a pending one | takes that away, runs it anew   |
 * | after it, before it was recorded | begun; all is there                   | records it                      |
 *
 * These statements wait for transactions that are older than they are, and stop nobody meanwhile: no `lock_timeout`
 * cuts them short.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import { quoted } from "./lock-rules/finding.ts";
import { blockedError, failedError, isLockTrouble } from "./migrate-error.ts";
import type { MigrationFile } from "./migrate-files.ts";
import type { OutsideStatement } from "./migrate-outside-statement.ts";
import { recordSql } from "./migrate-record.ts";
import type { PgSession } from "./session.ts";

export interface OutsideWork {
  readonly shard: number;
  readonly schema: string;
  readonly file: MigrationFile;
  readonly statement: OutsideStatement;
  readonly clock: Clock;
  readonly retriesMax: number;
}

const backoff = { baseMs: 100, capMs: 5_000 } as const;

/** @param session whose settings are its holder's own; it is left as migrations in transactions want it */
export async function applyOutside(session: PgSession, work: OutsideWork): Promise<void> {
  const { shard, schema, file, clock } = work;
  try {
    await session.send({
      text: `set default_transaction_read_only to off; set search_path to ${schema}, public; set lock_timeout to 0`,
    });
    let begunBefore = await noteBegun(session, work);
    for (let attempt = 1; ; attempt++) {
      try {
        await runOnce(session, work, begunBefore);
        break;
      } catch (error) {
        if (!isLockTrouble(error)) throw error;
        if (attempt > work.retriesMax)
          throw blockedError(shard, file, { attempts: attempt, lockTimeoutMs: 0, blockers: [] }, error);
        begunBefore = true;
        await clock.sleep(fullJitterMs(attempt, clock.random.next(), backoff));
      }
    }
    await session.send({ text: "begin read write" });
    await session.send(recordSql(schema, file));
    await session.send({
      text: `delete from ${schema}.holdfast_migration_begun where number = ${file.number}`,
    });
    await session.send({ text: "commit" });
    await session.send({ text: "set default_transaction_read_only to on; reset lock_timeout" });
  } catch (error) {
    if (error instanceof HoldfastError && error.code.startsWith("HOLDFAST_MIGRATION_")) throw error;
    throw failedError(shard, file, error as HoldfastError);
  }
}

/** A table of its own: to an older library a row in `holdfast_migration` means that the file is done. */
async function noteBegun(session: PgSession, { schema, file }: OutsideWork): Promise<boolean> {
  await session.send({
    text: `create table if not exists ${schema}.holdfast_migration_begun (
      number int primary key, name text not null, begun_at timestamptz not null default now())`,
  });
  const { rowCount } = await session.send({
    text: `insert into ${schema}.holdfast_migration_begun (number, name) values ($1, $2) on conflict do nothing`,
    values: [file.number, file.name],
  });
  return rowCount === 0;
}

async function runOnce(
  session: PgSession,
  { shard, file, statement }: OutsideWork,
  begunBefore: boolean,
): Promise<void> {
  if (begunBefore && (await isDone(session, statement))) return;
  await session.send({ text: file.sql });
  // IF NOT EXISTS passes over an index that somebody else left invalid.
  if (statement.kind === "create-index" && statement.orNot) {
    const index = await indexState(session, statement);
    if (index?.valid === false) throw invalidError(shard, file, index.name);
  }
}

/** Whether a run before had got to the end; takes away what it left half made. */
async function isDone(session: PgSession, statement: OutsideStatement): Promise<boolean> {
  switch (statement.kind) {
    case "create-index": {
      const index = await indexState(session, statement);
      if (index && !index.valid) await session.send({ text: `drop index concurrently ${index.name}` });
      return index?.valid === true;
    }
    case "drop-index":
      return (await oidOf(session, statement.index)) === null;
    case "reindex": {
      for (const name of await leftByReindex(session, statement))
        await session.send({ text: `drop index concurrently if exists ${name}` });
      return false;
    }
    case "detach": {
      const { rows } = await session.send<{ pending: boolean }>({
        text: "select inhdetachpending as pending from pg_inherits where inhrelid = to_regclass($1) and inhparent = to_regclass($2)",
        values: [statement.partition, statement.table],
      });
      if (rows[0]?.pending)
        await session.send({
          text: `alter table ${statement.table} detach partition ${statement.partition} finalize`,
        });
      return rows[0] === undefined || rows[0].pending;
    }
    case "vacuum":
      return false;
  }
}

/** An index lives in the schema of its table. */
async function indexState(
  session: PgSession,
  { index, table }: Extract<OutsideStatement, { kind: "create-index" }>,
): Promise<{ readonly name: string; readonly valid: boolean } | undefined> {
  const { rows } = await session.send<{ schema: string; valid: boolean }>({
    text: `select n.nspname as schema, i.indisvalid as valid
      from pg_class c join pg_index i on i.indexrelid = c.oid join pg_namespace n on n.oid = c.relnamespace
      where c.relname = $1 and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass($2))`,
    values: [index, table],
  });
  const found = rows[0];
  return found && { name: `${quoted(found.schema)}.${quoted(index)}`, valid: found.valid };
}

async function oidOf(session: PgSession, name: string): Promise<string | null> {
  const { rows } = await session.send<{ oid: string | null }>({
    text: "select to_regclass($1)::oid::text as oid",
    values: [name],
  });
  return rows[0]?.oid ?? null;
}

/** REINDEX CONCURRENTLY names what it builds `…_ccnew`, and what it replaces `…_ccold`. */
async function leftByReindex(
  session: PgSession,
  { what, isIndex }: Extract<OutsideStatement, { kind: "reindex" }>,
): Promise<string[]> {
  const { rows } = await session.send<{ name: string }>({
    text: `select format('%I.%I', n.nspname, c.relname) as name
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
        and i.indrelid = case when $2 then (select indrelid from pg_index where indexrelid = to_regclass($1))
          else to_regclass($1) end`,
    values: [what, isIndex],
  });
  return rows.map(({ name }) => name);
}

function invalidError(shard: number, file: MigrationFile, index: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_MIGRATION_FAILED",
    `${file.name}: shard ${shard} has an index ${index} that is invalid and was not begun by this file, so IF NOT EXISTS passed over it. See that nobody is building it, \`drop index concurrently ${index}\`, and migrate again.`,
    { data: { shard, file: file.name, index } },
  );
}
