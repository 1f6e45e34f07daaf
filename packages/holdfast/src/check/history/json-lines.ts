/**
 * Histories as JSON lines: what the recorder writes, one event a line. Whole numbers that a double cannot hold
 * are read and written exactly.
 */
import type { HistoryEvent } from "./event.ts";
import { type EventBatch, LineProblems } from "./event-batch.ts";
import { RecordReader } from "./event-of-record.ts";
import { excerpt } from "./history-error.ts";
import { textLines } from "./text-chunks.ts";

export async function* readJsonLines(
  chunks: AsyncIterable<string>,
  source: string,
): AsyncGenerator<EventBatch> {
  const problems = new LineProblems(source);
  const records = new RecordReader();
  for await (const { first, lines } of textLines(chunks)) {
    const batch: EventBatch = { events: [], lines: [] };
    for (let i = 0; i < lines.length; i++) {
      const text = lines[i] as string;
      if (text === "" || text.trim() === "") continue;
      const event = eventOfLine(text, records);
      if (Array.isArray(event)) {
        problems.add(first + i, event);
        continue;
      }
      batch.events.push(event);
      batch.lines.push(first + i);
    }
    yield batch;
  }
  problems.refuse();
}

function eventOfLine(text: string, records: RecordReader): HistoryEvent | string[] {
  let record: unknown;
  try {
    record = parseExactJson(text);
  } catch (error) {
    return [`not JSON (${(error as Error).message}): ${excerpt(text)}`];
  }
  return records.event(record);
}

/** Sixteen digits in a row may be more than a double holds; only then the slower way is worth it. */
const longNumber = /\d{16}/;

/** JSON, with whole numbers beyond 2^53 as bigints. */
export function parseExactJson(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text);
  return (JSON.parse as ParseWithSource)(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "")
      ? BigInt(source as string)
      : value,
  );
}

/** TypeScript's library does not know the third argument yet, nor `JSON.rawJSON`. */
type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** One line, without its end. */
export function jsonLine(event: HistoryEvent): string {
  const { index, type, process, f, key, value, timeNs, error } = event;
  return JSON.stringify({ index, type, process, f, key, value, timeNs, error }, exactNumbers);
}

function exactNumbers(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return rawJSON(`${value}`);
  // Beyond 2^53 a double written in full would be read as an exact whole number, which it is not.
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value))
    return rawJSON(value.toExponential());
  return value;
}
