/**
 * Whether an instance takes requests, as a pure step: what is known, what happened, what is known now.
 *
 * Two sources: active checks ask the instance itself, and passive ones watch what becomes of real requests. A
 * connection that fails takes the instance out for a while that doubles each time; any success brings it back.
 */
export interface Health {
  /** Active checks that failed in a row. */
  readonly failedChecks: number;
  /** The instance said that it is stopping. */
  readonly draining: boolean;
  /** Connections that failed in a row. */
  readonly brokenInRow: number;
  /** Passively out until then, on the monotonic clock; 0 when not. */
  readonly outUntilMs: number;
}

export type HealthEvent =
  | { readonly kind: "check"; readonly answer: "ready" | "draining" | "failed" | "refused" }
  | { readonly kind: "broken"; readonly nowMs: number }
  | { readonly kind: "answered" };

export const healthDefaults = {
  /** Slow answers happen; two in a row are a pattern. */
  failedChecksMax: 2,
  outMs: 250,
  outMsMax: 10_000,
} as const;

/** A new instance is trusted: whoever announced it saw it ready. */
export const healthy: Health = Object.freeze({
  failedChecks: 0,
  draining: false,
  brokenInRow: 0,
  outUntilMs: 0,
});

export function stepHealth(health: Health, event: HealthEvent): Health {
  switch (event.kind) {
    case "check":
      return checked(health, event.answer);
    case "broken": {
      // One death breaks many connections at once: they are one failure.
      if (health.outUntilMs > event.nowMs) return health;
      const brokenInRow = health.brokenInRow + 1;
      const outMs = Math.min(healthDefaults.outMsMax, healthDefaults.outMs * 2 ** (brokenInRow - 1));
      return { ...health, brokenInRow, outUntilMs: event.nowMs + outMs };
    }
    case "answered":
      // Requests that were sent before the instance was found broken or draining say nothing about later.
      return health.outUntilMs === 0 ? health : { ...health, brokenInRow: 0, outUntilMs: 0 };
  }
}

function checked(health: Health, answer: "ready" | "draining" | "failed" | "refused"): Health {
  switch (answer) {
    case "ready":
      return health === healthy ? health : healthy;
    case "draining":
      return { ...health, failedChecks: 0, draining: true };
    case "failed":
      return { ...health, failedChecks: health.failedChecks + 1 };
    case "refused":
      return { ...health, failedChecks: Math.max(health.failedChecks + 1, healthDefaults.failedChecksMax) };
  }
}

export function isHealthy(health: Health, nowMs: number): boolean {
  return (
    !health.draining && health.failedChecks < healthDefaults.failedChecksMax && health.outUntilMs <= nowMs
  );
}
