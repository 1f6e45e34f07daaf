/** Killed before, in and after each step of a move, and then gone on with, and given up. */
import { killedMoves } from "./fixtures/killed-moves.ts";
import { stoppableActions } from "./fixtures/move-actions.ts";

killedMoves(
  stoppableActions.flatMap((killAt) =>
    (["before", 4, "after"] as const).flatMap((when) =>
      (["resume", "abort"] as const).map((next) => ({ killAt, when, next })),
    ),
  ),
);
