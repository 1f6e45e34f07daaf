/**
 * How a database is cut into shards: what is declared, what it comes to, and what is wrong with it.
 */
import { compareUtf8, firstShardMap, type ShardStrategy } from "../../../placement/index.ts";

/** Tables that `route` may address, each with the column, or the columns in order, that make its key. */
export type TableKeys = Readonly<Record<string, string | readonly string[]>>;

interface EveryStrategy {
  /** What `route` finds shards by. Default: no table. */
  readonly keys?: TableKeys;
}

export interface HashShards extends EveryStrategy {
  /** Default `hash`: even, whatever the keys are. Ranges of keys are spread over all shards. */
  readonly by?: "hash";
  /** Number of logical shards, 1 to 1024, fixed for the life of the data. Default 32. */
  readonly count?: number;
  /**
   * How many leading parts of a composite key decide, 1 to 8. With 1, all rows of `["tenant-7", …]` are on the
   * shard of `"tenant-7"`: questions within a tenant go to one shard, and so does all of its load. Default: all.
   */
  readonly keyParts?: number;
}

export interface RangeShards extends EveryStrategy {
  /** Neighbouring keys together. Keys that grow (times, counters) all go to the last shard. */
  readonly by: "range";
  /** What keys are: text, compared by its bytes (collation "C"), or integers of 64 bits. */
  readonly of: "text" | "integer";
  /** 1 to 1023, rising: n bounds make n + 1 shards, and each bound is the first key of the next shard. Fixed. */
  readonly bounds: readonly (string | number | bigint)[];
}

export interface DirectoryShards extends EveryStrategy {
  /** Each key is assigned to a shard once, with `assign`: for tenants and geography. */
  readonly by: "directory";
  /**
   * Shards of each group, 1 to 1024 in all; the order counts, and all of it is fixed. Groups are laid on nodes one
   * by one: with as many nodes as groups, each has its own. One group: `{ all: 32 }`.
   */
  readonly groups: Readonly<Record<string, number>>;
}

export type ShardOptions = HashShards | RangeShards | DirectoryShards;

export const shardDefaults = { shardCount: 32 } as const;
/** Shards of one database. */
export const shardsMax = 1024;
/** Parts of a composite key. */
export const keyPartsMax = 8;

export interface ResolvedShards {
  readonly strategy: ShardStrategy;
  readonly shardCount: number;
  readonly keys: Readonly<Record<string, readonly string[]>>;
}

/** @returns what it comes to, and what is wrong with it; with problems, the former means nothing */
export function resolveShards(
  options: ShardOptions,
  nodes: number,
): ResolvedShards & { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const { strategy, shardCount } = resolveStrategy(options, problems);
  if (!isWholeIn(nodes, 1, shardCount))
    problems.push(
      `nodes should be a whole number from 1 to the number of shards (${shardCount}), got ${nodes}`,
    );
  else if (problems.length === 0) problems.push(...emptyNodes(strategy, shardCount, nodes));
  const keys = resolveKeys(options.keys ?? {}, strategy, problems);
  return { strategy, shardCount, keys, problems };
}

/** The options that make the same strategy: for code that declares a database again. */
export function shardOptionsOf({
  strategy,
  shardCount,
}: Pick<ResolvedShards, "strategy" | "shardCount">): ShardOptions {
  if (strategy.by === "hash") return { ...strategy, count: shardCount };
  if (strategy.by === "range") return strategy;
  return {
    by: "directory",
    groups: Object.fromEntries(strategy.groups.map(({ name, shards }) => [name, shards])),
  };
}

function resolveStrategy(
  options: ShardOptions,
  problems: string[],
): { readonly strategy: ShardStrategy; readonly shardCount: number } {
  refuseForeignFields(options, problems);
  switch (options.by) {
    case undefined:
    case "hash":
      return resolveHash(options, problems);
    case "range":
      return resolveRange(options, problems);
    case "directory":
      return resolveDirectory(options, problems);
    default:
      problems.push(
        `shards.by should be "hash", "range" or "directory", got ${JSON.stringify((options as { by: unknown }).by)}`,
      );
      return { strategy: { by: "hash" }, shardCount: shardDefaults.shardCount };
  }
}

const fieldsOf = {
  hash: ["by", "count", "keyParts", "keys"],
  range: ["by", "of", "bounds", "keys"],
  directory: ["by", "groups", "keys"],
} as const;

/** A field of another strategy would be passed over in silence. */
function refuseForeignFields(options: ShardOptions, problems: string[]): void {
  const by = options.by ?? "hash";
  const own: readonly string[] | undefined = fieldsOf[by];
  if (!own) return;
  for (const [field, value] of Object.entries(options)) {
    if (value !== undefined && !own.includes(field))
      problems.push(`shards.${field} means nothing for "${by}", which has ${own.join(", ")}: leave it out`);
  }
}

function resolveHash({ count = shardDefaults.shardCount, keyParts }: HashShards, problems: string[]) {
  if (!isWholeIn(count, 1, shardsMax))
    problems.push(`shards.count should be a whole number from 1 to ${shardsMax}, got ${count}`);
  if (keyParts !== undefined && !isWholeIn(keyParts, 1, keyPartsMax))
    problems.push(`shards.keyParts should be a whole number from 1 to ${keyPartsMax}, got ${keyParts}`);
  const strategy: ShardStrategy = keyParts === undefined ? { by: "hash" } : { by: "hash", keyParts };
  return { strategy, shardCount: count };
}

