/**
 * `totals`: aggregates over all shards, each taken on its shard and added up here.
 *
 * Only what adds up is answered: count, sum, min, max, bool_and and bool_or, with or without GROUP BY. An average
 * is a sum and a count; distinct values of two shards may be the same ones.
 */
import type {
  AggregateFunctionNode,
  AliasNode,
  CompiledQuery,
  GroupByNode,
  Kysely,
  OperationNode,
  SelectQueryNode,
} from "kysely";
import { sql } from "kysely";
import { compiled, compileOnly } from "../compile-only.ts";
import type { AnyTables } from "../port.ts";
import { readProblems } from "../read-options.ts";
import { invalid, unroutable } from "./everywhere.ts";
import { orderTypeNames, orderTypes } from "./order-type.ts";
import { type ColumnFacts, describeColumns, type Select } from "./page-query.ts";
import {
  resolveScatter,
  type ScatterDatabase,
  type ScatterOptions,
  type ShardFailure,
  scatter,
} from "./scatter.ts";

export type TotalsOptions = ScatterOptions;

export interface Totals<Row> {
  /** One row, or one for each group, in no order. Values are of the types that a shard would answer. */
  readonly rows: readonly Row[];
  /** Shards that did not answer, when failures are reported: what they have is in no total. */
  readonly failed: readonly ShardFailure[];
}

/** Groups that one shard may answer. */
export const groupsMax = 10_000;

/** What is done with a column: part of the group's name, or added up by a function. */
interface Column {
  readonly name: string;
  readonly combine: "group" | "count" | "sum" | "min" | "max" | "bool_and" | "bool_or";
}

type Combine = (a: unknown, b: unknown, texts: readonly [string, string]) => unknown;

interface Group {
  readonly row: Record<string, unknown>;
  readonly texts: (string | null)[];
}

/**
 * @throws {HoldfastError} HOLDFAST_UNROUTABLE for what does not add up; HOLDFAST_INPUT_INVALID
 */
export async function totals<Row>(
  database: ScatterDatabase,
  options: TotalsOptions,
  build: (sql: Kysely<AnyTables>) => unknown,
): Promise<Totals<Row>> {
  const problems: string[] = [];
  const shards = resolveScatter(options, database.shardCount, problems);
  problems.push(...readProblems(options));
  const select = build(compileOnly) as Select;
  const query = compiled(select);
  const node = query?.query as SelectQueryNode | undefined;
  if (!query || node?.kind !== "SelectQueryNode")
    problems.push("the function should give back a select, built and not executed");
  if (problems.length > 0 || !node) throw invalid(database, problems);
  const columns = columnsOf(node);
  if (typeof columns === "string") throw unroutable(database, columns);

  let plan: Plan | undefined;
  const { answers, failed } = await scatter(database, shards, options, (shard) =>
    database.read(shard, options, async (db) => {
      plan ??= await planTotals(database, db, select, node, columns);
      const { rows } = await db.executeQuery(plan.query);
      if (rows.length > groupsMax)
        throw invalid(database, [
          `totals: shard ${shard} has more than ${groupsMax} groups, which would have to be in memory: group by less, or ask within a range`,
        ]);
      return rows;
    }),
  );
  const groups = new Map<string, Group>();
  for (const rows of answers.values())
    for (const row of rows) addRow(groups, row, columns, plan?.combiners ?? []);
  return { rows: [...groups.values()].map(({ row }) => row as Row), failed };
}

/** The columns of a select whose shards' rows add up, or the reason why they do not. */
function columnsOf(select: SelectQueryNode): readonly Column[] | string {
  if (select.setOperations?.length) return "union, intersect and except do not add up: ask for each select";
  if (select.distinctOn || select.frontModifiers?.length)
    return "distinct does not add up: two shards may have the same values. Group by the columns instead";
  if (select.having)
    return "having is decided on each shard alone, before anything is added up: filter the rows of the answer";
  if (select.limit || select.fetch || select.top || select.offset || select.orderBy)
    return "order by, limit and offset are taken on each shard alone: order and cut the rows of the answer";
  const groupedBy = groupColumns(select.groupBy);
  if (!groupedBy) return "group by should name columns: of anything else groups cannot be told apart here";
  const columns: Column[] = [];
  for (const { selection } of select.selections ?? []) {
    const column = columnOf(selection, groupedBy);
    if (typeof column === "string") return column;
    columns.push(column);
  }
  const missing = [...groupedBy].filter(
    (name) => !columns.some((column) => column.combine === "group" && column.name === name),
  );
  if (missing.length > 0)
    return `group by ${missing.join(", ")} should be in the select too, under that name: otherwise groups cannot be told apart here`;
  if (columns.length === 0) return "a select of totals should have a column";
  return columns;
}

/** @returns the names that are grouped by; `undefined` when something is no column */
function groupColumns(groupBy: GroupByNode | undefined): ReadonlySet<string> | undefined {
  const names = (groupBy?.items ?? []).map((item) => columnName(item.groupBy));
  return names.includes(undefined) ? undefined : new Set(names as string[]);
}

function columnName(node: OperationNode): string | undefined {
  const column =
    node.kind === "ReferenceNode" ? (node as OperationNode & { column: OperationNode }).column : node;
  return column.kind === "ColumnNode"
    ? (column as OperationNode & { column: { name: string } }).column.name
    : undefined;
}

const combined: ReadonlySet<string> = new Set(["count", "sum", "min", "max", "bool_and", "bool_or"]);

