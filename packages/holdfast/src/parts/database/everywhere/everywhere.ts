/**
 * `everywhere`: a page of the rows of all shards, in one order.
 *
 * Each shard gives the first rows of its own, and they are merged (`gather-page.ts`). The next page
 * begins behind the last row, by its values and its shard, not by counting, so that what is inserted or deleted in
 * between shifts nothing. Shards are asked each on their own: there is no snapshot that they have in common.
 */
import type { Kysely, SelectQueryNode } from "kysely";
import { LRUCache } from "lru-cache";
import { HoldfastError } from "../../../call/index.ts";
import { compiled, compileOnly } from "../compile-only.ts";
import type { AnyTables } from "../port.ts";
import { readProblems } from "../read-options.ts";
import { shown } from "../sharding/shard-options.ts";
import { type Cursor, cursorCharsMax, cursorScope, formatCursor, parseCursor } from "./cursor.ts";
import { comparatorOf, cursorValues, gatherPage, type Item } from "./gather-page.ts";
import { unmergeable } from "./mergeable.ts";
import { type OrderBy, type OrderColumn, type OrderFacts, resolveOrder } from "./order-by.ts";
import { orderTypeNames, orderTypes } from "./order-type.ts";
import { describeColumns, type Select } from "./page-query.ts";
import { resolveScatter, type ScatterDatabase, type ScatterOptions, type ShardFailure } from "./scatter.ts";

export interface EverywhereOptions<Column extends string = string> extends ScatterOptions {
  /**
   * 1 to 16 columns of the select, most significant first. Together they should be unique on each shard (end with
   * the primary key): where a page would end between two rows that are equal in all of them, it is refused. Text is
   * ordered by its bytes (collation "C"), which an index serves where the column has that collation.
   */
  readonly orderBy: readonly OrderBy<Column>[];
  /** Rows of a page, 1 to 10_000. Each shard gives one more at most, and all of them are in memory. Default 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string | undefined;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Where the next page begins; `undefined` when there is nothing more on the shards that answered. */
  readonly next: string | undefined;
  /**
   * Shards that did not answer, when failures are reported. Their rows are missing in this page, and pages behind it
   * do not bring them: ask for this page again to have them.
   */
  readonly failed: readonly ShardFailure[];
}

export const everywhereDefaults = { limit: 100, limitMax: 10_000 } as const;

/** Types of order columns by query and order, for each engine that was asked: as long as the schema is the same. */
const describedOf = new WeakMap<object, LRUCache<string, readonly OrderFacts[]>>();

/**
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once, and nothing was sent; HOLDFAST_UNROUTABLE
 *   for what shards cannot answer by themselves
 */
export async function everywhere<Row>(
  database: ScatterDatabase,
  options: EverywhereOptions,
  build: (sql: Kysely<AnyTables>) => unknown,
): Promise<Page<Row>> {
  const problems: string[] = [];
  const columns = resolveOrder(options.orderBy, problems);
  const limit = options.limit ?? everywhereDefaults.limit;
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= everywhereDefaults.limitMax))
    problems.push(
      `limit should be a whole number from 1 to ${everywhereDefaults.limitMax}, got ${shown(limit)}`,
    );
  const shards = resolveScatter(options, database.shardCount, problems);
  problems.push(...readProblems(options));
  const select = build(compileOnly) as Select;
  const query = compiled(select);
  const node = query?.query as SelectQueryNode | undefined;
  if (!query || node?.kind !== "SelectQueryNode")
    problems.push("the function should give back a select, built and not executed");
  const scope = cursorScope(database.name, query?.sql ?? "", columns);
  const cursor =
    options.after === undefined
      ? undefined
      : parseCursor(options.after, scope, columns.length, database.shardCount);
  if (typeof cursor === "string") problems.push(`after ${cursor}`);
  if (problems.length > 0 || !node) throw invalid(database, problems);
  const reason = unmergeable(node);
  if (reason) throw unroutable(database, reason);

  const after = cursor as Cursor | undefined;
  const described = describedOf.get(database.engine) ?? new LRUCache({ max: 1_000 });
  describedOf.set(database.engine, described);
  let known = described.get(scope);
  // Back once they have proved right.
  described.delete(scope);
  if (known && after) checkValues(database, after, known);
  const names = columns.map(({ column }) => column);
  const gathered = await gatherPage(database, {
    select,
    columns,
    count: limit + 1,
    shards,
    after,
    options,
    facts: async (db) => {
      if (known) return known;
      const found = factsOf(database, columns, await describeColumns(db, select, node, names));
      if (after) checkValues(database, after, found);
      known = found;
      return found;
    },
  });
  const { items, facts, failed } = gathered;
  if (!facts) return { rows: [], next: undefined, failed };
  described.set(scope, facts);
  return {
    rows: ownColumns(items.slice(0, limit)) as Row[],
    next: items.length > limit ? nextCursor(database, scope, columns, facts, items, limit) : undefined,
    failed,
  };
}

