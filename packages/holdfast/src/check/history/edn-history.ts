/**
 * Histories as EDN: Jepsen's `history.edn` (one map a line, a vector of maps, or `#jepsen.history.Op{…}`), and
 * the key-value histories of Porcupine and its relatives, whose maps have a `:key`.
 */
import { EdnParser, EdnSyntaxError, incomplete } from "./edn-parser.ts";
import { ednKeyword, ednText } from "./edn-text.ts";
import type { HistoryEvent } from "./event.ts";
import { type EventBatch, LineProblems } from "./event-batch.ts";
import { RecordReader } from "./event-of-record.ts";
import { HistoryUnreadableError } from "./history-error.ts";

/** A form that is longer than this is not one operation. */
const formCharsMax = 16 << 20;

export async function* readEdnHistory(
  chunks: AsyncIterable<string>,
  source: string,
): AsyncGenerator<EventBatch> {
  const forms = new FormReader(source);
  for await (const chunk of chunks) yield forms.read(chunk, false);
  yield forms.read("", true);
}

/** Holds the text of a form that has not ended, the bracket around all of them, and how far it has counted. */
class FormReader {
  readonly #source: string;
  readonly #problems: LineProblems;
  readonly #records = new RecordReader();
  #text = "";
  /** Number of the line on which `#text` begins. */
  #line = 1;
  /** What closes the sequence that holds all operations, when there is one. */
  #closing: string | undefined;
  #closed = false;
  #began = false;
  /** Reading a long form again and again, a piece longer each time, would take quadratic time. */
  #waitForChars = 0;

  constructor(source: string) {
    this.#source = source;
    this.#problems = new LineProblems(source);
  }

  read(chunk: string, final: boolean): EventBatch {
    const batch: EventBatch = { events: [], lines: [] };
    this.#text += chunk;
    if (!final && this.#text.length < this.#waitForChars) return batch;
    const parser = new EdnParser(this.#text, final);
    let done = 0;
    let line = this.#line;
    const lineAt = (offset: number) => {
      line += newlines(this.#text, done, offset);
      done = offset;
      return line;
    };
    try {
      for (;;) {
        const next = parser.peek();
        if (next === "") break;
        const formLine = lineAt(parser.position);
        if (this.#bracket(next, parser, formLine)) continue;
        const event = this.#records.event(parser.form());
        if (Array.isArray(event)) this.#problems.add(formLine, event);
        else {
          this.#began = true;
          batch.events.push(event);
          batch.lines.push(formLine);
        }
      }
      lineAt(parser.position);
    } catch (error) {
      if (error instanceof EdnSyntaxError) this.#refuse(lineAt(error.offset), error.message);
      if (error !== incomplete) throw error;
      if (final) this.#refuse(line, "the form that begins here never ends");
      if (this.#text.length - done > formCharsMax)
        this.#refuse(line, `the form that begins here is longer than ${formCharsMax} characters`);
    }
    this.#text = this.#text.slice(done);
    this.#line = line;
    this.#waitForChars = this.#text.length * 2;
    if (final) this.#end();
    return batch;
  }

  /** @returns whether the next character only begins or ends the sequence that holds all operations */
  #bracket(next: string, parser: EdnParser, line: number): boolean {
    if (this.#closed) this.#refuse(line, "text follows after the end of the vector of operations");
    if (!this.#began && this.#closing === undefined && (next === "[" || next === "(")) {
      this.#closing = next === "[" ? "]" : ")";
    } else if (this.#closing !== undefined && next === this.#closing) this.#closed = true;
    else return false;
    parser.position++;
    return true;
  }

  #end(): void {
    if (this.#closing !== undefined && !this.#closed)
      this.#refuse(this.#line, `the vector of operations is never closed: "${this.#closing}" is missing`);
    this.#problems.refuse();
  }

  #refuse(line: number, problem: string): never {
    this.#problems.add(line, [problem]);
    this.#problems.refuse();
    throw new HistoryUnreadableError(this.#source, [{ line, problem }]);
  }
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at !== -1 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** One line, without its end. */
export function ednLine(event: HistoryEvent): string {
  const { index, type, process, f, key, value, timeNs, error } = event;
  const fields = [
    `:process ${typeof process === "number" ? process : ednKeyword(process)}`,
    `:type :${type}`,
    `:f ${ednKeyword(f)}`,
    ...(key === undefined ? [] : [`:key ${ednText(key)}`]),
    `:value ${ednText(value, f === "txn")}`,
    `:time ${ednText(timeNs)}`,
    `:index ${index}`,
    ...(error === undefined ? [] : [`:error ${ednText(error)}`]),
  ];
  return `{${fields.join(", ")}}`;
}
