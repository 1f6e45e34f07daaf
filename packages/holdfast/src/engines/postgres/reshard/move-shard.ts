/**
 * Moves one shard: looks, decides, does, and looks again, until there is nothing left to do.
 *
 * What is to be done is written down before, so that people can see it; what was done is seen by what is there. A
 * server that goes away is waited for. Anything else stops the move where it is, with the source serving.
 */
import { HoldfastError } from "../../../call/index.ts";
import { fullJitterMs } from "../../../resilience/index.ts";
import type { PgSession } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";
import { ident, lookUntil, type MoveContext, onHome, onSource, onTarget } from "./move-context.ts";
import { lineOf, observeMove } from "./move-facts.ts";
import { fence, readMark } from "./move-fence.ts";
import { flip, handOver, leave, undoHandOver } from "./move-handover.ts";
import { backOf, changeMove, inTransaction, type MoveRecord, readMove } from "./move-record.ts";
import { differences, makeShard } from "./move-schema.ts";
import { type MoveAction, type MoveFacts, stepMove } from "./move-step.ts";
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

export interface MoveProgress {
  readonly move: MoveRecord;
  readonly action: MoveAction;
  /** How far the copy is; 0 before it. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface DriveOptions {
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined;
  /** Called around each action; tests end the process in it. */
  readonly onStep?: ((action: MoveAction, when: "before" | "after") => void | Promise<void>) | undefined;
  /** How long servers that are away are waited for, in milliseconds. Default 60_000. */
  readonly patienceMs?: number | undefined;
}

export const drivePatienceMs = 60_000;

const backoff = { baseMs: 100, capMs: 2_000 } as const;
/** How long what was written last may take to arrive, in milliseconds, before writers are let in again. */
const drainMsMax = 10_000;
const copyLookMs = 100;
/** How long a copy is watched, in milliseconds, before what is there is looked at anew. */
const copySliceMs = 2_000;

/** @returns the move as it ended: kept, finished or aborted */
export async function driveMove(first: MoveContext, options: DriveOptions): Promise<MoveRecord> {
  const { clock, signal } = first;
  const patienceMs = options.patienceMs ?? drivePatienceMs;
  let context = first;
  let compared = false;
  let awaySinceMs: number | undefined;
  let fencedAtMs: number | undefined;
  for (let failures = 0; ; ) {
    try {
      signal?.throwIfAborted();
      await context.hold();
      if (!compared) {
        context = { ...context, move: await compareAgain(context) };
        compared = true;
      }
      const facts = await observeMove(context);
      const action = stepMove(facts);
      if (action === "kept" || action === "finished" || action === "aborted") {
        const ended = await end(context, action);
        options.onProgress?.({ move: ended, action, bytes: 0, totalBytes: 0 });
        return ended;
      }
      refuseLostWayBack(facts, action, context.move);
      context = { ...context, move: await note(context, { step: action }) };
      options.onProgress?.({ move: context.move, action, bytes: 0, totalBytes: 0 });
      await options.onStep?.(action, "before");
      const tell = (bytes: number, totalBytes: number) =>
        options.onProgress?.({ move: context.move, action, bytes, totalBytes });
      await actions[action]({ ...context, copied: tell });
      if (action === "fence") fencedAtMs = clock.monotonicMs();
      if (action === "flip" && fencedAtMs !== undefined)
        await note(context, { data: { cutoverMs: Math.round(clock.monotonicMs() - fencedAtMs) } });
      context = { ...context, move: await onHome(context)((home) => readMove(home, context.move.id)) };
      await options.onStep?.(action, "after");
      failures = 0;
      awaySinceMs = undefined;
    } catch (error) {
      failures++;
      awaySinceMs ??= clock.monotonicMs();
      const waitedMs = clock.monotonicMs() - awaySinceMs;
      if (!mayPass(error) || waitedMs > patienceMs) throw await stopped(context, error);
      await clock.sleep(fullJitterMs(Math.min(failures, 8), clock.random.next(), backoff), signal);
    }
  }
}