function nextCursor(
  database: ScatterDatabase,
  scope: string,
  columns: readonly OrderColumn[],
  facts: readonly OrderFacts[],
  items: readonly Item[],
  limit: number,
): string {
  const [last, behind] = [items[limit - 1] as Item, items[limit] as Item];
  const compare = comparatorOf(columns, facts);
  if (last.shard === behind.shard && compare(last.values, behind.values) === 0)
    throw invalid(database, [
      `orderBy: two rows of shard ${last.shard} are equal in ${columns.map(({ column }) => column).join(", ")}, and the page would end between them, so that one of them would be passed over: add a column that is unique, such as the primary key`,
    ]);
  const cursor = formatCursor({ values: cursorValues(last, facts), shard: last.shard }, scope);
  if (cursor.length > cursorCharsMax)
    throw invalid(database, [
      `orderBy: the values of the last row make a cursor of ${cursor.length} characters, and ${cursorCharsMax} are the most: order by something shorter`,
    ]);
  return cursor;
}

function factsOf(
  database: ScatterDatabase,
  columns: readonly OrderColumn[],
  found: Awaited<ReturnType<typeof describeColumns>>,
): readonly OrderFacts[] {
  const problems: string[] = [];
  const facts = columns.map(({ column }, index) => {
    const {
      oid,
      type: name,
      not_null: notNull,
    } = found[index] ?? { oid: 0, type: "unknown", not_null: false };
    const type = orderTypes.get(oid);
    if (!type)
      problems.push(
        `orderBy: ${column} is of type ${name}, which cannot be merged: cast it in the select to one of ${orderTypeNames}`,
      );
    return { type, notNull };
  });
  if (problems.length > 0) throw invalid(database, problems);
  return facts as OrderFacts[];
}

/** Values of a cursor that a client made or changed. */
function checkValues(database: ScatterDatabase, { values }: Cursor, facts: readonly OrderFacts[]): void {
  const isWrong = facts.some(({ type }, index) => {
    const value = values[index] ?? null;
    return value !== null && !type.pattern.test(value);
  });
  if (isWrong) throw invalid(database, ["after is no cursor: it has been changed"]);
}

/** Rows as the select has them, without what they were merged by. */
function ownColumns(items: readonly Item[]): Record<string, unknown>[] {
  const names = Object.keys(items[0]?.row ?? {}).filter((name) => !name.startsWith("holdfast_"));
  return items.map(({ row }) => {
    const own: Record<string, unknown> = {};
    for (const name of names) own[name] = row[name];
    return own;
  });
}

export function invalid(database: ScatterDatabase, problems: readonly string[]): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `database "${database.name}": ${problems.join("; ")}.`, {
    data: { problems },
  });
}

export function unroutable(database: ScatterDatabase, reason: string): HoldfastError {
  return new HoldfastError("HOLDFAST_UNROUTABLE", `database "${database.name}": ${reason}.`, {
    data: { reason },
  });
}
