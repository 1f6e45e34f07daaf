/**
 * Looks now and then whether a database's shard map has changed. A process that is asked nothing is told nothing, and
 * would look in the old place first; servers refuse it there, so that this only saves the detour, and bounds how long
 * a replica that is cut off from its primary can be asked for what has moved away.
 */
import type { Clock, Timer } from "../clock/index.ts";
import type { DatabaseNodes } from "../engines/postgres/index.ts";

/** Pause between two looks, in milliseconds; drawn between half of it and all of it. */
export const mapPollMs = 4_000;

/** @returns how to stop */
export function pollShardMap(nodes: DatabaseNodes, clock: Clock): () => void {
  let stopped = false;
  let timer: Timer | undefined;
  const rest = () => {
    timer = clock.timer(mapPollMs * (0.5 + clock.random.next() / 2), async () => {
      await nodes.map.refresh().catch(() => {}); // a home that is away tells nothing new
      if (!stopped) rest();
    });
  };
  if (nodes.config.nodes.length > 1) rest();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
