/** What an engine does for a schedule part. */

export interface ScheduleState {
  readonly paused: boolean;
  /** Ticks that were sent, ever: the number of the newest. */
  readonly number: number;
  /** The instant of the newest tick that was sent, in milliseconds since the epoch. */
  readonly sentMs: number | undefined;
  /** Everything up to here was sent or left out. */
  readonly lastMs: number;
  /** When the next one is due; `undefined` while it is paused, or when there is none any more. */
  readonly nextMs: number | undefined;
  /** The store's clock when it answered. */
  readonly nowMs: number;
  /** Whether another release has taken the schedule over with another rule: this process sends nothing. */
  readonly taken: boolean;
}

/**
 * Atomicity: a tick is sent (its message added to the destination) in the transaction that moves the schedule's memory
 * past it, at the destination's home. Whichever process gets there first does both; for the others there is nothing
 * left to do. Due is what is due by the store's clock.
 */
export interface SchedulePort {
  /** Nothing is sent until it is resumed. Kept in the store, for all processes. Does nothing to one that is paused. */
  pause(): Promise<void>;
  /** Goes on from now: what would have ticked meanwhile is left out. Does nothing to one that is not paused. */
  resume(): Promise<void>;
  state(): Promise<ScheduleState>;
}
