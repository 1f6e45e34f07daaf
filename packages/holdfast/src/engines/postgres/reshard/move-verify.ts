/**
 * Are all rows there? Compared on both nodes at one and the same point of the source's history, while writers go on.
 *
 * For the source that point is a moment in which nobody writes: a snapshot is taken while the tables are locked, for
 * as long as that takes, and the mark is raised behind it. For the target it is the moment before that mark arrives:
 * this process holds the table of marks there, so that the stream stands still right in front of it, and takes its
 * snapshot. Then both go on, and rows are counted and hashed in the two snapshots, in no order.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { PgSession } from "../session.ts";
import { ident, lookUntil, type MoveContext, onSource, onTarget } from "./move-context.ts";
import { raiseMark, readMark, whileQuiet } from "./move-fence.ts";
import { inTransaction } from "./move-record.ts";
import { streamErrors, streamErrorsMax } from "./move-stream.ts";
import { copiedTables, shardTables } from "./move-tables.ts";

const beginSnapshot = `begin isolation level repeatable read read only; set local timezone to 'UTC';
  set local datestyle to 'ISO, YMD'; set local intervalstyle to 'postgres'; set local extra_float_digits to 1;
  set local bytea_output to 'hex'; set local search_path to pg_catalog; select 1`;

export interface Verified {
  readonly tables: number;
  readonly rows: string;
}

/**
 * @returns `undefined` when what was written lately has not arrived yet: whether it can is to be looked at anew
 * @throws {HoldfastError} HOLDFAST_RESHARD_FAILED when they differ, with every table that does
 */
export async function verifyCopy(context: MoveContext): Promise<Verified | undefined> {
  if (!(await caughtUp(context))) return undefined;
  return onSource(context)((source) =>
    onTarget(context)(async (target) => {
      if (isStrange(context, source, target)) return undefined;
      try {
        await atOnePoint(context, source, target);
        return await compare(context, source, target);
      } finally {
        // They are in the middle of a snapshot if something went wrong.
        for (const session of [source, target]) {
          if (!session.ended && session.transactionStatus !== "I")
            await session.send({ text: "rollback" }).catch(() => session.taint());
          session.forgetSchema();
        }
      }
    }),
  );
}

/** Whether a server is not the one that the copy began on: a copy that it has only in part is no fault of the copy. */
function isStrange({ move }: MoveContext, source: PgSession, target: PgSession): boolean {
  const { began } = move.data;
  return (
    began !== undefined &&
    (began.source.timeline !== source.facts.timeline || began.target.timeline !== target.facts.timeline)
  );
}

/** Waits a while until what is written now arrives. @returns whether it has */
async function caughtUp(context: MoveContext): Promise<boolean> {
  const { move, clock } = context;
  const untilMs = clock.monotonicMs() + arriveMsMax;
  const wanted = await onSource(context)(async (session) => {
    await inTransaction(session, () => raiseMark(session, move.mark));
    return (await readMark(session, move.mark)) ?? 0;
  });
  return lookUntil(context, 20, () =>
    onTarget(context)(async (session) => {
      if (((await readMark(session, move.mark)) ?? 0) >= wanted) return true;
      if ((await streamErrors(session, move.stream)) > streamErrorsMax) throw behindError(context);
      return clock.monotonicMs() > untilMs ? false : undefined;
    }),
  );
}

