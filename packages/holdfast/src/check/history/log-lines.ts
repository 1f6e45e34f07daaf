/**
 * Histories as the lines that `jepsen.util` logs, process, type, function, value and error separated by tabs:
 *
 *   INFO  jepsen.util - 3	:invoke	:cas	[1 2]
 *   2019-10-14 15:27:32,123{GMT}	INFO	[jepsen worker 3] jepsen.util: 3	:info	:cas	[1 2]	:timed-out
 *   3	:ok	:read	nil
 *
 * What other loggers wrote between them, and the stack traces below that, is passed over.
 */
import { EdnParser } from "./edn-parser.ts";
import { ednText } from "./edn-text.ts";
import type { HistoryEvent } from "./event.ts";
import { type EventBatch, LineProblems } from "./event-batch.ts";
import { eventOfRecord } from "./event-of-record.ts";
import { excerpt } from "./history-error.ts";
import { textLines } from "./text-chunks.ts";

const prefix = /^.*?\bjepsen\.util(?:\s-|:)\s+/;
const operation = /^(\d+|:[\w.-]+)\s+:(\w+)\s+:([^\s,;"()[\]{}]+)(?:\s+|$)/;
const foreign = /\b(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\b/;
const timestamp = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?/;

export async function* readLogLines(
  chunks: AsyncIterable<string>,
  source: string,
): AsyncGenerator<EventBatch> {
  const problems = new LineProblems(source);
  let index = 0;
  let belowForeign = false;
  const timeNsOf = timesOfLines();
  for await (const { first, lines } of textLines(chunks)) {
    const batch: EventBatch = { events: [], lines: [] };
    for (let i = 0; i < lines.length; i++) {
      const line = (lines[i] as string).trimEnd();
      if (line === "") continue;
      const said = line.replace(prefix, "");
      if (said === line && !operation.test(line)) {
        if (foreign.test(line)) belowForeign = true;
        if (belowForeign) continue;
      }
      belowForeign = false;
      const event = eventOfText(said, index, timeNsOf(line) ?? index);
      if (Array.isArray(event)) {
        problems.add(first + i, event);
        continue;
      }
      index++;
      batch.events.push(event);
      batch.lines.push(first + i);
    }
    yield batch;
  }
  problems.refuse();
}

export function isLogLine(line: string): boolean {
  return prefix.test(line) || operation.test(line) || (foreign.test(line) && timestamp.test(line));
}

function eventOfText(said: string, index: number, timeNs: number): HistoryEvent | string[] {
  const [head, process = "", type, f] = operation.exec(said) ?? [];
  if (head === undefined)
    return [`expected PROCESS :TYPE :FUNCTION VALUE, such as "3 :invoke :cas [1 2]", got ${excerpt(said)}`];
  const rest = said.slice(head.length);
  const parser = new EdnParser(rest);
  let value: unknown = null;
  try {
    if (parser.peek() !== "") value = parser.form();
  } catch {
    return [`the value cannot be read: ${excerpt(rest)}`];
  }
  const error = rest.slice(parser.position).trim();
  return eventOfRecord(
    {
      process: process.startsWith(":") ? process.slice(1) : Number(process),
      type,
      f,
      value,
      timeNs,
      ...(error === "" ? {} : { error: wholeForm(error) }),
    },
    index,
  );
}

/** An error is one form, or words that a program wrote: then it is kept as they are. */
function wholeForm(text: string): unknown {
  try {
    const parser = new EdnParser(text);
    const value = parser.form();
    return parser.peek() === "" ? value : text;
  } catch {
    return text;
  }
}

/**
 * Nanoseconds from the first second that a line was stamped with, all taken as one time zone: since 1970 they would
 * be more than a double holds exactly.
 */
function timesOfLines(): (line: string) => number | undefined {
  let firstSeconds: number | undefined;
  return (line) => {
    const match = timestamp.exec(line);
    if (!match) return undefined;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
    const seconds = ((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    firstSeconds ??= seconds;
    return (seconds - firstSeconds) * 1e9 + Number((match[7] ?? "").padEnd(9, "0"));
  };
}

/** @see H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": days from civil */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** One line, without its end. A key goes into the value, as `jepsen.independent` has it: `[k v]`. */
export function logLine(event: HistoryEvent): string {
  const { type, process, f, key, value, error } = event;
  const shown = ednText(value, f === "txn");
  const columns = [
    typeof process === "number" ? `${process}` : `:${process}`,
    `:${type}`,
    `:${f}`,
    key === undefined ? shown : `[${ednText(key)} ${shown}]`,
    ...(error === undefined ? [] : [ednText(error)]),
  ];
  return `INFO  jepsen.util - ${columns.join("\t")}`;
}