function resolveRange({ of, bounds }: RangeShards, problems: string[]) {
  if (of !== "text" && of !== "integer")
    problems.push(`shards.of should be "text" or "integer", got ${JSON.stringify(of)}`);
  const given: readonly unknown[] = Array.isArray(bounds) ? bounds : [];
  if (given.length < 1 || given.length > shardsMax - 1)
    problems.push(`shards.bounds should be a list of 1 to ${shardsMax - 1} bounds, got ${given.length}`);
  const texts = given.map((bound, index) => {
    const problem = of === "integer" ? integerProblem(bound) : textProblem(bound);
    if (problem) problems.push(`shards.bounds[${index}] ${problem}`);
    return String(bound);
  });
  if (problems.length === 0) {
    for (const [index, text] of texts.entries()) {
      const before = texts[index - 1];
      if (before === undefined) continue;
      const isRising = of === "integer" ? BigInt(before) < BigInt(text) : compareUtf8(before, text) < 0;
      if (!isRising)
        problems.push(
          `shards.bounds should rise, but [${index}] ${JSON.stringify(text)} does not come behind ${JSON.stringify(before)}`,
        );
    }
  }
  return { strategy: { by: "range", of, bounds: texts } as const, shardCount: texts.length + 1 };
}

function resolveDirectory({ groups }: DirectoryShards, problems: string[]) {
  const entries = Object.entries(groups ?? {});
  if (entries.length === 0) problems.push("shards.groups should have a group at least, such as { all: 32 }");
  for (const [name, shards] of entries) {
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
      problems.push(
        `shards.groups: ${JSON.stringify(name)} should be 1 to 63 of a-z, 0-9 and -, beginning with a letter`,
      );
    if (!isWholeIn(shards, 1, shardsMax))
      problems.push(`shards.groups.${name} should be a whole number from 1 to ${shardsMax}, got ${shards}`);
  }
  const shardCount = entries.reduce((sum, [, shards]) => sum + shards, 0);
  if (shardCount > shardsMax)
    problems.push(`shards.groups should come to at most ${shardsMax} shards, got ${shardCount}`);
  const strategy: ShardStrategy = {
    by: "directory",
    groups: entries.map(([name, shards]) => ({ name, shards })),
  };
  return { strategy, shardCount };
}

/** A node without a shard would be a server that does nothing. */
function emptyNodes(strategy: ShardStrategy, shardCount: number, nodes: number): string[] {
  const names = Array.from({ length: nodes }, (_, node) => `${node + 1}`);
  const used = new Set(firstShardMap(strategy, names, shardCount).shards);
  if (used.size === nodes) return [];
  return [
    `nodes: ${nodes} leaves ${nodes - used.size} without a shard, because groups do not share nodes while there are enough: use fewer nodes, or more shards in the smaller groups`,
  ];
}

function resolveKeys(
  keys: TableKeys,
  strategy: ShardStrategy,
  problems: string[],
): Readonly<Record<string, readonly string[]>> {
  const most = strategy.by === "hash" ? (strategy.keyParts ?? 1) : 1;
  const resolved = Object.entries(keys).map(([table, given]) => {
    const columns: readonly unknown[] = Array.isArray(given) ? given : [given];
    const field = `shards.keys.${table}`;
    if (columns.length < 1 || columns.length > keyPartsMax)
      problems.push(`${field} should name 1 to ${keyPartsMax} columns, got ${columns.length}`);
    else if (columns.length < most)
      problems.push(`${field} should name at least ${most} columns, because keyParts is ${most}`);
    for (const column of columns) {
      if (typeof column !== "string" || column === "" || column.includes("\0"))
        problems.push(`${field} should be the names of columns, got ${JSON.stringify(column)}`);
    }
    if (new Set(columns).size !== columns.length) problems.push(`${field} names a column twice`);
    return [table, columns as readonly string[]] as const;
  });
  return Object.fromEntries(resolved);
}

/** @returns what is wrong with text that Postgres is to compare, without its field */
export function textProblem(value: unknown): string | undefined {
  if (typeof value !== "string") return `should be text, got ${shown(value)}`;
  if (value === "") return "should not be empty";
  if (value.includes("\0")) return "should have no NUL character: Postgres cannot keep it";
  if (!value.isWellFormed()) return "should be well-formed text, but half of a surrogate pair is missing";
  return undefined;
}

const int8Min = -(2n ** 63n);
const int8Max = 2n ** 63n - 1n;

/** @returns what is wrong with an integer of 64 bits, without its field; decimal text counts, as int8 is read as text */
export function integerProblem(value: unknown): string | undefined {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return undefined;
    return Number.isInteger(value)
      ? `is not exact as a number beyond 2^53 - 1: give ${value} as a bigint or as text`
      : `should be a whole number, got ${value}`;
  }
  const isDecimal = typeof value === "string" && /^(?:0|-?[1-9]\d{0,18})$/.test(value);
  if (typeof value !== "bigint" && !isDecimal) return `should be an integer, got ${shown(value)}`;
  const integer = BigInt(value as bigint | string);
  return integer < int8Min || integer > int8Max ? `should be within 64 bits, got ${value}` : undefined;
}

/** A value as it may stand in a message: short, on one line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null || typeof value !== "object")
    return `${typeof value === "function" ? "a function" : String(value)}`;
  return Array.isArray(value)
    ? `an array of ${value.length}`
    : `an object (${value.constructor?.name ?? "no class"})`;
}

function isWholeIn(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
