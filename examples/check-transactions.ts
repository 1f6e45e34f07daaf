/**
 * Which isolation did a database give? Two transactions that each missed what the other wrote: write skew.
 *
 *   node examples/check-transactions.ts
 */
import {
  type EventType,
  findChecker,
  type HistoryEvent,
  pairEvents,
  verdictHtml,
  verdictWords,
} from "holdfast/check";

const events: HistoryEvent[] = [];
function event(type: EventType, process: number, value: unknown) {
  events.push({ index: events.length, timeNs: events.length * 1_000, type, process, f: "txn", value });
}

const doctorA = [
  ["r", "on call", []],
  ["append", "off call", 1],
];
const doctorB = [
  ["r", "off call", []],
  ["append", "on call", 1],
];
event("invoke", 0, doctorA);
event("invoke", 1, doctorB);
event("ok", 0, doctorA);
event("ok", 1, doctorB);

const { operations } = pairEvents(events);
for (const consistency of ["snapshot-isolation", "serializable"]) {
  const result = findChecker("list-append")?.check(operations, { consistency });
  if (!result) continue;
  console.log(verdictWords(result).join("\n"), "\n");
  console.log(`as a page: ${verdictHtml(result).length} characters`);
}
