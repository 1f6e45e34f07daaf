/** From decoded changes to the messages of a feed: which key, which partition, which JSON. */
import type { Change, ChangeOrigin, RowChange } from "../../../parts/database/changes/change.ts";
import { partitionOf } from "../../../parts/topic/partition-of.ts";
import type { AppendMessage } from "../log-append.ts";
import { columnJson } from "./column-json.ts";
import type { PgoutputMessage, TupleText } from "./pgoutput.ts";

export interface FeedColumn {
  readonly name: string;
  /** Of the base type, where the column's is a domain. */
  readonly typeOid: number;
  readonly key: boolean;
}

/** A feed's table in one shard, as far as messages need it. */
export interface FeedTable {
  readonly table: string;
  readonly shard: number;
  readonly columns: readonly FeedColumn[];
}

/** What is the same for all changes of a transaction. */
export type ChangeContext = Pick<ChangeOrigin, "node" | "lsn" | "at" | "transaction">;

type Row = Record<string, unknown>;
type RowMessage = Extract<PgoutputMessage, { readonly kind: "insert" | "update" | "delete" }>;

/** The messages of one row that was changed: two when its key has changed, else one. */
export function rowMessages(
  of: FeedTable,
  context: ChangeContext,
  change: RowMessage,
  partitions: number,
): AppendMessage[] {
  const message = (op: RowChange<Row>["op"], keyOf: TupleText, told: Told) =>
    rowMessage(of, context, partitions, op, keyOf, told);
  if (change.kind === "insert")
    return [message("insert", change.after, { before: undefined, after: change.after })];
  if (change.kind === "delete") {
    const { tuple } = change.before;
    return [message("delete", tuple, { before: change.before, after: undefined })];
  }
  const { before } = change;
  if (!before) return [message("update", change.after, { before: undefined, after: change.after })];
  // The key of a row may be stored apart too: then it was told as the old one.
  const after = change.after.map((value, n) =>
    value === undefined && (before.of === "O" || of.columns[n]?.key) ? before.tuple[n] : value,
  );
  const sameKey = of.columns.every(({ key }, n) => !key || before.tuple[n] === after[n]);
  if (sameKey) return [message("update", after, { before, after })];
  return [
    message("delete", before.tuple, { before, after: undefined }),
    message("insert", after, { before: undefined, after }),
  ];
}

/** A row that is there. */
export function snapshotMessage(
  of: FeedTable,
  context: ChangeContext,
  row: TupleText,
  partitions: number,
): AppendMessage {
  return rowMessage(of, context, partitions, "snapshot", row, { before: undefined, after: row });
}

/** Something that concerns every key of a shard: told to each partition. */
export function shardMessages(
  of: Pick<FeedTable, "table" | "shard">,
  context: ChangeContext,
  what: { readonly op: "truncate" } | { readonly op: "gap" | "snapshot-end"; readonly reason: string | null },
  partitions: number,
): AppendMessage[] {
  const change: Change<Row> = { ...what, table: of.table, shard: of.shard, ...context };
  const json = JSON.stringify(change);
  return Array.from({ length: partitions }, (_, partition) => plainMessage(partition, "", json));
}

interface Told {
  readonly before: { readonly of: "K" | "O"; readonly tuple: TupleText } | undefined;
  readonly after: TupleText | undefined;
}

function rowMessage(
  of: FeedTable,
  context: ChangeContext,
  partitions: number,
  op: RowChange<Row>["op"],
  keyOf: TupleText,
  { before, after }: Told,
): AppendMessage {
  const change: RowChange<Row> = {
    op,
    table: of.table,
    shard: of.shard,
    key: rowOf(of, keyOf, ({ key }) => key),
    before: before ? rowOf(of, before.tuple, ({ key }) => key || before.of === "O") : null,
    after: after ? rowOf(of, after, () => true) : null,
    unchanged: after ? of.columns.flatMap(({ name }, n) => (after[n] === undefined ? [name] : [])) : [],
    ...context,
  };
  const key = keyText(of, keyOf);
  return plainMessage(partitionOf(key, partitions), key, JSON.stringify(change));
}

function rowOf(of: FeedTable, tuple: TupleText, wanted: (column: FeedColumn) => boolean): Row {
  // `__proto__` is a column like any other.
  const row: [string, unknown][] = [];
  for (const [n, column] of of.columns.entries()) {
    const text = tuple[n];
    if (text !== undefined && wanted(column)) row.push([column.name, columnJson(column.typeOid, text)]);
  }
  return Object.fromEntries(row);
}

const keyCharsMax = 255;

/** Keys that are longer share a partition, and so an order, with those that begin alike. */
function keyText(of: FeedTable, tuple: TupleText): string {
  const parts = of.columns.flatMap(({ key }, n) => (key ? [tuple[n] ?? null] : []));
  const text = parts.length === 1 ? (parts[0] ?? "") : JSON.stringify(parts);
  return text.slice(0, keyCharsMax);
}

function plainMessage(partition: number, key: string, json: string): AppendMessage {
  return { partition, key, json, traceparent: undefined, session: undefined };
}
