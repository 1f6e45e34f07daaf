/** What each step of a move does. Each can be done again; `move-step.ts` says when. */
import { HoldfastError } from "../../../call/index.ts";
import type { PgSession } from "../session.ts";
import { ident, lookUntil, type MoveContext, onHome, onSource, onTarget } from "./move-context.ts";
import { lineOf } from "./move-facts.ts";
import { fence, readMark } from "./move-fence.ts";
import { flip, handOver, leave, undoHandOver } from "./move-handover.ts";
import { backOf, changeMove, inTransaction, type MoveRecord } from "./move-record.ts";
import { makeShard } from "./move-schema.ts";
import type { MoveAction } from "./move-step.ts";
import {
  dropSlots,
  makeSlot,
  publish,
  type Stream,
  slotState,
  streamErrors,
  streamErrorsMax,
  subscribe,
  subscriptionState,
  unpublish,
  unsubscribe,
} from "./move-stream.ts";
import { verifyCopy } from "./move-verify.ts";

/** How long what was written last may take to arrive, in milliseconds, before writers are let in again. */
const drainMsMax = 10_000;
const copyLookMs = 100;
/** How long a copy is watched, in milliseconds, before what is there is looked at anew. */
const copySliceMs = 2_000;

type Act = (context: MoveContext) => Promise<unknown>;

export const moveActions: Readonly<Record<Exclude<MoveAction, "kept" | "finished" | "aborted">, Act>> = {
  async "make-schema"(context) {
    const [source, target] = await Promise.all([
      onSource(context)(async (session) => lineOf(session)),
      onTarget(context)(async (session) => lineOf(session)),
    ]);
    await noteMove(context, {
      data: { began: { source, target }, verified: null, place: null, error: null },
    });
    await onTarget(context)((session) => makeShard(context, session));
    await noteMove(context, { data: { made: true } });
  },
  publish: (context) => onSource(context)((session) => publish(session, streamOf(context.move))),
  "make-slot": (context) => onSource(context)((session) => makeSlot(session, context.move.stream)),
  subscribe: (context) => {
    const { move, nodes } = context;
    return onTarget(context)((session) =>
      subscribe(session, move.stream, nodes.primary(move.source).endpoint, "copy"),
    );
  },
  copy: watchCopy,
  async verify(context) {
    const verified = await verifyCopy(context);
    if (verified) await noteMove(context, { data: { verified } });
  },
  "prepare-way-back": (context) => {
    const stream = { ...streamOf(context.move), name: backOf(context.move.stream) };
    return onTarget(context)(async (session) => {
      await dropSlots(session, [stream.name]);
      await publish(session, stream);
      await makeSlot(session, stream.name);
    });
  },
  fence: (context) => {
    const { move } = context;
    return onSource(context)((session) => fence(context, session, move.schema, move.mark));
  },
  drain,
  async "hand-over"(context) {
    await noteMove(context, { data: await handOver(context) });
  },
  leave,
  flip,
  "drop-forward": (context) => dropStream(context),
  "stream-back": (context) => {
    const { move, nodes } = context;
    // Behind all that the copy brought: what is sent back is what was written since.
    const since = BigInt(move.data.place?.floor?.lsn ?? 0);
    return onSource(context)((session) =>
      subscribe(session, backOf(move.stream), nodes.primary(move.target).endpoint, since),
    );
  },
  "drop-way-back": (context) => dropWayBack(context),
  "drop-old": (context) =>
    onSource(context)((session) =>
      inTransaction(session, () =>
        session.send({
          text: `drop schema if exists ${ident(context.move.schema)} cascade;
            drop schema if exists ${ident(context.move.schemaAfter)} cascade;
            delete from holdfast.marker where shard = ${context.move.shard} and idempotency_key is not null`,
        }),
      ),
    ),
  async unfence(context) {
    await undoHandOver(context);
    await noteMove(context, { data: { place: null } });
  },
  async clear(context) {
    const { move } = context;
    await dropWayBack(context);
    if (move.data.backOf !== undefined) return;
    await dropStream(context);
    await onTarget(context)((session) =>
      inTransaction(session, () =>
        session.send({
          text: `drop schema if exists ${ident(move.schema)} cascade;
            drop schema if exists ${ident(move.schemaAfter)} cascade`,
        }),
      ),
    );
    await noteMove(context, {
      data: { made: null, verified: null, place: null, began: null, unlike: null, copyMs: null },
    });
  },
};

