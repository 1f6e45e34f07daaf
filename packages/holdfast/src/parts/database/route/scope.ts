/**
 * What a query draws from: its tables under the names that it gives them, and the columns that references mean.
 */
import type { AliasNode, ColumnNode, JoinNode, OperationNode, ReferenceNode, TableNode } from "kysely";

/** A table of the query, or a select in its place. */
export interface Source {
  /** As the query calls it. */
  readonly name: string;
  /** The table's own name; `undefined` for a select. */
  readonly table: string | undefined;
  /** The select in its place. */
  readonly select: OperationNode | undefined;
  /** How it is joined to those before it; `undefined` for FROM. */
  readonly join: JoinNode | undefined;
}

/** The sources of a select, and of the selects that it is a part of. */
export interface Scope {
  readonly sources: readonly Source[];
  readonly outer: Scope | undefined;
}

/** A column of a source, of which there is one object for each place in the query. */
export interface Column {
  readonly source: Source;
  readonly name: string;
}

/** @returns the source, or why it cannot be one */
export function sourceOf(node: OperationNode, join?: JoinNode): Source | string {
  const isAlias = node.kind === "AliasNode";
  const inner = isAlias ? (node as AliasNode).node : node;
  const alias = isAlias ? nameOf((node as AliasNode).alias) : undefined;
  if (inner.kind === "TableNode") {
    const { schema, identifier } = (inner as TableNode).table;
    if (schema)
      return `"${schema.name}"."${identifier.name}" names a schema, and a table's schema is its shard: leave it out`;
    return { name: alias ?? identifier.name, table: identifier.name, select: undefined, join };
  }
  if (inner.kind === "SelectQueryNode" && alias)
    return { name: alias, table: undefined, select: inner, join };
  return `${inner.kind === "RawNode" ? "raw SQL" : inner.kind} in the place of a table says nothing of where its rows are: use at(key)`;
}

function nameOf(node: OperationNode): string | undefined {
  return node.kind === "IdentifierNode" ? (node as OperationNode & { name: string }).name : undefined;
}

/** The column that a reference means. A bare name belongs to the only source, where there is one. */
export function referenceOf(node: OperationNode, scope: Scope): Column | undefined {
  const isReference = node.kind === "ReferenceNode";
  const column = isReference ? (node as ReferenceNode).column : node;
  if (column.kind !== "ColumnNode") return undefined;
  const { name } = (column as ColumnNode).column;
  const table = isReference ? (node as ReferenceNode).table : undefined;
  if (table) {
    const source = findSource(table.table.identifier.name, scope);
    return source && { source, name };
  }
  const [only] = scope.sources;
  return scope.sources.length === 1 && only ? { source: only, name } : undefined;
}

function findSource(name: string, scope: Scope | undefined): Source | undefined {
  return scope && (scope.sources.find((source) => source.name === name) ?? findSource(name, scope.outer));
}
