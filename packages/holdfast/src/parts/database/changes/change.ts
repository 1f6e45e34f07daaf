/**
 * What a change feed tells: one message for each row that a committed transaction has changed, and markers where a
 * consumer has to know that rows are told anew.
 */
import type { Selectable } from "kysely";

/** A value as JSON has it: what `JSON.stringify` makes of what a read would answer. */
export type JsonOf<Value> = Value extends { toISOString(): string } | bigint | Uint8Array
  ? string
  : Value extends readonly (infer Item)[]
    ? readonly JsonOf<Item>[]
    : Value extends object
      ? { readonly [Name in keyof Value]: JsonOf<Value[Name]> }
      : Value;

/** A row of a table as a message has it. */
export type RowOf<Table> = {
  readonly [Column in keyof Selectable<Table>]: JsonOf<Selectable<Table>[Column]>;
};

/** Where a change came from. */
export interface ChangeOrigin {
  readonly table: string;
  /** Logical shard, from 0. */
  readonly shard: number;
  /** Node that it was committed on. */
  readonly node: string;
  /** Position of the commit in that node's log, such as `0/1A2B3C8`; of a snapshot, the point that it shows. */
  readonly lsn: string;
  /** When it was committed, by the node's clock; of a snapshot, when it was read. ISO 8601. */
  readonly at: string;
  /** Id of the transaction on its node, in decimal. Reused after 2³² transactions. `null` of a snapshot. */
  readonly transaction: string | null;
}

export interface RowChange<Row> extends ChangeOrigin {
  /**
   * - `insert`, `update`, `delete`: what a transaction did. An update of the key is a delete and an insert.
   * - `snapshot`: the row was there when the feed began, or when it was told anew.
   */
  readonly op: "insert" | "update" | "delete" | "snapshot";
  /** The primary key's columns, or those of the table's replica identity. */
  readonly key: Partial<Row>;
  /**
   * The row before, as far as the table's REPLICA IDENTITY keeps it: nothing of an update, and the key of a delete, by
   * default; all of it with REPLICA IDENTITY FULL.
   */
  readonly before: Partial<Row> | null;
  /** The row behind it, without the columns in `unchanged`; `null` of a delete. */
  readonly after: (Row & { readonly [column: string]: unknown }) | null;
  /**
   * Columns that an update did not touch and that are stored apart because they are large: the log does not have them.
   * Keep what you have. With REPLICA IDENTITY FULL there are none.
   */
  readonly unchanged: readonly string[];
}

/** All rows of the shard's table are gone. Told to each partition, in order with the changes of its keys. */
export interface TruncateChange extends ChangeOrigin {
  readonly op: "truncate";
}

/**
 * Told to each partition, for one shard at a time.
 *
 * - `gap`: changes of this shard could not be had, for `reason`. Every row that is there follows as `snapshot`; a row
 *   that was deleted meanwhile is known by its not being among them.
 * - `snapshot-end`: all rows of the shard have been told; what you have besides, of this partition's keys, is deleted.
 */
export interface MarkerChange extends ChangeOrigin {
  readonly op: "gap" | "snapshot-end";
  readonly reason: string | null;
}

export type Change<Row> = RowChange<Row> | TruncateChange | MarkerChange;
