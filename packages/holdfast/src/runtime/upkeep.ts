/**
 * What a database needs done now and then. Every process with a world does it, each at its own moment: it
 * costs a look when there is nothing to do, and no process is the one that must not die.
 */
import type { Clock, Timer } from "../clock/index.ts";
import { type DatabaseNodes, maintainMarkers } from "../engines/postgres/index.ts";
import type { ResolvedDatabaseOptions } from "../parts/database/index.ts";

/** Pause between two rounds, in milliseconds; drawn between half of it and all of it. */
export const upkeepMs = 3_600_000;

/** Pause between two looks at whether each node has the reference tables as they are at home; drawn alike. */
export const referenceMs = 10_000;

/**
 * Empties old commit markers and sweeps what lookups and ended jobs have left behind, about every hour; brings nodes
 * that are behind to the newest reference tables, about every ten seconds. @returns how to stop
 */
export function keepUp(nodes: DatabaseNodes, clock: Clock, database?: UpkeepOfDatabase): () => void {
  const stops = [everyNowAndThen(clock, upkeepMs, () => maintainMarkers(nodes))];
  if (database && database.options.lookups.size > 0)
    stops.push(everyNowAndThen(clock, upkeepMs, database.sweepLookups));
  if (database?.sweepGuards) stops.push(everyNowAndThen(clock, upkeepMs, database.sweepGuards));
  if (database?.options.reference && nodes.config.nodes.length > 1)
    stops.push(everyNowAndThen(clock, referenceMs, database.settleReference));
  return () => {
    for (const stop of stops) stop();
  };
}

export interface UpkeepOfDatabase {
  readonly options: Pick<ResolvedDatabaseOptions, "lookups" | "reference">;
  readonly sweepLookups: () => Promise<unknown>;
  /** Of `job.apply`; absent in a system without queues. */
  readonly sweepGuards?: (() => Promise<unknown>) | undefined;
  readonly settleReference: () => Promise<unknown>;
}

function everyNowAndThen(clock: Clock, pauseMs: number, chore: () => Promise<unknown>): () => void {
  let stopped = false;
  let timer: Timer | undefined;
  const rest = () => {
    timer = clock.timer(pauseMs * (0.5 + clock.random.next() / 2), async () => {
      // A primary that is away is looked after in the next round; until then what is old only takes room.
      await chore().catch(() => {});
      if (!stopped) rest();
    });
  };
  rest();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
