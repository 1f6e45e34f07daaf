/**
 * Writes log lines to a stream that may be slow or broken. Lines wait in at most a megabyte of memory; what
 * does not fit is dropped and counted, and the count is written when there is room again.
 */
import type { Writable } from "node:stream";
import { type Clock, isoTime } from "../clock/index.ts";
import { formatLogLine } from "./log-line.ts";
import type { LogSink } from "./logger.ts";

const waitingBytesMax = 1 << 20;

export function streamSink(stream: Writable, clock: Clock): LogSink {
  let dropped = 0;
  let broken = false;
  // The reader is gone (EPIPE): there is nobody left to tell, and it must not end the process.
  stream.on("error", () => {
    broken = true;
  });
  return (line) => {
    if (broken || !stream.writable) return;
    if (stream.writableLength > waitingBytesMax) {
      dropped++;
      return;
    }
    if (dropped > 0) {
      const time = isoTime(clock.wallMs());
      const msg = `${dropped} log lines were dropped: their reader is too slow`;
      dropped = 0;
      stream.write(`${formatLogLine({ time, level: "warn", msg })}\n`);
    }
    stream.write(`${line}\n`);
  };
}
