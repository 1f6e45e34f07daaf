/**
 * What to do next for a move: a pure function of what is there.
 *
 * Every action can be done again, and none is believed because it was begun: a process that was killed at any point
 * is followed by one that looks, and goes on, or goes back. The one point of no return is the map: before it names
 * the target a move can be given up as if it had never been, afterwards it can be taken back by a move of its own.
 */
import type { MoveIntent } from "./move-record.ts";

export interface MoveFacts {
  readonly intent: MoveIntent;
  /** Whether the map names the target. */
  readonly flipped: boolean;
  /**
   * Whether the copy began on other servers than the ones there are now, where slots and positions are lost; or on
   * another schema.
   */
  readonly strayed: boolean;
  /** Whether the stream was there before the move: it takes one back. */
  readonly takesBack: boolean;
  readonly keep: boolean;
  readonly source: {
    readonly schema: "before" | "after" | "gone";
    readonly published: boolean;
    readonly slot: "none" | "there" | "lost";
    readonly fenced: boolean;
    /** Subscription of the way back. */
    readonly back: "none" | "streaming" | "failed";
  };
  readonly target: {
    readonly schema: "before" | "after" | "gone";
    /** Whole, and was empty before the copy. */
    readonly made: boolean;
    readonly subscription: "none" | "copying" | "streaming" | "failed";
    /** Publication and slot of the way back. */
    readonly back: "none" | "there" | "lost";
  };
  readonly verified: boolean;
  /** Whether everything that the source had when it was fenced has arrived. */
  readonly drained: boolean;
  /** Whether the place that the map is to have is known, with all that sessions need. */
  readonly placed: boolean;
}

export type MoveAction =
  | "make-schema"
  | "publish"
  | "make-slot"
  | "subscribe"
  | "copy"
  | "verify"
  | "prepare-way-back"
  | "fence"
  | "drain"
  | "hand-over"
  | "leave"
  | "flip"
  | "drop-forward"
  | "stream-back"
  | "drop-way-back"
  | "drop-old"
  | "clear"
  | "unfence"
  /** Nothing is left to do: the state that the move ends in. */
  | "kept"
  | "finished"
  | "aborted";

export function stepMove(facts: MoveFacts): MoveAction {
  if (facts.flipped) return facts.intent === "finish" || !facts.keep ? finishing(facts) : keeping(facts);
  if (facts.intent === "abort") return givingUp(facts);
  return movingForward(facts);
}

function movingForward(facts: MoveFacts): MoveAction {
  const { source, target } = facts;
  const left = source.schema === "after";
  // Once the source has left its name, nothing is copied anew: all of it has arrived, and was placed.
  const cut = source.slot === "lost" || (source.slot === "none" && target.subscription !== "none");
  const broken = facts.strayed || target.subscription === "failed" || cut;
  // A source that nothing will follow soon must not refuse its writers.
  if (broken && !left) return source.fenced || target.schema === "after" ? "unfence" : "clear";
  if (!target.made) return "make-schema";
  if (!facts.placed) {
    if (!source.published) return "publish";
    if (source.slot === "none") return "make-slot";
    if (target.subscription === "none") return "subscribe";
    if (target.subscription === "copying") return "copy";
    if (!facts.verified) return "verify";
    if (facts.keep && target.back !== "there") return "prepare-way-back";
    if (!source.fenced) return "fence";
    if (!facts.drained) return "drain";
    return "hand-over";
  }
  if (!left) return "leave";
  return "flip";
}

function keeping({ source, target }: MoveFacts): MoveAction {
  if (target.subscription !== "none" || source.published || source.slot !== "none") return "drop-forward";
  if (source.back === "none" && target.back === "there") return "stream-back";
  return "kept";
}

function finishing({ source, target }: MoveFacts): MoveAction {
  if (target.subscription !== "none" || source.published || source.slot !== "none") return "drop-forward";
  if (source.back !== "none" || target.back !== "none") return "drop-way-back";
  if (source.schema !== "gone") return "drop-old";
  return "finished";
}

function givingUp({ source, target, takesBack }: MoveFacts): MoveAction {
  // The source serves again first, and what was made for the move goes after that.
  if (source.schema === "after" || source.fenced || target.schema === "after") return "unfence";
  if (target.back !== "none") return "clear";
  // The stream of a move that takes one back was there before it, and stays.
  if (takesBack) return "aborted";
  const streams = target.subscription !== "none" || source.published || source.slot !== "none";
  return streams || target.schema !== "gone" ? "clear" : "aborted";
}
