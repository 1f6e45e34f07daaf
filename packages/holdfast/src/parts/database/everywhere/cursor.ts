/**
 * Cursors: where a page ended, so that the next begins right behind it. The last row's values of the order columns
 * and its shard, as text that a client may keep and send back.
 *
 * A cursor is no secret and no proof: it says no more than the row did, anybody can read or make one, and its values
 * go to the server as parameters only. It belongs to one query in one order, and is refused by any other.
 */
import { keyHash } from "../../../placement/index.ts";
import type { OrderColumn, OrderValues } from "./order-by.ts";

export interface Cursor {
  readonly values: OrderValues;
  readonly shard: number;
}

/** Longest cursor, in characters: what fits into a URL. */
export const cursorCharsMax = 4_096;

/** What a cursor is bound to: the database, the text of the query without its values, and the order. */
export function cursorScope(database: string, query: string, columns: readonly OrderColumn[]): string {
  return keyHash(JSON.stringify([database, query, columns])).toString(36);
}

export function formatCursor({ values, shard }: Cursor, scope: string): string {
  return Buffer.from(JSON.stringify([scope, shard, ...values])).toString("base64url");
}

/** @returns the cursor, or what is wrong with it, without its field */
export function parseCursor(
  text: unknown,
  scope: string,
  columns: number,
  shardCount: number,
): Cursor | string {
  if (typeof text !== "string") return "should be a cursor that a page answered as `next`";
  if (text.length > cursorCharsMax)
    return `should have at most ${cursorCharsMax} characters, got ${text.length}`;
  const parsed = parse(text);
  if (!parsed) return "is no cursor: give it as a page answered it";
  const [own, shard, ...values] = parsed;
  if (own !== scope)
    return "belongs to another query, or to another order: begin without it, or ask what it was made for";
  const isWhole = Number.isInteger(shard) && (shard as number) >= 0 && (shard as number) < shardCount;
  const areTexts = values.every((value) => value === null || typeof value === "string");
  if (!isWhole || values.length !== columns || !areTexts) return "is no cursor: it has been changed";
  return { shard: shard as number, values: values as OrderValues };
}

function parse(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
