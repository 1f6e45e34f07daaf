/**
 * The handover: the target is made ready, the source leaves its name, and the map names the target.
 *
 * In between the shard is nowhere, for a few round trips; whoever asks is told to look again. The map's new row is
 * the one point of no return.
 */
import { HoldfastError } from "../../../call/index.ts";
import { flushed } from "../log-transaction.ts";
import { askInserted } from "../routing-position.ts";
import type { PgSession } from "../session.ts";
import { readShardMap } from "../shard-map-store.ts";
import { type PlainPlace, placeFrom, plainPlace, type ShardPlace } from "../shard-place.ts";
import { ident, literal, type MoveContext, onHome, onSource, onTarget } from "./move-context.ts";
import { unfence } from "./move-fence.ts";
import { inTransaction, type MoveData } from "./move-record.ts";

/** What the handover has settled: the place that the map is to have, and how far the source's log was. */
export interface HandedOver {
  readonly place: PlainPlace;
  readonly leftAt: NonNullable<MoveData["leftAt"]>;
}

/** Everything of the source has arrived: numbers go on where they were, and the new place gets its name. */
export async function handOver(context: MoveContext): Promise<HandedOver> {
  const { move, nodes } = context;
  const { schema, schemaAfter } = move;
  const sequences = await onSource(context)((session) => readSequences(session, schema));
  const left = await onSource(context)(async ({ facts }) => ({
    node: move.source,
    line: await nodes
      .watch(move.source)
      .histories.lineOf(nodes.primary(move.source), facts.system, facts.timeline),
  }));
  // Writers are fenced: whoever reads this log is past all of the shard's changes here.
  const { system, timeline, lsn } = await onSource(context)(askInserted);
  const leftAt = { system, timeline, lsn: lsn.toString() };
  return onTarget(context)(async (session) => {
    const { rowCount: unnamed } = await session.send({
      text: "select from pg_namespace where nspname = $1",
      values: [schema],
    });
    if (unnamed === 1) {
      await unfence(context, session, schema);
      await inTransaction(session, async () => {
        // The streams' commits did not wait for the disk, nor for standbys: this one carries them.
        await session.send({ text: flushed });
        for (const { name, value, called } of sequences) {
          await session.send({
            text: `select setval(${literal(`${ident(schema)}.${ident(name)}`)}, ${value}, ${called})`,
          });
        }
        await session.send({ text: `alter schema ${ident(schema)} rename to ${ident(schemaAfter)}` });
      });
    }
    const floor = await askInserted(session);
    await standbysHave(context, session, "flush_lsn", targetStandbysMs);
    const place: ShardPlace = { node: move.target, schema: schemaAfter, floor, left };
    return { place: plainPlace(place), leftAt };
  });
}

/** How long standbys of the target may take to have all of it; those that lag more are no safe heirs. */
const targetStandbysMs = 5_000;
/** How long standbys of the source may take to forget; one that lags is found out by tokens and by the map's epoch. */
const sourceStandbysMs = 1_000;

/** From now on every statement that looks in the old place fails, on the primary, and on standbys as they replay it. */
export async function leave(context: MoveContext): Promise<void> {
  const { schema, schemaAfter } = context.move;
  await onSource(context)(async (session) => {
    await inTransaction(session, () =>
      session.send({ text: `alter schema ${ident(schema)} rename to ${ident(schemaAfter)}` }),
    );
    await standbysHave(context, session, "replay_lsn", sourceStandbysMs);
  });
}

/**
 * Names the target, in a map of the next epoch.
 *
 * @throws {HoldfastError} HOLDFAST_RESHARD_FAILED when the map has changed since
 */
export async function flip(context: MoveContext): Promise<void> {
  const { move } = context;
  const place = move.data.place as PlainPlace;
  await onHome(context)(async (home) => {
    const before = await readShardMap(home);
    const from = before?.places[move.shard];
    if (!before || from?.schema !== move.schema || from.node !== move.source) throw changedError(context);
    const epoch = before.epoch + 1;
    const places = before.places.with(move.shard, placeFrom(place));
    await inTransaction(home, async () => {
      await home.send({ text: flushed });
      await home.send({
        text: "insert into holdfast.shard_map (epoch, places, move) values ($1, $2, $3)",
        values: [epoch, JSON.stringify(places.map(plainPlace)), move.id],
      });
    });
    context.nodes.map.take({ epoch, places });
  });
}

/** Takes the handover back, as long as the map does not name the target: the source serves again. */
export async function undoHandOver(context: MoveContext): Promise<void> {
  const { schema, schemaAfter } = context.move;
  const rename = (session: PgSession) => renameBack(session, schemaAfter, schema);
  await onTarget(context)(rename);
  await onSource(context)(async (session) => {
    await rename(session);
    await unfence(context, session, schema);
  });
}

async function renameBack(session: PgSession, from: string, to: string): Promise<void> {
  const { rowCount } = await session.send({
    text: "select from pg_namespace where nspname = $1",
    values: [from],
  });
  if (rowCount === 0) return;
  await inTransaction(session, () =>
    session.send({ text: `alter schema ${ident(from)} rename to ${ident(to)}` }),
  );
}

interface SequenceValue {
  readonly name: string;
  readonly value: string;
  readonly called: boolean;
}

async function readSequences(session: PgSession, schema: string): Promise<SequenceValue[]> {
  const { rows: names } = await session.send<{ name: string }>({
    text: "select relname as name from pg_class where relnamespace = to_regnamespace($1) and relkind = 'S'",
    values: [schema],
  });
  const values: SequenceValue[] = [];
  for (const { name } of names) {
    const { rows } = await session.send<{ value: string; called: boolean }>({
      text: `select last_value::text as value, is_called as called from ${ident(schema)}.${ident(name)}`,
    });
    const row = rows[0];
    if (row) values.push({ name, ...row });
  }
  return values;
}

/** Waits until every standby that streams has what the primary has now, for so long at most. */
async function standbysHave(
  { clock }: MoveContext,
  session: PgSession,
  column: "flush_lsn" | "replay_lsn",
  waitMs: number,
): Promise<void> {
  const { rows } = await session.send<{ lsn: string }>({ text: "select pg_current_wal_flush_lsn() as lsn" });
  const untilMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const { rowCount: behind } = await session.send({
      text: `select from pg_stat_replication r
        where coalesce(${column} < $1::pg_lsn, true)
          and not exists (select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`,
      values: [rows[0]?.lsn],
    });
    if (behind === 0 || clock.monotonicMs() >= untilMs) return;
    await clock.sleep(5);
  }
}

function changedError({ move }: MoveContext): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `The map does not have shard ${move.shard} on ${move.source} any more: somebody else has changed it. \`holdfast reshard --abort\` gives this move up.`,
    { permanent: true, data: { shard: move.shard } },
  );
}
