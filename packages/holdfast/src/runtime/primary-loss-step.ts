/**
 * What to do about a primary that has ended: start it again, or put a replica in its place.
 *
 * Starting again is better wherever it works: it takes a second or two, loses nothing, and leaves the replicas as
 * they are. A promotion is for a primary that cannot come back: its data is gone, or does not start.
 */
export interface PrimaryLoss {
  /** Whether its data directory is there. */
  readonly hasData: boolean;
  /** Starts in a row that failed since it ended. */
  readonly failedStarts: number;
  readonly replicas: number;
}

/** One failure may be the machine's (no memory, a slow disk); a second one is taken for the data's. */
export const startsBeforePromotion = 2;

export function stepPrimaryLoss({ hasData, failedStarts, replicas }: PrimaryLoss): "restart" | "promote" {
  if (replicas === 0) return "restart";
  return !hasData || failedStarts >= startsBeforePromotion ? "promote" : "restart";
}
