/**
 * Killed before, in and after each step of a move, and then gone on with, and given up. Only `drain` is missing: there
 * is nothing to do for it when the last writes have arrived by the time one looks, which is before `hand-over`.
 */
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
