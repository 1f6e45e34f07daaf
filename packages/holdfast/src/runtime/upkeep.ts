/**
 * What a database needs done now and then. Every process with a world does it, each at its own moment: it
 * costs a look when there is nothing to do, and no process is the one that must not die.
 */
import type { Clock, Timer } from "../clock/index.ts";
import { type DatabaseNodes, maintainMarkers } from "../engines/postgres/index.ts";

/** Pause between two rounds, in milliseconds; drawn between half of it and all of it. */
export const upkeepMs = 3_600_000;

/** Empties old commit markers about every hour. @returns how to stop */
export function keepUp(nodes: DatabaseNodes, clock: Clock): () => void {
  let stopped = false;
  let timer: Timer | undefined;
  const rest = () => {
    timer = clock.timer(upkeepMs * (0.5 + clock.random.next() / 2), async () => {
      // A primary that is away is looked after in the next round; until then its markers only take room.
      await maintainMarkers(nodes).catch(() => {});
      if (!stopped) rest();
    });
  };
  rest();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
