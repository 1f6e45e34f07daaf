/**
 * Which shards a range of keys touches, where shards are ranges of keys.
 */
import { HoldfastError } from "../../../call/index.ts";
import { type ShardStrategy, shardFinder } from "../../../placement/index.ts";
import type { KeyPart } from "../port.ts";
import { keyPartsOf } from "./shard-key.ts";

/**
 * @param name of the database
 * @returns rising
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID
 */
export function shardsBetween(
  name: string,
  { strategy, shardCount }: { readonly strategy: ShardStrategy; readonly shardCount: number },
  from: KeyPart | null,
  to: KeyPart | null,
): number[] {
  const find = shardFinder(strategy, shardCount);
  if (strategy.by !== "range" || !find)
    throw invalid(
      name,
      `between is for shards by range, and these are by ${strategy.by}: ask every shard with everywhere`,
    );
  const first = from === null ? 0 : find(keyPartsOf(strategy, from, name));
  const last = to === null ? shardCount - 1 : find(keyPartsOf(strategy, to, name));
  if (first > last) throw invalid(name, `from ${from} comes behind to ${to}: give them in the other order`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function invalid(name: string, problem: string): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `database "${name}": ${problem}.`, {
    data: { field: "between", problems: [problem] },
  });
}