function columnOf(selection: OperationNode, groupedBy: ReadonlySet<string>): Column | string {
  const isAlias = selection.kind === "AliasNode";
  const node = isAlias ? (selection as AliasNode).node : selection;
  const alias = isAlias
    ? ((selection as AliasNode).alias as OperationNode & { name?: string }).name
    : undefined;
  if (node.kind === "AggregateFunctionNode") {
    const { func, distinct, over } = node as AggregateFunctionNode;
    if (!alias) return `${func} should have a name: .as("…")`;
    if (over) return `${alias}: a window is taken on each shard alone`;
    if (distinct)
      return `${alias}: distinct does not add up, because two shards may have the same values. Group by the column, and count the rows of the answer`;
    if (func === "avg") return `${alias}: averages do not add up. Select sum and count, and divide`;
    if (!combined.has(func))
      return `${alias}: ${func} does not add up. Use one of ${[...combined].join(", ")}`;
    return { name: alias, combine: func as Column["combine"] };
  }
  const name = columnName(node);
  if (name === undefined)
    return `${alias ?? "a column"} is neither an aggregate of the query builder nor a column that is grouped by, so that nobody knows how it adds up`;
  if (!groupedBy.has(name)) return `${name} should be in group by, or in an aggregate`;
  if (alias !== undefined && alias !== name)
    return `${name} is grouped by and should keep its name, so that groups can be told apart`;
  return { name, combine: "group" };
}

const page = sql.id("holdfast_page");

/** What every shard is asked, and how the answers add up. */
interface Plan {
  readonly query: CompiledQuery<Record<string, unknown>>;
  readonly combiners: readonly Combine[];
}

async function planTotals(
  database: ScatterDatabase,
  db: Kysely<AnyTables>,
  select: Select,
  node: SelectQueryNode,
  columns: readonly Column[],
): Promise<Plan> {
  const names = columns.map(({ name }) => name);
  const facts = await describeColumns(db, select, node, names);
  const problems: string[] = [];
  const combiners = columns.map((column, index) => combinerOf(column, facts[index], problems));
  if (problems.length > 0) throw invalid(database, problems);
  const texts = names.map((name, index) => {
    const column = sql`${page}.${sql.id(name)}`;
    const isTime = orderTypes.get(facts[index]?.oid ?? 0)?.epoch;
    return sql`${isTime ? sql`extract(epoch from ${column})` : column}::text as ${sql.id(`holdfast_${index}`)}`;
  });
  const query = sql<Record<string, unknown>>`select ${page}.*, ${sql.join(texts)} from (${select}) as ${page}
    limit ${groupsMax + 1}`.compile(compileOnly);
  return { query, combiners };
}

function combinerOf({ name, combine }: Column, facts: ColumnFacts | undefined, problems: string[]): Combine {
  const { oid = 0, type = "unknown" } = facts ?? {};
  switch (combine) {
    case "group":
      return (a) => a;
    case "bool_and":
      return (a, b) => a === true && b === true;
    case "bool_or":
      return (a, b) => a === true || b === true;
    case "count":
    case "sum":
      if (oid === 20 || oid === 1700) return (_a, _b, [a, b]) => addDecimals(a, b);
      if (oid !== 700 && oid !== 701)
        problems.push(`${name}: sums of type ${type} do not add up here: cast to numeric or float8`);
      return (a, b) => Number(a) + Number(b);
    case "min":
    case "max": {
      const order = orderTypes.get(oid);
      if (!order)
        problems.push(
          `${name}: values of type ${type} cannot be compared here: cast to one of ${orderTypeNames}`,
        );
      const sign = combine === "min" ? 1 : -1;
      return (a, b, [left, right]) => (sign * (order?.compare(left, right) ?? 0) <= 0 ? a : b);
    }
  }
}

function addRow(
  groups: Map<string, Group>,
  row: Record<string, unknown>,
  columns: readonly Column[],
  combiners: readonly Combine[],
): void {
  const texts = columns.map((_, index) => (row[`holdfast_${index}`] ?? null) as string | null);
  const own = Object.fromEntries(columns.map(({ name }) => [name, row[name]]));
  const key = JSON.stringify(texts.filter((_, index) => columns[index]?.combine === "group"));
  const group = groups.get(key);
  if (!group) {
    groups.set(key, { row: own, texts });
    return;
  }
  for (const [index, { name }] of columns.entries()) {
    const [before, now] = [group.texts[index] ?? null, texts[index] ?? null];
    if (now === null) continue;
    if (before === null) {
      group.row[name] = own[name];
      group.texts[index] = now;
      continue;
    }
    const sum = combiners[index]?.(group.row[name], own[name], [before, now]);
    // Either one of the two, whose text is known, or a sum, which is its own text.
    group.texts[index] = sum === group.row[name] ? before : sum === own[name] ? now : String(sum);
    group.row[name] = sum;
  }
}

/** Sum of two decimals, exact, with the digits behind the point that the longer one has. */
export function addDecimals(a: string, b: string): string {
  const special = [a, b].filter((text) => /[a-z]/i.test(text));
  if (special.length > 0) {
    if (special.includes("NaN") || new Set(special).size > 1) return "NaN";
    return special[0] as string;
  }
  const digits = Math.max(fractionDigits(a), fractionDigits(b));
  const sum = scaled(a, digits) + scaled(b, digits);
  const text = (sum < 0n ? -sum : sum).toString().padStart(digits + 1, "0");
  const sign = sum < 0n ? "-" : "";
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

function fractionDigits(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

function scaled(text: string, digits: number): bigint {
  return BigInt(text.replace(".", "") + "0".repeat(digits - fractionDigits(text)));
}
