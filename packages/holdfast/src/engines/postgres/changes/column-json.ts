/**
 * From the text of a column to what JSON has of it: parsed as a read of the table parses it, and then as
 * `JSON.stringify` would write it, so that a row of the feed looks like a row that was read and sent.
 *
 * Where JSON has no word for a value it stays text: bytes are base64, `NaN`, `Infinity` and the dates `infinity` are
 * those words.
 */
import { types } from "node:util";
import { rowTypes } from "../query-answer.ts";

/** @param typeOid of the base type, where the column's is a domain */
export function columnJson(typeOid: number, text: string | null): unknown {
  if (text === null) return null;
  const value = rowTypes.getTypeParser(typeOid)(text);
  return jsonOf(value, text);
}

function jsonOf(value: unknown, text: string): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : nameOf(value, text);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? text : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, String(item)));
  return value;
}

/** A date's `infinity` is parsed to a number: its own text says more. */
function nameOf(value: number, text: string): string {
  return /infinity/i.test(text) ? text : String(value);
}
