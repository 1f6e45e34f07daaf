/** Killed before, in and after each step of a move, and then gone on with, and given up. */
import { killedMoves } from "./fixtures/killed-moves.ts";
import type { MoveAction } from "./move-step.ts";

const steps: readonly MoveAction[] = [
  "make-schema",
  "publish",
  "make-slot",
  "subscribe",
  "copy",
  "verify",
  "prepare-way-back",
  "fence",
  "drain",
  "hand-over",
  "leave",
  "flip",
  "drop-forward",
  "stream-back",
];

killedMoves(
  steps.flatMap((killAt) =>
    (["before", 4, "after"] as const).flatMap((when) =>
      (["resume", "abort"] as const).map((next) => ({ killAt, when, next })),
    ),
  ),
);
