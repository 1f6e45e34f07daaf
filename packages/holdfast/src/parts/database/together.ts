/**
 * A write on several keys at once: all of it commits or none, whatever shards and nodes the keys are on.
 *
 * Keys of one shard cost what a write costs, and so nearly do several shards of one node. Keys on several nodes take
 * two-phase commit: three flushes one after the other instead of one, and rows that stay locked meanwhile. Choose the
 * shard key so that this is the exception.
 */
import type { Transaction } from "kysely";
import { currentCall, HoldfastError } from "../../call/index.ts";
import { insideTransaction } from "../outbox/index.ts";
import type { Bindable } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";
import type { DatabasePort, ResolvedTogether, ShardKey, TogetherOptions } from "./port.ts";

/** The transactions of the keys that were named. */
export interface Together<Tables> {
  /**
   * The transaction on the shard of `key`; keys of one shard share it.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a key on a shard that none of the named keys is on
   */
  at(key: ShardKey): Transaction<Tables>;
}

export const togetherDefaults = { lockMs: 2_000 } as const;

/** Keys of one transaction: each node more is one more that has to be there. */
export const togetherKeysMax = 64;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once, and what the port throws */
export async function writeTogether<Tables, T>(
  handle: Bindable<DatabasePort>,
  keys: readonly ShardKey[],
  run: (txs: Together<Tables>) => Promise<T>,
  options: TogetherOptions,
): Promise<T> {
  const resolved = resolveTogether(keys, options);
  const port = boundPort(handle);
  // Sorted: what a transaction locks first should not depend on who was named first.
  const shards = [...new Set(keys.map((key) => port.shardOf(key)))].sort((a, b) => a - b);
  return currentWorld(handle).seam.operation(
    "database",
    handle.name,
    "together",
    currentCall(),
    (undone) =>
      port.together(
        shards,
        (txOf) =>
          insideTransaction(() =>
            run({
              at: (key) => {
                const tx = txOf(port.shardOf(key));
                if (!tx) throw notNamed(key);
                return tx;
              },
            }),
          ),
        resolved,
        undone,
      ),
    { shards: shards.join(",") },
  );
}

function resolveTogether(keys: readonly ShardKey[], options: TogetherOptions): ResolvedTogether {
  const { lockMs = togetherDefaults.lockMs, idempotencyKey, fingerprint } = options;
  const problems: string[] = [];
  if (!Array.isArray(keys)) problems.push(`keys should be an array of shard keys, got ${shown(keys)}`);
  else {
    if (keys.length < 1 || keys.length > togetherKeysMax)
      problems.push(
        `keys should be 1 to ${togetherKeysMax} keys, got ${keys.length}: name every key that is used`,
      );
    for (const [index, key] of keys.entries()) {
      if (!isKey(key))
        problems.push(`keys[${index}] should be a string, number or bigint, got ${shown(key)}`);
    }
  }
  if (!(Number.isFinite(lockMs) && lockMs >= 10 && lockMs <= 60_000))
    problems.push(`lockMs should be 10 to 60000 milliseconds, got ${shown(lockMs)}`);
  for (const [name, value] of Object.entries({ idempotencyKey, fingerprint })) {
    if (value !== undefined && typeof value !== "string")
      problems.push(`${name} should be a string, got ${shown(value)}`);
  }
  if (fingerprint !== undefined && idempotencyKey === undefined)
    problems.push("fingerprint belongs to an idempotencyKey: give both, or neither");
  if (problems.length > 0) {
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", `A write on several keys: ${problems.join("; ")}.`, {
      data: { problems },
    });
  }
  return {
    lockMs,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

function isKey(key: unknown): boolean {
  return (
    typeof key === "string" || typeof key === "bigint" || (typeof key === "number" && !Number.isNaN(key))
  );
}

function shown(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? "an array"
      : String(value);
}

function notNamed(key: ShardKey): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `Key ${shown(key).slice(0, 80)} is on a shard that this transaction does not have. Name it among the keys of \`together\`: they have to be known before it begins.`,
    { data: { field: "key" } },
  );
}
