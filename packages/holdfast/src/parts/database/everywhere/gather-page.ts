/**
 * Gathers the first rows of all shards in one order.
 *
 * Of a page of 1000 rows each of 8 shards has about 125, so each is asked for somewhat more than its share first. A
 * shard whose rows are used up before the page is full is asked for more; none for more than the page has, and one.
 */
import type { Kysely } from "kysely";
import { HoldfastError } from "../../../call/index.ts";
import type { AnyTables } from "../port.ts";
import type { Cursor } from "./cursor.ts";
import { mergeSorted } from "./merge-sorted.ts";
import { type OrderColumn, type OrderFacts, type OrderValues, rowComparator } from "./order-by.ts";
import { cursorName, pageQuery, type Select, valueName } from "./page-query.ts";
import { type ScatterDatabase, type ScatterOptions, type ShardFailure, scatter } from "./scatter.ts";

/** A row, and what it is merged by. */
export interface Item {
  readonly shard: number;
  readonly values: OrderValues;
  readonly row: Record<string, unknown>;
}

export interface PageRequest {
  readonly select: Select;
  readonly columns: readonly OrderColumn[];
  /** Rows wanted in all. */
  readonly count: number;
  readonly shards: readonly number[];
  readonly after: Cursor | undefined;
  readonly options: ScatterOptions;
  /** What the order columns are; asked of the first shard that is reached, if it is not known. */
  facts(db: Kysely<AnyTables>): Promise<readonly OrderFacts[]>;
}

export interface Gathered {
  readonly items: readonly Item[];
  /** `undefined` when no shard answered. */
  readonly facts: readonly OrderFacts[] | undefined;
  readonly failed: readonly ShardFailure[];
}

/** What a shard has given so far. */
interface Given {
  readonly items: readonly Item[];
  readonly isAll: boolean;
}

export async function gatherPage(database: ScatterDatabase, request: PageRequest): Promise<Gathered> {
  const { count, options, columns } = request;
  const given = new Map<number, Given>();
  const failed: ShardFailure[] = [];
  let facts: readonly OrderFacts[] | undefined;
  let asking = request.shards;
  for (;;) {
    const { answers, failed: missing } = await scatter(database, asking, options, (shard) =>
      database.read(shard, options, async (db) => {
        facts = await request.facts(db);
        return askMore(request, facts, db, shard, given.get(shard));
      }),
    );
    for (const [shard, more] of answers) given.set(shard, more);
    // What it gave before it failed is only a part of what it has.
    for (const failure of missing) given.delete(failure.shard);
    failed.push(...missing);
    if (!facts) return { items: [], facts, failed };
    const items = merge(
      columns,
      facts,
      [...given].sort(([a], [b]) => a - b).map(([, { items }]) => items),
      count,
    );
    asking = usedUp(items, given, count);
    if (asking.length === 0) return { items, facts, failed };
  }
}

/** Shards of which the page may hold more than they have given. */
function usedUp(items: readonly Item[], given: ReadonlyMap<number, Given>, count: number): number[] {
  const used = new Map<number, number>();
  for (const { shard } of items) used.set(shard, (used.get(shard) ?? 0) + 1);
  return [...given].flatMap(([shard, { items: own, isAll }]) => {
    const isOpen = !isAll && used.get(shard) === own.length;
    // Behind the last row of a full page nothing is wanted.
    return isOpen && !(items.length === count && items.at(-1)?.shard === shard) ? [shard] : [];
  });
}

async function askMore(
  { select, columns, count, shards, after }: PageRequest,
  facts: readonly OrderFacts[],
  db: Kysely<AnyTables>,
  shard: number,
  before: Given | undefined,
): Promise<Given> {
  const last = before?.items.at(-1);
  const compare = comparatorOf(columns, facts);
  // Rows that are equal to the last one may not all have come: they come again, all of them.
  const kept = last ? (before?.items ?? []).filter((item) => compare(item.values, last.values) !== 0) : [];
  const share = Math.ceil((count / shards.length) * 1.5) + 8;
  const wanted = last ? count - kept.length : Math.min(count, share);
  // Rows equal to the cursor's come before it on earlier shards, and behind it on later ones.
  const from = last
    ? { cursor: { values: cursorValues(last, facts), shard }, inclusive: true }
    : after && { cursor: after, inclusive: shard > after.shard };
  const { rows } = await db.executeQuery(pageQuery(select, columns, facts, wanted, from));
  const items = rows.map((row): Item => ({ shard, row, values: orderValues(row, columns.length) }));
  return { items: [...kept, ...items], isAll: rows.length < wanted || kept.length + rows.length >= count };
}

/** The first rows of all. */
function merge(
  columns: readonly OrderColumn[],
  facts: readonly OrderFacts[],
  lists: readonly (readonly Item[])[],
  count: number,
): Item[] {
  const compare = comparatorOf(columns, facts);
  try {
    return mergeSorted(lists, count, (a, b) => compare(a.values, b.values));
  } catch (cause) {
    // A column got another type since this process asked for it.
    throw new HoldfastError(
      "HOLDFAST_SQL_RETRY",
      "A shard's rows are not in the order of the types that its columns had before. Ask again.",
      { cause },
    );
  }
}

export function comparatorOf(columns: readonly OrderColumn[], facts: readonly OrderFacts[]) {
  return rowComparator(
    columns,
    facts.map(({ type }) => type),
  );
}

/** A row's values as a cursor takes them. */
export function cursorValues({ row }: Item, facts: readonly OrderFacts[]): OrderValues {
  return facts.map((fact, index) => textOf(row[cursorName(index, fact)]));
}

function orderValues(row: Record<string, unknown>, count: number): OrderValues {
  const values: (string | null)[] = [];
  for (let index = 0; index < count; index++) values.push(textOf(row[valueName(index)]));
  return values;
}

function textOf(value: unknown): string | null {
  return (value ?? null) as string | null;
}
