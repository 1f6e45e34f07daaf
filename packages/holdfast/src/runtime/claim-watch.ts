/**
 * Looks now and then whether the project is still this supervisor's. Somebody who removes `.holdfast/` while it
 * runs may start anew in it, and two supervisors must never share data.
 */
import type { HoldfastError } from "../call/index.ts";
import type { Clock, Timer } from "../clock/index.ts";
import type { SupervisorClaim } from "./supervisor-file.ts";

/** Pause between two looks, in milliseconds. */
const lookMs = 2_000;

export interface ClaimWatch {
  /** Looks now: for what must not be done in another's project. */
  holds(): boolean;
  stop(): void;
}

/** @param onLost told why, once */
export function watchClaim(
  claim: SupervisorClaim,
  clock: Clock,
  onLost: (why: HoldfastError) => void,
): ClaimWatch {
  let lost: HoldfastError | undefined;
  let next: Timer | undefined;
  const holds = () => {
    if (lost) return false;
    lost = claim.lost();
    if (lost) onLost(lost);
    return !lost;
  };
  const look = () => {
    if (holds()) next = clock.timer(lookMs, look);
  };
  look();
  return { holds, stop: () => next?.cancel() };
}
