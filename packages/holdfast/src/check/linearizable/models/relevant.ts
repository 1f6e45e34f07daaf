/** Leaves out operations of unknown outcome whose effect nobody saw. */
import type { Operation } from "../../history/event.ts";

/** @param unseen whether an operation of unknown outcome can only be noticed by who sees what it made, and nobody did */
export function withoutUnseen(
  operations: readonly Operation[],
  unseen: (operation: Operation) => boolean,
): readonly Operation[] {
  return operations.some(({ outcome }) => outcome === "info")
    ? operations.filter((operation) => operation.outcome !== "info" || !unseen(operation))
    : operations;
}
