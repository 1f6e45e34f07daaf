/**
 * `holds_key` of one shard: whether a key belongs to it, as SQL. Twin of `shardFinder` in TypeScript.
 *
 * Each strategy has it for a key of text and of integers, for two parts of either, and for any number of parts as
 * text: `holds_key(tenant, id)`, `holds_key(tenant, id::text, kind)`. NULL for a key with a NULL part, so that a
 * CHECK leaves that to NOT NULL.
 */
import pg from "pg";
import type { RangeStrategy, ShardStrategy } from "../../placement/index.ts";

/** Of the shard's own schema, which has to be first in the search path. */
export function holdsKeySql(strategy: ShardStrategy, shard: number, shardCount: number): string {
  switch (strategy.by) {
    case "hash":
      return hashSql(strategy.keyParts, shard, shardCount);
    case "range":
      return firstPartSql(strategy.of === "text" ? ["text"] : ["bigint"], "immutable", (key) =>
        rangeSql(strategy, shard, key),
      );
    case "directory":
      return `create table if not exists holdfast_key (key text collate "C" primary key);
${firstPartSql(["text", "bigint"], "stable", (key) => `exists (select from holdfast_key where key = ${key}::text)`)}`;
  }
}

function hashSql(keyParts: number | undefined, shard: number, shardCount: number): string {
  const isHere = (text: string) => `holdfast.key_shard(${text}, ${shardCount}) = ${shard}`;
  const wanted = keyParts ?? 1;
  const single = wanted === 1 ? isHere("$1::text") : "false";
  const two = keyParts === 1 ? "$1::text" : "holdfast.key_text($1::text, $2::text)";
  const slice = keyParts === undefined ? "$1" : `($1)[1:${keyParts}]`;
  return [
    ...["text", "bigint"].map((type) => functionSql(`key ${type}`, single)),
    ...pairs(["text", "bigint"]).map(([a, b]) =>
      functionSql(`a ${a}, b ${b}`, wanted > 2 ? "false" : isHere(two)),
    ),
    functionSql(
      "variadic parts text[]",
      `case when cardinality($1) < ${wanted} then false else ${isHere(`holdfast.key_text(variadic ${slice})`)} end`,
    ),
  ].join("");
}

/** The first part decides; the others only have to be there. */
function firstPartSql(
  types: readonly string[],
  volatility: "immutable" | "stable",
  isHere: (key: string) => string,
): string {
  const cast = types.includes("text") ? "" : "::bigint";
  return [
    ...types.map((type) => functionSql(`key ${type}`, isHere("$1"), volatility)),
    ...pairs(["text", "bigint"])
      .filter(([a]) => types.includes(a))
      .map(([a, b]) => functionSql(`a ${a}, b ${b}`, isHere("$1"), volatility)),
    functionSql("variadic parts text[]", isHere(`($1)[1]${cast}`), volatility),
  ].join("");
}

function rangeSql({ of, bounds }: RangeStrategy, shard: number, key: string): string {
  const [lower, upper] = [bounds[shard - 1], bounds[shard]];
  const literal = (bound: string) => (of === "text" ? pg.escapeLiteral(bound) : `'${BigInt(bound)}'::bigint`);
  const subject = of === "text" ? `${key} collate "C"` : key;
  const conditions = [
    ...(lower === undefined ? [] : [`${subject} >= ${literal(lower)}`]),
    ...(upper === undefined ? [] : [`${subject} < ${literal(upper)}`]),
  ];
  return conditions.length > 0 ? conditions.join(" and ") : "true";
}

function pairs(types: readonly string[]): [string, string][] {
  return types.flatMap((a) => types.map((b): [string, string] => [a, b]));
}

/** @param body with `$1` …: names of columns would go before those of parameters */
function functionSql(parameters: string, body: string, volatility = "immutable"): string {
  return `create or replace function holds_key(${parameters}) returns boolean
  language sql ${volatility} strict parallel safe return ${body};
`;
}
