import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { lineCharsMax, readLines } from "./read-lines.ts";

async function linesOf(...chunks: (string | Buffer)[]): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await once(stream, "close");
  return lines;
}

test("lines come whole, however they were cut up on the way", async () => {
  const bytes = Buffer.from("één\r\ntwee\n\ndrie");
  const everyByte = [...bytes].map((byte) => Buffer.from([byte]));
  expect(await linesOf(...everyByte)).toEqual(["één", "twee", "", "drie"]);
  expect(await linesOf(bytes)).toEqual(["één", "twee", "", "drie"]);
});

test("a line without an end is cut, and the next one is whole again", async () => {
  const long = "x".repeat(lineCharsMax - 10);
  const [first, second, ...rest] = await linesOf(long, long, long, "\nnext\n");
  expect(first?.length).toBeLessThan(lineCharsMax + 20);
  expect(first).toMatch(/… \(cut\)$/);
  expect([second, ...rest]).toEqual(["next"]);
});
