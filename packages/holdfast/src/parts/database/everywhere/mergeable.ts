/**
 * Whether the rows that each shard answers make the answer when they are put together. What counts, groups or cuts
 * rows does so on each shard alone, and the sum of the parts is not the whole.
 */
import type { AggregateFunctionNode, FunctionNode, OperationNode, SelectQueryNode } from "kysely";

/** What of a select keeps its shards' rows from being merged, and what to do instead; `undefined` for nothing. */
export function unmergeable(select: SelectQueryNode): string | undefined {
  const { frontModifiers = [], endModifiers = [], selections = [] } = select;
  if (select.setOperations?.length)
    return "union, intersect and except are taken on each shard alone: ask once for each of the selects";
  if (select.distinctOn || frontModifiers.some((modifier) => modifier.modifier === "Distinct"))
    return "distinct is taken on each shard alone, and equal rows of two shards would come twice: leave it out, or make the rows distinct by the key";
  if (select.groupBy || select.having)
    return "group by and having are taken on each shard alone: use totals, which adds the groups up";
  if (select.limit || select.fetch || select.top || select.offset)
    return "limit and offset are taken on each shard alone: give everywhere its limit, and page with `after`";
  if (select.orderBy) return "order by is taken on each shard alone: give everywhere its orderBy";
  if (endModifiers.length > 0) return "rows cannot be locked across shards: use at(key).write";
  const aggregate = selections.map(findAggregate).find((found) => found !== undefined);
  if (aggregate)
    return `${aggregate} is taken on each shard alone: use totals, which adds up what shards answer`;
  return undefined;
}

const aggregates: ReadonlySet<string> = new Set([
  ...["count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "any_value"],
  ...["array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"],
  ...["row_number", "rank", "dense_rank", "ntile", "lag", "lead", "first_value", "last_value"],
  ...["stddev", "variance", "corr", "mode", "percentile_cont", "percentile_disc"],
]);

/** An aggregate or window function in an expression, outside of selects of their own. */
function findAggregate(node: OperationNode): string | undefined {
  if (node.kind === "SelectQueryNode") return undefined;
  if (node.kind === "AggregateFunctionNode") return (node as AggregateFunctionNode).func;
  if (node.kind === "FunctionNode" && aggregates.has((node as FunctionNode).func.toLowerCase()))
    return (node as FunctionNode).func;
  for (const child of childNodes(node)) {
    const found = findAggregate(child);
    if (found) return found;
  }
  return undefined;
}

/** The nodes that `node` is made of. */
export function childNodes(node: OperationNode): OperationNode[] {
  return Object.values(node)
    .flatMap((field: unknown) => (Array.isArray(field) ? field : [field]))
    .filter(isNode);
}

function isNode(value: unknown): value is OperationNode {
  return typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string";
}
