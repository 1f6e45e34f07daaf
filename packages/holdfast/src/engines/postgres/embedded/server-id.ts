/** Names and places of a node's servers, by which of them they are. */
import type { ServerId } from "./running-node.ts";

export const superuser = "holdfast";

/** Name of a server's directory and log: `primary`, `replica-1`. */
export function fileName(id: ServerId): string {
  return id === "primary" ? "primary" : `replica-${id + 1}`;
}

/** Where its port is among those of the node's record. */
export function portIndex(id: ServerId): number {
  return id === "primary" ? 0 : id + 1;
}