/** Whether it is a server that is away, or busy, and may come back. */
function mayPass(error: unknown): boolean {
  const state = sqlStateOf(error) ?? "";
  // One server could not reach the other, or something is still in use by a process that is just ending.
  if (state.startsWith("08") || state === "55006") return true;
  return (
    error instanceof HoldfastError &&
    (error.code === "HOLDFAST_UNAVAILABLE" ||
      error.code === "HOLDFAST_CONNECTION_LOST" ||
      error.code === "HOLDFAST_OVERLOADED" ||
      error.code === "HOLDFAST_SQL_RETRY" ||
      error.code === "HOLDFAST_OUTCOME_UNKNOWN")
  );
}

function note(context: MoveContext, change: Parameters<typeof changeMove>[2]): Promise<MoveRecord> {
  return onHome(context)((home) => changeMove(home, context.move.id, change));
}

async function end(context: MoveContext, state: "kept" | "finished" | "aborted"): Promise<MoveRecord> {
  const { move } = context;
  const ended = await note(context, { state, step: state });
  if (state === "aborted" && move.data.backOf !== undefined) {
    const backId = move.data.backOf;
    await onHome(context)((home) => changeMove(home, backId, { state: "kept" }));
  }
  return ended;
}

/** A migration between a killed process and the one that goes on has changed one side only. */
async function compareAgain(context: MoveContext): Promise<MoveRecord> {
  const { move } = context;
  if (!move.data.made || move.data.place) return move;
  const problems = await onTarget(context)((session) => differences(context, session));
  return problems.length > 0 ? note(context, { data: { unlike: true } }) : move;
}

/** A move that takes one back has no other copy to begin with. */
function refuseLostWayBack(facts: MoveFacts, action: MoveAction, move: MoveRecord): void {
  if (!facts.takesBack || facts.intent === "abort" || facts.flipped) return;
  if (action !== "clear" && action !== "make-schema") return;
  throw new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `Move ${move.data.backOf} cannot be taken back any more: the stream to ${move.target} is lost, or its schema has changed. \`holdfast reshard --abort\`, then \`--finish\`, then move shard ${move.shard} to ${move.target} anew.`,
    { permanent: true, data: { move: move.id } },
  );
}

/** Lets writers in again where the map says the shard is, and says where it stopped. */
async function stopped(context: MoveContext, cause: unknown): Promise<unknown> {
  const { move, signal } = context;
  const why = cause instanceof Error ? cause.message : String(cause);
  const calm: MoveContext = { ...context, signal: undefined };
  let served = "";
  try {
    const facts = await observeMove(calm);
    if (!facts.flipped && facts.source.fenced && facts.source.schema !== "after") {
      await undoHandOver(calm);
      await note(calm, { data: { place: null } });
    }
    served = ` Shard ${move.shard} is served by ${facts.flipped ? move.target : move.source}.`;
  } catch {
    served = ` Whether shard ${move.shard} can be written to is not known, because its servers do not answer.`;
  }
  if (signal?.aborted) return cause;
  await note(calm, { data: { error: why } }).catch(() => {});
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `Move ${move.id} of shard ${move.shard} from ${move.source} to ${move.target} stopped at "${move.step}": ${why}${served} \`holdfast reshard\` goes on with it, \`holdfast reshard --abort\` gives it up.`,
    {
      data: { move: move.id, shard: move.shard, step: move.step },
      cause,
      permanent: cause instanceof HoldfastError && cause.permanent,
    },
  );
}

type Act = (context: MoveContext) => Promise<unknown>;

const actions: Readonly<Record<Exclude<MoveAction, "kept" | "finished" | "aborted">, Act>> = {
  async "make-schema"(context) {
    const [source, target] = await Promise.all([
      onSource(context)(async (session) => lineOf(session)),
      onTarget(context)(async (session) => lineOf(session)),
    ]);
    await note(context, { data: { began: { source, target }, verified: null, place: null, error: null } });
    await onTarget(context)((session) => makeShard(context, session));
    await note(context, { data: { made: true } });
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
    if (verified) await note(context, { data: { verified } });
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
    const place = await handOver(context);
    await note(context, { data: { place } });
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
    await note(context, { data: { place: null } });
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
    await note(context, {
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
  await note(context, { data: { bytes: totalBytes, copyMs } });
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
