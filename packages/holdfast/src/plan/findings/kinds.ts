/**
 * Every kind of finding: a stable name, what it means in a sentence, and the page that says which part of the
 * project remedies it. `docs/findings.md` has one section for each; a test keeps the two equal.
 */
export const findingKinds = {
  "single-point-of-failure": "One process or server that everything waits for.",
  "availability-missed": "What the parts give together is below the availability that is required.",
  "one-region": "Everything is in one region, and goes when it goes.",
  "under-capacity": "A part is declared with less than the peak needs.",
  "saturates-first": "The part that comes to its end first when load grows, and at which multiple.",
  "connections-exhausted": "More connections are needed at the peak than the nodes accept.",
  "latency-missed": "The latency that the model gives is above the objective.",
  "long-synchronous-chain": "One call waits for so many others that slow ones become common.",
  "retry-storm": "When all who fail try again, more comes than the part can take, and it stays down.",
  "hot-key": "One key is asked for more than one node can answer.",
  "hot-shard": "Popular keys make one shard's node much busier than the others.",
  "celebrity-fan-out": "Accounts with very many followers cannot be delivered to in time.",
  "dear-fan-out": "Delivering to every follower costs more than letting readers collect.",
  "unbounded-queue": "Nothing limits how much may wait.",
  "slow-drain": "After a stop of the consumer, what waits takes too long to work off, or grows for ever.",
  "stampede-on-expiry": "When a popular entry expires, many load it at once.",
  "small-cache": "The cache is too small for the hit ratio that is wanted.",
  "cross-shard-operation": "One call touches keys that lie on several shards.",
  "stale-read": "A read may be older than its requirement says.",
  "needless-strong-read": "A read asks the primary although older would do.",
  "missing-idempotency": "A write that is tried again may happen twice.",
  "no-backup": "Data that cannot be rebuilt has no backup.",
  "backup-never-restored": "There is a backup, and nobody knows whether it can be restored.",
} as const;

export type FindingKind = keyof typeof findingKinds;
