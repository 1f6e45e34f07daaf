/**
 * From a key to its shard: by the declared strategy, or by the directory.
 */
import { HoldfastError } from "../../call/index.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import type { DatabasePort, ShardKey } from "../../parts/database/port.ts";
import { keyPartsOf } from "../../parts/database/sharding/shard-key.ts";
import { shardFinder } from "../../placement/index.ts";
import type { Directory } from "./directory.ts";

export function keyLocator(
  { name, options }: AnyDatabase,
  directory: Directory,
): Pick<DatabasePort, "shardOf" | "locate" | "assign"> {
  const { strategy, shardCount } = options;
  const find = shardFinder(strategy, shardCount);
  const partsOf = (key: ShardKey) => keyPartsOf(strategy, key, name);
  if (find) {
    const shardOf = (key: ShardKey) => find(partsOf(key));
    const assign = async () => {
      throw new HoldfastError(
        "HOLDFAST_INPUT_INVALID",
        `database "${name}": assign is for shards by directory, and these are by ${strategy.by}, where each key has its shard already.`,
        { data: { field: "assign" } },
      );
    };
    return { shardOf, locate: shardOf, assign };
  }
  return {
    shardOf(key) {
      const [first = ""] = partsOf(key);
      const known = directory.known(first);
      if (known !== undefined) return known;
      throw new HoldfastError(
        "HOLDFAST_UNROUTABLE",
        `database "${name}": the directory knows the shard of this key, and this process has not asked it yet. Await \`locate()\` of the shard before its index is used.`,
        { data: { database: name } },
      );
    },
    locate(key) {
      const [first = ""] = partsOf(key);
      return directory.known(first) ?? directory.locate(first);
    },
    assign: async (key, how) => directory.assign(partsOf(key)[0] as string, how),
  };
}
