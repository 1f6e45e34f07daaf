/**
 * Read, change, write if nobody else has: again from the start when somebody has, a bounded number of times, with
 * full jitter between, so that those who lost together do not come back together.
 */
import { currentCall, HoldfastError } from "../../call/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import { currentWorld } from "../world.ts";
import { refuseInput, wholeProblems } from "./input-error.ts";

export interface RetryConflictsOptions {
  /** In all, 1 to 100. Default 5. Where most attempts lose, a lock (`for update` in one write) is cheaper. */
  readonly attemptsMax?: number;
}

export const retryConflictsDefaults = { attemptsMax: 5 } as const;
const backoff = { baseMs: 10, capMs: 500 } as const;

/**
 * @param run reads and writes; called again when it throws HOLDFAST_VERSION_CONFLICT
 * @throws {HoldfastError} the last conflict, when attempts or the call's time have run out
 */
export async function retryConflicts<T>(
  run: (attempt: number) => Promise<T>,
  options: RetryConflictsOptions = {},
): Promise<T> {
  const attemptsMax = options.attemptsMax ?? retryConflictsDefaults.attemptsMax;
  refuseInput("retryConflicts", wholeProblems("attemptsMax", attemptsMax, 1, 100));
  const { clock } = currentWorld();
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(attempt);
    } catch (error) {
      const conflict = error instanceof HoldfastError && error.code === "HOLDFAST_VERSION_CONFLICT";
      if (!conflict || attempt >= attemptsMax) throw error;
      const call = currentCall();
      const waitMs = fullJitterMs(attempt, clock.random.next(), backoff);
      if (call && call.remainingMs() <= waitMs) throw error;
      try {
        await clock.sleep(waitMs, call?.signal);
      } catch {
        throw error;
      }
    }
  }
}
