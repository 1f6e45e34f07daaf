/** How often something may begin: a bucket that fills evenly, holds `count`, and is full at first. A pure step. */
import type { RateLimit } from "../../../parts/queue/index.ts";

export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** The bucket at `nowMs`. A clock that went back fills nothing, and the bucket goes on from there. */
export function fillStep(bucket: Bucket | undefined, { count, perMs }: RateLimit, nowMs: number): Bucket {
  if (!bucket) return { tokens: count, atMs: nowMs };
  const passedMs = Math.max(0, nowMs - bucket.atMs);
  return { tokens: Math.min(count, bucket.tokens + (passedMs * count) / perMs), atMs: nowMs };
}
