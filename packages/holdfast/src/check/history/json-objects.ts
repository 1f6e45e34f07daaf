/**
 * Histories as JSON of any layout: an array of operations, or one object after another, each over as many lines as
 * it likes. What is one event a line is read by `json-lines.ts`, which is faster.
 */
import { type EventBatch, LineProblems } from "./event-batch.ts";
import { RecordReader } from "./event-of-record.ts";
import { excerpt } from "./history-error.ts";
import { parseExactJson } from "./json-lines.ts";

/** An object that is longer than this is not one operation. */
const objectCharsMax = 16 << 20;

export async function* readJsonObjects(
  chunks: AsyncIterable<string>,
  source: string,
): AsyncGenerator<EventBatch> {
  const problems = new LineProblems(source);
  const records = new RecordReader();
  const scan = new ObjectScan();
  for await (const chunk of chunks) {
    const batch: EventBatch = { events: [], lines: [] };
    for (const { text, line, stray } of scan.read(chunk)) {
      const event = stray ? [`expected an object, got ${excerpt(text)}`] : eventOf(text, records);
      if (Array.isArray(event)) {
        problems.add(line, event);
        continue;
      }
      batch.events.push(event);
      batch.lines.push(line);
    }
    yield batch;
  }
  const unfinished = scan.unfinished();
  if (unfinished) problems.add(unfinished.line, [unfinished.problem]);
  problems.refuse();
}

function eventOf(text: string, records: RecordReader) {
  try {
    return records.event(parseExactJson(text));
  } catch (error) {
    return [`not JSON (${(error as Error).message}): ${excerpt(text)}`];
  }
}

interface Found {
  readonly text: string;
  readonly line: number;
  /** Whether it stands where only objects, commas and the array's brackets may. */
  readonly stray: boolean;
}

/** Finds where objects begin and end, without understanding them: by braces outside of strings. */
class ObjectScan {
  #line = 1;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #text = "";
  #beganOnLine = 1;
  /** `before` the array's bracket, or of none; `in` an array; `after` its end. */
  #array: "before" | "in" | "after" = "before";

  *read(chunk: string): Generator<Found> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const char = chunk[at] as string;
      if (char === "\n") this.#line++;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === "\\") this.#escaped = true;
        else if (char === '"') this.#inString = false;
      } else if (this.#depth > 0) {
        if (char === '"') this.#inString = true;
        else if (char === "{") this.#depth++;
        else if (char === "}" && --this.#depth === 0) {
          yield { text: this.#text + chunk.slice(from, at + 1), line: this.#beganOnLine, stray: false };
          this.#text = "";
        }
      } else if (char === "{" && this.#array !== "after") {
        this.#depth = 1;
        this.#beganOnLine = this.#line;
        from = at;
      } else if (char === "[" && this.#array === "before") this.#array = "in";
      else if (char === "]" && this.#array === "in") this.#array = "after";
      else if (!/[\s,\uFEFF]/.test(char)) {
        yield { text: chunk.slice(at, at + 60), line: this.#line, stray: true };
      }
    }
    if (this.#depth > 0) this.#text += chunk.slice(from);
    if (this.#text.length > objectCharsMax)
      throw new RangeError(
        `the object on line ${this.#beganOnLine} is longer than ${objectCharsMax} characters`,
      );
  }

  /** To be asked at the end of the text. */
  unfinished(): { readonly line: number; readonly problem: string } | undefined {
    if (this.#depth > 0)
      return { line: this.#beganOnLine, problem: "the object that begins here never ends" };
    if (this.#array === "in")
      return { line: this.#line, problem: 'the array is never closed: "]" is missing' };
    return undefined;
  }
}
