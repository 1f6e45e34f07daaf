/**
 * What the steps of lookups work with, and where things are.
 */
import { type Clock, isoTime } from "../../../clock/index.ts";
import type { DatabasePort } from "../../../parts/database/port.ts";
import { keyHashModulo } from "../../../placement/index.ts";
import { drawMarkerId } from "../marker.ts";

/** The points between which a process may be killed: tests stop there. */
export type LookupStep = (typeof lookupSteps)[number];

export const lookupSteps = [
  "claim",
  "claimed",
  "commit",
  "committed",
  "kill",
  "killed",
  "remove",
  "removed",
] as const;

export interface LookupEnv {
  /** For messages. */
  readonly database: string;
  /** `locate` takes a key as its text. */
  readonly port: Pick<DatabasePort, "read" | "write" | "locate" | "shardCount">;
  readonly clock: Clock;
  /** Whether a lookup gives a value to one key at most; `undefined` for one that is not declared. */
  readonly isUnique: (name: string) => boolean | undefined;
  /** How long a claim that is not born keeps others from its value, by the clock of the value's shard. */
  readonly graceMs: number;
  /** Awaited at each point; throws to stop the write there, as a kill of the process would. */
  readonly step: (step: LookupStep) => Promise<void>;
}

/** A value of a key, and the claim by which the key has it, or is to have it. */
export interface Claim {
  /** UUID version 7: it begins with the time at which it was drawn. */
  readonly id: string;
  readonly name: string;
  readonly value: string;
  readonly key: string;
}

export function drawClaimId(env: LookupEnv): string {
  return drawMarkerId(env.clock);
}

/** When a claim was drawn, by the clock of whoever drew it. */
export function issuedAt(id: string): string {
  return isoTime(Number.parseInt(id.replace("-", "").slice(0, 12), 16));
}

/** The shard of a value's row: by hash, whatever the keys are sharded by. */
export function shardOfValue(env: LookupEnv, name: string, value: string): number {
  return keyHashModulo(`${name}\0${value}`, env.port.shardCount);
}

/** Claims by the shards of their keys. */
export async function byShardOfKey(
  env: LookupEnv,
  claims: readonly Claim[],
): Promise<ReadonlyMap<number, readonly Claim[]>> {
  const shards = new Map<Claim, number>();
  for (const claim of claims) shards.set(claim, await env.port.locate(claim.key));
  return groupBy(claims, (claim) => shards.get(claim) as number);
}

export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
