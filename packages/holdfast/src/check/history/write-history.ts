/** Events as text, in any of the formats that can be read. */
import type { HistoryEvent } from "./event.ts";
import { type HistoryFormat, historyFormats } from "./format.ts";

/** One event as one line, without the line's end. */
export function formatEvent(event: HistoryEvent, format: HistoryFormat = "json-lines"): string {
  return historyFormats[format].line(event);
}

/** The text of a history, some thousand events at a time: for `pipeline` into a file. */
export async function* formatHistory(
  events: Iterable<HistoryEvent> | AsyncIterable<HistoryEvent>,
  format: HistoryFormat = "json-lines",
): AsyncGenerator<string> {
  const { line } = historyFormats[format];
  let text = "";
  for await (const event of events) {
    text += `${line(event)}\n`;
    if (text.length > 1 << 16) {
      yield text;
      text = "";
    }
  }
  if (text !== "") yield text;
}
