/**
 * Lines of a stream, in bounded memory: a program that never ends its line must not fill its supervisor. A
 * line that is too long is cut, and the cut is marked.
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** In characters. Longer than any line of the structured log. */
export const lineCharsMax = 64 << 10;
const cutMark = " … (cut)";

export function readLines(stream: Readable, take: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let part = "";
  let cut = false;
  const end = (line: string) => {
    take(cut ? line + cutMark : line);
    cut = false;
  };
  stream.on("data", (chunk: Buffer) => {
    const [first = "", ...rest] = decoder.write(chunk).split("\n");
    part += first;
    for (const next of rest) {
      end(part.endsWith("\r") ? part.slice(0, -1) : part);
      part = next;
    }
    if (part.length > lineCharsMax) {
      part = part.slice(0, lineCharsMax);
      cut = true;
    }
  });
  stream.once("close", () => {
    part += decoder.end();
    if (part !== "") end(part);
    part = "";
  });
  // The pipe of a process that was killed may end with an error; what came before it counts.
  stream.on("error", () => {});
}