function streamOf({ stream, shard, schema, mark }: MoveRecord): Stream {
  return { name: stream, shard, schema, mark };
}

/** Tells how far the copy is, for a while, or until it has caught up. */
async function watchCopy(context: MoveContext): Promise<void> {
  const { move, clock } = context;
  const beganAtMs = clock.monotonicMs();
  const totalBytes = await onSource(context)((session) => tableBytes(session, move.schema));
  await lookUntil(context, copyLookMs, () =>
    onTarget(context)(async (session) => {
      const state = await subscriptionState(session, move.stream);
      context.copied(Math.min(await tableBytes(session, move.schema), totalBytes), totalBytes);
      if (state === "failed" || (await streamErrors(session, move.stream)) > streamErrorsMax)
        throw copyError(context);
      return state === "streaming" || clock.monotonicMs() - beganAtMs > copySliceMs ? true : undefined;
    }),
  );
  const copyMs = (move.data.copyMs ?? 0) + Math.round(clock.monotonicMs() - beganAtMs);
  await noteMove(context, { data: { bytes: totalBytes, copyMs } });
}

async function tableBytes(session: PgSession, schema: string): Promise<number> {
  const { rows } = await session.send<{ bytes: string }>({
    text: `select coalesce(sum(pg_table_size(c.oid)), 0)::text as bytes from pg_class c
      where c.relnamespace = to_regnamespace($1) and c.relkind = 'r'`,
    values: [schema],
  });
  return Number(rows[0]?.bytes ?? 0);
}

async function drain(context: MoveContext): Promise<void> {
  const { move, clock } = context;
  const untilMs = clock.monotonicMs() + drainMsMax;
  const wanted = await onSource(context)((session) => readMark(session, move.mark));
  await lookUntil(context, 2, () =>
    onTarget(context)(async (session) => {
      if ((await readMark(session, move.mark)) === wanted) return true;
      if (clock.monotonicMs() >= untilMs) throw drainError(context);
      return undefined;
    }),
  );
}

async function dropStream(context: MoveContext): Promise<void> {
  const { stream } = context.move;
  const slots = await onTarget(context)((session) => unsubscribe(session, stream));
  await onSource(context)(async (session) => {
    await dropSlots(session, slots);
    await unpublish(session, stream);
  });
}

async function dropWayBack(context: MoveContext): Promise<void> {
  const name = backOf(context.move.stream);
  const slots = await onSource(context)((session) => unsubscribe(session, name));
  await onTarget(context)(async (session) => {
    if ((await slotState(session, name)) !== "none") await dropSlots(session, slots);
    await unpublish(session, name);
  });
}

function copyError({ move }: MoveContext): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `The copy of shard ${move.shard} to ${move.target} broke off; the log of that server says why (subscription "${move.stream}"). A table that was changed outside of the migrations is the usual reason.`,
    { data: { shard: move.shard, subscription: move.stream } },
  );
}

function drainError({ move }: MoveContext): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `What was written last to shard ${move.shard} had not arrived on ${move.target} after ${drainMsMax / 1_000} s, so writers were let in again. Try when ${move.target} has less to do.`,
    { data: { shard: move.shard, waitedMs: drainMsMax } },
  );
}

/** Writes down what has been done, or is about to be. */
export function noteMove(
  context: MoveContext,
  change: Parameters<typeof changeMove>[2],
): Promise<MoveRecord> {
  return onHome(context)((home) => changeMove(home, context.move.id, change));
}
