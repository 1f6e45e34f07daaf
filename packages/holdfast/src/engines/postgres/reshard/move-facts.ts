/** Looks at what is there of a move, on its two nodes and in the map. */
import type { PgSession } from "../session.ts";
import { readShardMap } from "../shard-map-store.ts";
import { type MoveContext, onHome, onSource, onTarget } from "./move-context.ts";
import { isFenced, readMark } from "./move-fence.ts";
import { backOf, type MoveRecord, type ServerLine } from "./move-record.ts";
import type { MoveFacts } from "./move-step.ts";
import { isPublished, slotState, subscriptionState } from "./move-stream.ts";

export async function observeMove(context: MoveContext): Promise<MoveFacts> {
  const { move } = context;
  const [flipped, source, target] = await Promise.all([
    onHome(context)(
      async (home) => (await readShardMap(home))?.places[move.shard]?.schema === move.schemaAfter,
    ),
    onSource(context)(async (session) => {
      const fenced = await isFenced(session, [move.schema, move.schemaAfter]);
      return {
        line: lineOf(session),
        mark: await readMark(session, move.mark),
        schema: await schemaState(session, move),
        published: await isPublished(session, move.stream),
        slot: await slotState(session, move.stream),
        fenced,
        back: backState(await subscriptionState(session, backOf(move.stream))),
      };
    }),
    onTarget(context)(async (session) => ({
      line: lineOf(session),
      mark: await readMark(session, move.mark),
      schema: await schemaState(session, move),
      subscription: await subscriptionState(session, move.stream),
      back: await wayBack(session, backOf(move.stream)),
    })),
  ]);
  const { began, made, unlike, verified, place, backOf: takenBack } = move.data;
  return {
    intent: move.intent,
    flipped,
    strayed:
      unlike === true ||
      (began !== undefined && !(isSame(began.source, source.line) && isSame(began.target, target.line))),
    takesBack: takenBack !== undefined,
    keep: move.keep,
    source,
    target: { ...target, made: made === true && target.schema !== "gone" },
    verified: verified !== undefined,
    drained: source.fenced && source.mark !== undefined && source.mark === target.mark,
    placed: place !== undefined,
  };
}

export function lineOf({ facts }: PgSession): ServerLine {
  return { system: facts.system, timeline: facts.timeline };
}

function isSame(a: ServerLine, b: ServerLine): boolean {
  return a.system === b.system && a.timeline === b.timeline;
}

async function schemaState(
  session: PgSession,
  { schema, schemaAfter }: MoveRecord,
): Promise<"before" | "after" | "gone"> {
  const { rows } = await session.send<{ name: string }>({
    text: "select nspname as name from pg_namespace where nspname = any ($1)",
    values: [[schema, schemaAfter]],
  });
  if (rows.some((row) => row.name === schemaAfter)) return "after";
  return rows.length > 0 ? "before" : "gone";
}

function backState(state: string): "none" | "streaming" | "failed" {
  if (state === "none" || state === "failed") return state;
  return "streaming";
}

async function wayBack(session: PgSession, name: string): Promise<"none" | "there" | "lost"> {
  const slot = await slotState(session, name);
  if (slot === "lost") return "lost";
  if (slot === "there") return "there";
  // A publication alone is a beginning, and has to be cleared away as well.
  return (await isPublished(session, name)) ? "lost" : "none";
}
