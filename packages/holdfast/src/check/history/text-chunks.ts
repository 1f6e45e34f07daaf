/** The text of a history: bytes become characters, and characters lines, without ever holding all of it. */
import { createReadStream } from "node:fs";

/** A path, or the text itself in pieces of any size. */
export type HistorySource = string | URL | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

/** Longer than any sane operation; what never ends its line is no history. */
const lineCharsMax = 64 << 20;

export async function* textChunks(source: HistorySource): AsyncGenerator<string> {
  const pieces =
    typeof source === "string" || source instanceof URL
      ? createReadStream(source, { highWaterMark: 1 << 18 })
      : source;
  const decoder = new TextDecoder();
  for await (const piece of pieces) {
    const text = typeof piece === "string" ? piece : decoder.decode(piece, { stream: true });
    if (text !== "") yield text;
  }
  const rest = decoder.decode();
  if (rest !== "") yield rest;
}

export interface Lines {
  /** Number of the first line, from 1. */
  readonly first: number;
  readonly lines: readonly string[];
}

/** @throws {RangeError} when a line is longer than can be held */
export async function* textLines(chunks: AsyncIterable<string>): AsyncGenerator<Lines> {
  let part = "";
  let first = 1;
  for await (const chunk of chunks) {
    const lines = (part + chunk).split("\n");
    part = lines.pop() as string;
    if (part.length > lineCharsMax)
      throw new RangeError(`line ${first + lines.length} is longer than ${lineCharsMax} characters`);
    if (lines.length === 0) continue;
    yield { first, lines };
    first += lines.length;
  }
  if (part !== "") yield { first, lines: [part] };
}