/** Begins a transaction on each, with snapshots of the same state. */
async function atOnePoint(context: MoveContext, source: PgSession, target: PgSession): Promise<void> {
  const { move } = context;
  await onTarget(context)(async (gate) => {
    await gate.send({
      text: "begin read write; lock table holdfast.shard_mark in exclusive mode",
    });
    try {
      await onSource(context)((writer) =>
        whileQuiet(context, writer, move.schema, async () => {
          await source.send({ text: beginSnapshot });
          await raiseMark(writer, move.mark);
        }),
      );
      const untilMs = context.clock.monotonicMs() + gateMsMax;
      await lookUntil(context, 5, async () => {
        if (context.clock.monotonicMs() > untilMs) throw cutError(context);
        const { rowCount } = await gate.send({
          text: `select from pg_locks l join pg_stat_subscription s on s.pid = l.pid
            where s.subname = $1 and l.relation = 'holdfast.shard_mark'::regclass and not l.granted`,
          values: [move.stream],
        });
        return (rowCount ?? 0) > 0 ? true : undefined;
      });
      await target.send({ text: beginSnapshot });
    } finally {
      await gate.send({ text: "rollback" }).catch(() => gate.taint());
    }
  });
}

/** How long a mark is waited for, in milliseconds, before what is there is looked at anew. */
const arriveMsMax = 3_000;

/** How long the gate may be shut, in milliseconds: other moves to this node wait behind it as well. */
const gateMsMax = 10_000;

/** A server has gone away, or was replaced: what is there is looked at again. */
function cutError({ move }: MoveContext): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The stream of shard ${move.shard} from ${move.source} to ${move.target} brings nothing just now.`,
    { data: { shard: move.shard } },
  );
}

function behindError({ move }: MoveContext): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `What is written to shard ${move.shard} does not arrive on ${move.target}: its worker fails again and again, and the log of that server says why (subscription "${move.stream}"). A table that was changed outside of the migrations is the usual reason.`,
    { data: { shard: move.shard, subscription: move.stream } },
  );
}

interface Digest {
  readonly rows: string;
  readonly hash: string;
}

async function compare(context: MoveContext, source: PgSession, target: PgSession): Promise<Verified> {
  const { schema, shard, source: from, target: to } = context.move;
  const tables = copiedTables(await shardTables(source, schema));
  const problems: string[] = [];
  let rows = 0n;
  for (const { name } of tables) {
    context.signal?.throwIfAborted();
    const columns = await columnsOf(source, schema, name);
    const [here, there] = await Promise.all([
      digest(source, schema, name, columns),
      digest(target, schema, name, columns),
    ]);
    rows += BigInt(here.rows);
    if (here.rows !== there.rows)
      problems.push(`${name}: ${here.rows} rows on ${from}, ${there.rows} on ${to}`);
    else if (here.hash !== there.hash)
      problems.push(`${name}: ${here.rows} rows on both, but their contents differ`);
  }
  if (problems.length > 0) {
    throw new HoldfastError(
      "HOLDFAST_RESHARD_FAILED",
      `Shard ${shard}: the copy on ${to} is not what is on ${from}:${problems.map((problem) => `\n  - ${problem}`).join("")}\nThe shard serves where it was. \`holdfast reshard --abort\` throws the copy away; then move it again.`,
      { permanent: true, data: { shard, problems } },
    );
  }
  return { tables: tables.length, rows: rows.toString() };
}

/** By name, because two tables alike may have been altered in another order. */
async function columnsOf(session: PgSession, schema: string, table: string): Promise<string[]> {
  const { rows } = await session.send<{ name: string }>({
    text: `select attname as name from pg_attribute
      where attrelid = format('%I.%I', $1::text, $2::text)::regclass and attnum > 0 and not attisdropped
      order by attname`,
    values: [schema, table],
  });
  return rows.map((row) => row.name);
}

/** Their number, and the sum of the hashes of their texts: the same in whatever order they lie. */
async function digest(
  session: PgSession,
  schema: string,
  table: string,
  columns: readonly string[],
): Promise<Digest> {
  const row = columns.map((column) => `t.${ident(column)}`).join(", ");
  const { rows } = await session.send<Digest>({
    text: `select count(*)::text as rows, coalesce(sum(hashtextextended(row(${row})::text, 0)::numeric), 0)::text as hash
      from ${ident(schema)}.${ident(table)} t`,
  });
  return rows[0] as Digest;
}
