/** From a scan to its warning. Pure. */
import { filterConditions } from "./filter-conditions.ts";
import type { Scan } from "./plan-scans.ts";
import { proposeIndexes } from "./propose-index.ts";
import { clipped, type DevelopmentWarning } from "./warning.ts";

/** What the catalog says of a table. */
export interface TableFacts {
  /** Quoted where it has to be. */
  readonly quoted: string;
  readonly columns: readonly string[];
  /** Its comment has `holdfast: small`: it will never have many rows. */
  readonly small: boolean;
  /** Its partial indexes: read from end to end they have only what is looked for. */
  readonly partialIndexes: readonly string[];
  /** The first column or expression of each other index. */
  readonly indexed: readonly string[];
}

const shapeCharsMax = 300;

/** @returns `undefined` when there is nothing to say */
export function scanWarning(
  database: string,
  shape: string,
  scan: Scan,
  table: TableFacts,
): DevelopmentWarning | undefined {
  if (table.small || (scan.index !== undefined && table.partialIndexes.includes(scan.index)))
    return undefined;
  const statement = `Statement: ${clipped(shape, shapeCharsMax)}`;
  const small = `if ${table.quoted} stays small, say so: comment on table ${table.quoted} is 'holdfast: small'`;
  const conditions = filterConditions(scan.filter ?? "", table.columns, scan.alias);
  // It would have been used if it could; of alternatives, only when all of them have one.
  const isThere = ({ indexed }: { readonly indexed: string | undefined }) =>
    indexed !== undefined && table.indexed.includes(indexed);
  const there = conditions.conditions.filter(isThere);
  const unfit = !conditions.any || there.length === conditions.conditions.length ? there[0] : undefined;
  const indexes = unfit ? [] : proposeIndexes(table.quoted, conditions, table.indexed);
  if (scan.filter === undefined || (scan.joins && unfit))
    return {
      code: "full-scan",
      database,
      about: shape,
      message: `${database}: a statement reads every row of ${table.quoted}, however many there are. Add a where or a limit; ${small}. ${statement}`,
      data: { table: scan.table },
    };
  const named = new Set(conditions.conditions.flatMap((one) => one.columns));
  const columns = table.columns.filter((column) => named.has(column));
  const by = columns.length > 0 ? `by ${columns.join(", ")}` : "by an expression";
  const remedy = unfit
    ? `There is an index on ${unfit.indexed}, but it does not fit: the two sides of the comparison differ in type or collation. Give both columns the same, or cast the other side`
    : indexes.length > 0
      ? `Add to a migration: ${indexes.join("; ")}`
      : "No ordinary index serves the condition as it is written; write it as a comparison of a column, or see the kinds of indexes that Postgres has for it";
  return {
    code: "missing-index",
    database,
    about: shape,
    message: `${database}: no index serves a statement that looks for rows of ${table.quoted} ${by}, so it reads all of them. ${remedy}; ${small}. ${statement}`,
    data: { table: scan.table, columns, indexes },
  };
}
