/**
 * Asks many shards, a few of each node at a time, and waits for all of them.
 *
 * Each shard is asked on its own: there is no snapshot that they have in common.
 */
import type { Kysely } from "kysely";
import { Call, currentCall, HoldfastError, inCall } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { AnyTables } from "../port.ts";
import type { ReadOptions } from "../read-options.ts";
import { shown } from "../sharding/shard-options.ts";

/** A database as those see it who ask all of its shards. */
export interface ScatterDatabase {
  readonly name: string;
  /** What it is bound to: facts that are learned of the one say nothing of another. */
  readonly engine: object;
  readonly clock: Clock;
  readonly shardCount: number;
  nodeOf(shard: number): string;
  read<T>(shard: number, how: ReadOptions, run: (sql: Kysely<AnyTables>) => Promise<T>): Promise<T>;
}

export interface ScatterOptions extends ReadOptions {
  /** Which shards are asked. Default: all. `between` gives those of a range of keys. */
  readonly shards?: readonly (number | { readonly index: number })[];
  /**
   * What a shard that does not answer means: `refuse` (default) fails the whole and stops asking; `report` answers
   * with what the others have and names it in `failed`. Where the call has a deadline, `report` gives the shards
   * nine tenths of the time left, so that there is still somebody to report to. What no shard could answer, such as
   * a column that does not exist, and a write that was lost, is thrown either way.
   */
  readonly onFailure?: "refuse" | "report";
  /** Shards of one node that are asked at the same time, 1 to 64. Default 4: more takes connections from others. */
  readonly atOncePerNode?: number;
}

export interface ShardFailure {
  readonly shard: number;
  readonly node: string;
  readonly error: HoldfastError;
}

export interface Scattered<T> {
  /** By shard, rising. */
  readonly answers: ReadonlyMap<number, T>;
  /** By shard, rising. Empty unless failures are reported. */
  readonly failed: readonly ShardFailure[];
}

export const scatterDefaults = { onFailure: "refuse", atOncePerNode: 4 } as const;

/** @returns the shards to ask, rising, each once */
export function resolveScatter(
  options: ScatterOptions,
  shardCount: number,
  problems: string[],
): readonly number[] {
  const { onFailure, atOncePerNode, shards } = options;
  if (onFailure !== undefined && onFailure !== "refuse" && onFailure !== "report")
    problems.push(`onFailure should be "refuse" or "report", got ${shown(onFailure)}`);
  if (atOncePerNode !== undefined && !isWholeIn(atOncePerNode, 1, 64))
    problems.push(`atOncePerNode should be a whole number from 1 to 64, got ${shown(atOncePerNode)}`);
  if (shards === undefined) return Array.from({ length: shardCount }, (_, shard) => shard);
  if (!Array.isArray(shards) || shards.length === 0) {
    problems.push("shards should be a list of one shard at least; leave it out to ask all");
    return [];
  }
  const indexes = shards.map((shard: unknown) =>
    typeof shard === "object" && shard !== null && "index" in shard ? shard.index : shard,
  );
  for (const index of indexes) {
    if (!isWholeIn(index, 0, shardCount - 1))
      problems.push(`shards should be whole numbers from 0 to ${shardCount - 1}, got ${shown(index)}`);
  }
  return [...new Set(indexes as number[])].sort((a, b) => a - b);
}

/**
 * @param ask for one shard; runs in a call of its own, with the caller's session
 * @throws {HoldfastError} what the first failing shard threw, after all others have ended
 */
export async function scatter<T>(
  database: ScatterDatabase,
  shards: readonly number[],
  options: ScatterOptions,
  ask: (shard: number) => Promise<T>,
): Promise<Scattered<T>> {
  const { onFailure = scatterDefaults.onFailure, atOncePerNode = scatterDefaults.atOncePerNode } = options;
  const outer = currentCall();
  outer?.throwIfOver();
  const reports = onFailure === "report";
  const leftMs = outer?.remainingMs() ?? Number.POSITIVE_INFINITY;
  const stop = new AbortController();
  using call = new Call(
    database.clock,
    { signal: stop.signal, ...(reports && Number.isFinite(leftMs) ? { timeoutMs: leftMs * 0.9 } : {}) },
    outer,
  );
  const answers = new Map<number, T>();
  const failed: ShardFailure[] = [];
  let fatal: { readonly error: unknown } | undefined;
  const work = async (node: string, waiting: number[]): Promise<void> => {
    for (let shard = waiting.shift(); shard !== undefined && !fatal; shard = waiting.shift()) {
      try {
        answers.set(shard, await ask(shard));
      } catch (error) {
        if (reports && isOfShard(error)) failed.push({ shard, node, error });
        else if (!fatal) {
          fatal = { error };
          stop.abort(error);
        }
      }
    }
  };
  await inCall(call, () =>
    Promise.all(
      [...byNode(database, shards)].flatMap(([node, own]) =>
        Array.from({ length: Math.min(atOncePerNode, own.length) }, () => work(node, own)),
      ),
    ),
  );
  if (fatal) throw (fatal as { readonly error: unknown }).error;
  // Over is over: nobody waits for a report any more.
  outer?.throwIfOver();
  return {
    answers: new Map([...answers].sort(([a], [b]) => a - b)),
    failed: failed.sort((a, b) => a.shard - b.shard),
  };
}

/** Whether it says something of the one shard, and nothing of the question. */
function isOfShard(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && (!error.permanent || error.code === "HOLDFAST_DEADLINE");
}

function byNode(database: ScatterDatabase, shards: readonly number[]): Map<string, number[]> {
  const nodes = new Map<string, number[]>();
  for (const shard of shards) {
    const node = database.nodeOf(shard);
    const own = nodes.get(node);
    if (own) own.push(shard);
    else nodes.set(node, [shard]);
  }
  return nodes;
}

function isWholeIn(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}
