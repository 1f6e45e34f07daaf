/**
 * The fence: from one moment on, nobody writes to a shard where it was.
 *
 * One transaction locks the shard's tables, which waits for every writer that has begun, sets a trigger on each that
 * refuses whoever comes behind, and raises the mark, which is therefore the last thing that the stream brings. REVOKE
 * would not do: it does not stop a transaction that is open. Writers queue behind a lock that waits, so that it gives
 * up soon and tries again.
 */
import { HoldfastError } from "../../../call/index.ts";
import { fullJitterMs } from "../../../resilience/index.ts";
import type { PgSession } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";
import { movedSqlState } from "../shard-moved.ts";
import { ident, type MoveContext } from "./move-context.ts";
import { shardTables, tableList } from "./move-tables.ts";

const triggerName = "holdfast_moved";

const lockMs = 150;
const lockTries = 200;
const backoff = { baseMs: 50, capMs: 500 } as const;

export async function readMark(session: PgSession, mark: number): Promise<number | undefined> {
  const { rows } = await session.send<{ mark: number }>({
    text: "select mark from holdfast.shard_mark where move = $1",
    values: [mark],
  });
  return rows[0]?.mark;
}

export async function isFenced(session: PgSession, schemas: readonly string[]): Promise<boolean> {
  const { rowCount } = await session.send({
    text: `select from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      where t.tgname = $1 and n.nspname = any ($2) limit 1`,
    values: [triggerName, schemas],
  });
  return (rowCount ?? 0) > 0;
}

/**
 * Runs `run` in a transaction on the shard's primary while nobody else writes to its tables.
 *
 * @throws {HoldfastError} HOLDFAST_RESHARD_FAILED when somebody held a table all the time; it names who
 */
export async function whileQuiet<T>(
  context: MoveContext,
  session: PgSession,
  schema: string,
  run: () => Promise<T>,
): Promise<T> {
  const tables = await shardTables(session, schema);
  for (let attempt = 1; ; attempt++) {
    try {
      await session.send({
        text: `begin read write; set local lock_timeout to ${lockMs};
          lock table ${tableList(schema, tables)} in share row exclusive mode`,
      });
      const value = await run();
      await session.send({ text: "commit" });
      return value;
    } catch (error) {
      await session.send({ text: "rollback" }).catch(() => session.taint());
      const state = sqlStateOf(error);
      // Nobody got out of the way in time, or it stood crosswise to a writer.
      if (state !== "55P03" && state !== "40P01") throw error;
      if (attempt >= lockTries) throw await heldError(session, schema, error);
      await context.clock.sleep(
        fullJitterMs(Math.min(attempt, 6), context.clock.random.next(), backoff),
        context.signal,
      );
    }
  }
}

export function raiseMark(session: PgSession, mark: number): Promise<unknown> {
  return session.send({
    text: `insert into holdfast.shard_mark (move, mark) values (${mark}, 1)
      on conflict (move) do update set mark = shard_mark.mark + 1`,
  });
}

export async function fence(
  context: MoveContext,
  session: PgSession,
  schema: string,
  mark: number,
): Promise<void> {
  const tables = await shardTables(session, schema);
  const raise = `raise exception using errcode = '${movedSqlState}',
    message = 'shard ${context.move.shard} is handed over to ${context.move.target.replaceAll("'", "''")}'`;
  const triggers = tables.map(
    ({ name }) => `create or replace trigger ${triggerName}
      before insert or update or delete or truncate on ${ident(schema)}.${ident(name)}
      for each statement execute function ${ident(schema)}.${triggerName}()`,
  );
  await whileQuiet(context, session, schema, async () => {
    await session.send({
      text: `create or replace function ${ident(schema)}.${triggerName}() returns trigger language plpgsql
        as $fence$ begin ${raise}; end $fence$;\n${triggers.join(";\n")}`,
    });
    await raiseMark(session, mark);
  });
}

/** Takes the triggers away; behind it the shard's tables can be written to. */
export async function unfence(context: MoveContext, session: PgSession, schema: string): Promise<void> {
  if (!(await isFenced(session, [schema]))) return;
  await whileQuiet(context, session, schema, () =>
    // The function takes the triggers that call it along.
    session.send({ text: `drop function if exists ${ident(schema)}.${triggerName}() cascade` }),
  );
}

async function heldError(session: PgSession, schema: string, cause: unknown): Promise<HoldfastError> {
  const { rows } = await session.send<{ pid: number; name: string; since: string }>({
    text: `select distinct a.pid, a.application_name as name, a.xact_start::text as since
      from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
      where c.relnamespace = to_regnamespace($1) and l.granted and l.pid <> pg_backend_pid()
        and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
    values: [schema],
  });
  const who = rows.map((row) => `pid ${row.pid} (${row.name}, since ${row.since})`).join(", ");
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `The tables of schema "${schema}" were never free for a moment: held by ${who || "somebody who has just left"}. End those transactions, and run \`holdfast reshard\` again; the shard serves where it was.`,
    { data: { schema, holders: rows.map((row) => row.pid) }, cause },
  );
}
