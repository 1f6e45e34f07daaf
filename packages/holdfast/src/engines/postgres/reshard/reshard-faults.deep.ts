/** Servers that crash, or are replaced, before every action at which it matters. */
import { faultyMoves, type Side } from "./fixtures/faulty-moves.ts";
import { stoppableActions } from "./fixtures/move-actions.ts";

const sides: readonly Side[] = ["source", "target"];

faultyMoves({
  crashes: stoppableActions.flatMap((action) => sides.map((side) => [side, action] as const)),
  // Before the point at which the copy is whole: behind it the move ends as it is.
  failOvers: (["copy", "verify", "prepare-way-back", "fence"] as const).flatMap((action) =>
    sides.map((side) => [side, action] as const),
  ),
});
