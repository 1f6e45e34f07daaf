/**
 * What a rule finds in a statement, and how names are written in the safe form that it prints.
 */

import type { ColumnDef, Node, RangeVar } from "libpg-query";
import pg from "pg";
import type { SqlStatement } from "./statement.ts";

export interface LockFinding {
  /** Name of the rule, such as `create-index`. */
  readonly rule: string;
  /** The tables (or indexes, types) that it is about: what was made by the same migrations is nobody's yet. */
  readonly objects: readonly string[];
  /** Level and object, such as `SHARE on link`. */
  readonly lock: string;
  /** Whom that stops, and for how long. */
  readonly blocks: string;
  /** The same end without it, as lines of SQL made from the user's own statement. */
  readonly safe: readonly string[];
}

/** What the statements before have done, in this file and those ahead of it. */
export interface RuleContext {
  /** Constraints that this file has added without checking them, as `table.constraint`. */
  readonly uncheckedHere: ReadonlySet<string>;
  /** Columns that a checked constraint says are never null, as `table.column`. */
  readonly neverNull: ReadonlySet<string>;
}

export type LockRule = (statement: SqlStatement, context: RuleContext) => readonly LockFinding[];

/** Words that a name may not be without quotes are few here on purpose: quoting one too many does no harm. */
const plainName = /^[a-z_][a-z0-9_]*$/;
const reserved = new Set(
  "all and any array as asc both case check collate column constraint create default desc distinct do else end except false for foreign from grant group having in initially intersect into lateral leading limit not null offset on only or order placing primary references returning select some symmetric table then to trailing true union unique user using variadic when where window with".split(
    " ",
  ),
);

export function quoted(name: string): string {
  return plainName.test(name) && !reserved.has(name) ? name : pg.escapeIdentifier(name);
}

export function tableOf(relation: RangeVar | undefined): string {
  const name = quoted(relation?.relname ?? "");
  return relation?.schemaname ? `${quoted(relation.schemaname)}.${name}` : name;
}

/** The strings of a list of String nodes, such as the columns of a key. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => ("String" in node ? [node.String.sval ?? ""] : []));
}

/** A name for an index or constraint that the statement left to the server to name, cut to what names may have. */
export function madeName(table: string, columns: readonly string[], suffix: string): string {
  const bare = [table.replace(/^.*\./, ""), ...columns].join("_").replace(/[^A-Za-z0-9_]/g, "");
  return quoted(`${bare.slice(0, 62 - suffix.length)}_${suffix}`.toLowerCase());
}

/** The constraints that stand with a column, by kind. */
export function constraintsOf(column: ColumnDef) {
  return (column.constraints ?? []).flatMap((node) => ("Constraint" in node ? [node.Constraint] : []));
}

/** Rows in pieces, each a transaction of its own, so that no row is locked for long. */
export function inPieces(table: string, change: string, rows: string): string[] {
  return [
    "-- outside of migrations, again and again until no row is left (each a transaction of its own):",
    `${change} where ctid = any (array(select ctid from ${table} where ${rows} limit 1000));`,
  ];
}
