/** What the functions of a selective queue are told of its declaration, with each call: the newest declaration counts. */
import type { RateLimit, ResolvedQueueOptions } from "../../../../parts/queue/index.ts";

/** As JSON, the `rules` of each function. */
export function rulesOf(options: ResolvedQueueOptions): string {
  const { group, concurrencyMax, rate, priority, retry, maxLength } = options;
  const groupRate = bucket(group?.rate);
  const queueRate = bucket(rate);
  return JSON.stringify({
    ordered: group?.ordered ?? false,
    agingMs: priority?.agingMs,
    groupMax: group?.concurrencyMax,
    groupEveryMs: groupRate?.everyMs,
    groupFillMs: groupRate?.fillMs,
    queueMax: concurrencyMax,
    queueEveryMs: queueRate?.everyMs,
    queueFillMs: queueRate?.fillMs,
    lengthMax: maxLength,
    attemptsMax: retry.attemptsMax,
    lostIsDead: retry.unknown === "dead-letter",
  });
}

/** Both to the microsecond, which is as fine as the store's clock is. */
function bucket(rate: RateLimit | undefined) {
  if (!rate) return undefined;
  const everyMs = Math.max(1, Math.round((rate.perMs * 1_000) / rate.count)) / 1_000;
  return { everyMs, fillMs: (everyMs * 1_000 * rate.count) / 1_000 };
}
