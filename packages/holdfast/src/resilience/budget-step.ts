/**
 * The pure step of a budget for extra attempts: a bucket of tokens that successes fill, with a trickle beside.
 *
 * Retries help when few calls fail, and make an outage worse when many do: then every caller multiplies its
 * load. A budget ties extra attempts to successes, so that they stop growing exactly when the callee is down.
 *
 * @see gRPC proposal A6, "Retry throttling"; Finagle, `RetryBudget`
 */
export interface BudgetOptions {
  /** Extra attempts that one success pays for. Default 0.2. */
  readonly perSuccess?: number;
  /** Extra attempts that each second pays for, so that a quiet caller can retry at all. Default 1. */
  readonly perSecond?: number;
  /** Most extra attempts that can be saved up, and what a new budget begins with. Default 10. */
  readonly savedMax?: number;
}

export type ResolvedBudgetOptions = Readonly<Required<BudgetOptions>>;

export const budgetDefaults = {
  perSuccess: 0.2,
  perSecond: 1,
  savedMax: 10,
} as const satisfies BudgetOptions;

export interface BudgetState {
  readonly tokens: number;
  /** Monotonic time up to which the trickle has been counted. */
  readonly atMs: number;
}

/** @throws {RangeError} when a field is negative, not a number, or `savedMax` leaves no room for one attempt */
export function resolveBudgetOptions(options: BudgetOptions = {}): ResolvedBudgetOptions {
  const resolved = { ...budgetDefaults, ...options };
  for (const [field, value] of Object.entries(resolved)) {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new RangeError(`${field} of a budget should be 0 or more, got ${value}`);
  }
  if (resolved.savedMax < 1)
    throw new RangeError(`savedMax of a budget should be 1 or more, got ${resolved.savedMax}`);
  return Object.freeze(resolved);
}

export function newBudget(options: ResolvedBudgetOptions, nowMs: number): BudgetState {
  return { tokens: options.savedMax, atMs: nowMs };
}

export function stepSuccess(state: BudgetState, options: ResolvedBudgetOptions, nowMs: number): BudgetState {
  const now = trickle(state, options, nowMs);
  return { tokens: Math.min(options.savedMax, now.tokens + options.perSuccess), atMs: now.atMs };
}

/** Takes one token, when there is a whole one. */
export function stepExtraAttempt(
  state: BudgetState,
  options: ResolvedBudgetOptions,
  nowMs: number,
): { readonly state: BudgetState; readonly allowed: boolean } {
  const now = trickle(state, options, nowMs);
  // A billionth forgives what adding 0.2 five times rounds away.
  if (now.tokens < 1 - 1e-9) return { state: now, allowed: false };
  return { state: { tokens: Math.max(0, now.tokens - 1), atMs: now.atMs }, allowed: true };
}

function trickle(state: BudgetState, options: ResolvedBudgetOptions, nowMs: number): BudgetState {
  const elapsedMs = Math.max(0, nowMs - state.atMs);
  const tokens = Math.min(options.savedMax, state.tokens + (elapsedMs / 1000) * options.perSecond);
  return { tokens, atMs: Math.max(state.atMs, nowMs) };
}
