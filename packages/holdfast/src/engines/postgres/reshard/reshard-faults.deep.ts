/** Servers that crash, or are replaced, before every action at which it matters. */
import { faultyMoves, type Side } from "./fixtures/faulty-moves.ts";
import type { MoveAction } from "./move-step.ts";

const actions: readonly MoveAction[] = [
  "make-schema",
  "publish",
  "make-slot",
  "subscribe",
  "copy",
  "verify",
  "prepare-way-back",
  "fence",
  "hand-over",
  "leave",
  "flip",
  "drop-forward",
  "stream-back",
];
const sides: readonly Side[] = ["source", "target"];

faultyMoves({
  crashes: actions.flatMap((action) => sides.map((side) => [side, action] as const)),
  // Before the point at which the copy is whole: behind it the move ends as it is.
  failOvers: (["copy", "verify", "prepare-way-back", "fence"] as const).flatMap((action) =>
    sides.map((side) => [side, action] as const),
  ),
});
