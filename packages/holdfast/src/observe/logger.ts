/**
 * A structured logger: what happened, in which part and process, for which request. It never throws and never
 * waits: whoever logs must not fail because of it.
 */
import { currentCall } from "../call/index.ts";
import { type Clock, isoTime } from "../clock/index.ts";
import { formatLogLine, type LogLevel, type LogLine, logLevels } from "./log-line.ts";
import { loggable, loggableError, loggableText } from "./loggable.ts";

export interface LogFields {
  /** What was thrown: written as code, outcome, message, stack and causes. */
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

export type LogSink = (line: string, level: LogLevel) => void;

export interface LoggerOptions {
  readonly clock: Clock;
  /** Takes one line of JSON, without its newline. */
  readonly sink: LogSink;
  /** Lines below it are not written. Default `info`. */
  readonly level?: LogLevel;
  /** On every line: `part`, `instance` … */
  readonly fields?: LogFields;
}

export interface Logger {
  readonly level: LogLevel;
  /** What stamps the lines. */
  readonly clock: Clock;
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
  /** Whether lines of `level` are written: ask before preparing costly fields. */
  writes(level: LogLevel): boolean;
}

export function createLogger({ clock, sink, level = "info", fields = {} }: LoggerOptions): Logger {
  const lowest = logLevels.indexOf(level);
  const writes = (at: LogLevel) => logLevels.indexOf(at) >= lowest;
  const log = (at: LogLevel) => (msg: string, own?: LogFields) => {
    if (!writes(at)) return;
    try {
      sink(formatLogLine(lineOf(clock, at, msg, { ...fields, ...own })), at);
    } catch {
      // A field whose getter throws, or a sink that is broken: the line is lost, the work goes on.
    }
  };
  return {
    level,
    clock,
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    child: (more) => createLogger({ clock, sink, level, fields: { ...fields, ...more } }),
    writes,
  };
}

function lineOf(clock: Clock, level: LogLevel, msg: string, { error, ...fields }: LogFields): LogLine {
  const trace = currentCall()?.trace;
  return {
    time: isoTime(clock.wallMs()),
    level,
    msg: loggableText(msg),
    ...(trace ? { traceId: trace.traceId, spanId: trace.spanId } : {}),
    ...(loggable(fields) as Record<string, unknown>),
    ...(error === undefined ? {} : { error: loggableError(error) }),
  };
}
