/** The names by which a feed's things on a server are found again, and what the name of a shard's schema says. */

/** Publication and slot of a feed. Slots are named per server, and databases share servers. */
export function feedObjectName(feed: string, database: string): string {
  return `holdfast_feed_${feed.replaceAll("-", "_")}_${checkOf(database)}`;
}

/** Eight digits of FNV-1a: names are at most 63 bytes, and that leaves 40 for the feed's. */
function checkOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

export interface ShardSchema {
  readonly shard: number;
  /** The move that gave it its name; `undefined` where the shard was made. */
  readonly move: number | undefined;
}

/** `s3`, or `s3_m12` behind move 12. */
export function parseShardSchema(schema: string): ShardSchema | undefined {
  const found = /^s(\d+)(?:_m(\d+))?$/.exec(schema);
  if (!found) return undefined;
  return { shard: Number(found[1]), move: found[2] === undefined ? undefined : Number(found[2]) };
}
