/**
 * How many jobs to claim now. A pure step.
 *
 * A process holds what it works on, and ahead of that work for about a tenth of a second at the speed it was seen to
 * have: enough that it need not wait for the store, and not so much that others have nothing to do, or that a process
 * which dies takes much along. A worker of slow jobs claims no more than it has places for.
 */
export interface ClaimNeed {
  /** Attempts that may run at a time. */
  readonly concurrency: number;
  readonly running: number;
  /** Claimed, and not begun. */
  readonly ahead: number;
  /** Ended, and not told to the store. */
  readonly untold: number;
  /** Jobs a millisecond, as measured; 0 when nothing is known yet. */
  readonly perMs: number;
}

export interface ClaimBounds {
  readonly prefetchMs: number;
  readonly prefetchMax: number;
}

/** @returns 0: not now */
export function claimStep(need: ClaimNeed, { prefetchMs, prefetchMax }: ClaimBounds): number {
  const { concurrency, running, ahead, untold, perMs } = need;
  // What the store has not heard of is still this member's: a store that is slow to hear slows claiming down.
  if (untold >= 2 * Math.max(prefetchMax, concurrency)) return 0;
  const free = Math.max(0, concurrency - running);
  const wanted = Math.min(prefetchMax, Math.floor(perMs * prefetchMs));
  // Fewer than would be worth it wait until half of what is ahead is used up; free places do not wait.
  const worthIt = ahead < free || ahead <= wanted / 2;
  return worthIt ? Math.max(0, free + wanted - ahead) : 0;
}

/**
 * Jobs a millisecond, from what ended since the last look: the newer look counts as much as all before.
 *
 * @param passedMs above 0
 */
export function paceStep(perMs: number, ended: number, passedMs: number): number {
  const now = ended / passedMs;
  return perMs === 0 ? now : (perMs + now) / 2;
}
