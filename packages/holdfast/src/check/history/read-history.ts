/** Reads a recorded history from a file or a stream, in any format, a piece at a time. */
import type { HistoryEvent } from "./event.ts";
import type { EventBatch } from "./event-batch.ts";
import { type HistoryFormat, historyFormats, recogniseFormat } from "./format.ts";
import { HistoryUnreadableError } from "./history-error.ts";
import { type PairedHistory, Pairing, type PairingOptions } from "./pairing.ts";
import { type HistorySource, textChunks } from "./text-chunks.ts";

export interface ReadHistoryOptions {
  /** Default: recognised from the content. */
  readonly format?: HistoryFormat;
  /** What messages call it. Default: the path. */
  readonly name?: string;
  /** Told the number of events read so far, now and then. */
  readonly onProgress?: (events: number) => void;
}

/**
 * The events, one after the other. Holds a piece of the file at a time, however long the history is.
 *
 * @throws {HistoryUnreadableError} with the lines that cannot be read, after the events before them
 */
export async function* readHistory(
  source: HistorySource,
  options: ReadHistoryOptions = {},
): AsyncGenerator<HistoryEvent> {
  for await (const { events } of eventBatches(source, options)) yield* events;
}

/**
 * Reads a history and pairs its events into operations.
 *
 * @throws {HistoryUnreadableError} with the lines that cannot be read, or that make no sense together
 */
export async function readOperations(
  source: HistorySource,
  options: ReadHistoryOptions & PairingOptions = {},
): Promise<PairedHistory> {
  const pairing = new Pairing(options);
  for await (const { events, lines } of eventBatches(source, options)) {
    for (let i = 0; i < events.length; i++) pairing.add(events[i] as HistoryEvent, lines[i]);
    options.onProgress?.(pairing.events);
  }
  return pairing.end(nameOf(source, options));
}

/** So much of a file shows its format, whatever the pieces in which it comes. */
const recognisableChars = 1_024;

async function* eventBatches(source: HistorySource, options: ReadHistoryOptions): AsyncGenerator<EventBatch> {
  const name = nameOf(source, options);
  const chunks = textChunks(source);
  let begin = "";
  let format = options.format;
  if (format === undefined) {
    while (begin.trimStart().length < recognisableChars) {
      const { value, done } = await chunks.next();
      if (done) break;
      begin += value;
    }
    format = recogniseFormat(begin, name);
    if (format === undefined)
      throw new HistoryUnreadableError(name, [{ line: 1, problem: "there is no operation in it" }]);
  }
  async function* all() {
    yield begin;
    yield* chunks;
  }
  let events = 0;
  for await (const batch of historyFormats[format].read(all(), name)) {
    events += batch.events.length;
    yield batch;
  }
  if (events === 0)
    throw new HistoryUnreadableError(name, [{ line: 1, problem: "there is no operation in it" }]);
}

function nameOf(source: HistorySource, { name }: ReadHistoryOptions): string {
  if (name !== undefined) return name;
  return typeof source === "string" || source instanceof URL ? String(source) : "given";
}
