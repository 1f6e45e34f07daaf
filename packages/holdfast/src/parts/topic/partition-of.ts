import { keyHashModulo } from "../../placement/index.ts";

/** The partition of a key: fixed for the life of the topic, because order per key depends on it. */
export function partitionOf(key: string, partitions: number): number {
  return keyHashModulo(key, partitions);
}
