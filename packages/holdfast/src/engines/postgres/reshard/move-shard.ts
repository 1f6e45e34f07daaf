/**
 * Moves one shard: looks, decides, does, and looks again, until there is nothing left to do.
 *
 * What is to be done is written down before, so that people can see it; what was done is seen by what is there. A
 * server that goes away is waited for. Anything else stops the move where it is, with the source serving.
 */
import { HoldfastError } from "../../../call/index.ts";
import { fullJitterMs } from "../../../resilience/index.ts";
import { sqlStateOf } from "../session-error.ts";
import { moveActions, noteMove } from "./move-actions.ts";
import { type MoveContext, onHome, onTarget } from "./move-context.ts";
import { observeMove } from "./move-facts.ts";
import { undoHandOver } from "./move-handover.ts";
import { changeMove, type MoveRecord, readMove } from "./move-record.ts";
import { differences } from "./move-schema.ts";
import { type MoveAction, type MoveFacts, stepMove } from "./move-step.ts";

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
      context = { ...context, move: await noteMove(context, { step: action }) };
      options.onProgress?.({ move: context.move, action, bytes: 0, totalBytes: 0 });
      await options.onStep?.(action, "before");
      const tell = (bytes: number, totalBytes: number) =>
        options.onProgress?.({ move: context.move, action, bytes, totalBytes });
      await moveActions[action]({ ...context, copied: tell });
      if (action === "fence") fencedAtMs = clock.monotonicMs();
      if (action === "flip" && fencedAtMs !== undefined)
        await noteMove(context, { data: { cutoverMs: Math.round(clock.monotonicMs() - fencedAtMs) } });
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

async function end(context: MoveContext, state: "kept" | "finished" | "aborted"): Promise<MoveRecord> {
  const { move } = context;
  const ended = await noteMove(context, { state, step: state });
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
  return problems.length > 0 ? noteMove(context, { data: { unlike: true } }) : move;
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
      await noteMove(calm, { data: { place: null } });
    }
    served = ` Shard ${move.shard} is served by ${facts.flipped ? move.target : move.source}.`;
  } catch {
    served = ` Whether shard ${move.shard} can be written to is not known, because its servers do not answer.`;
  }
  if (signal?.aborted) return cause;
  await noteMove(calm, { data: { error: why } }).catch(() => {});
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
