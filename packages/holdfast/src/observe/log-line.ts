/**
 * One line of a log: a JSON object on a line of its own, so that programs need no parser of ours and people
 * get it rendered (`render.ts`).
 */

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogLine {
  /** ISO 8601 in UTC, milliseconds. */
  readonly time: string;
  readonly level: LogLevel;
  readonly msg: string;
  /** Name of the part, such as `links`. */
  readonly part?: string;
  /** Name of the process, such as `api-1`. */
  readonly instance?: string;
  /** The request this line belongs to: 32 hexadecimal digits. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly error?: LoggedError;
  readonly [field: string]: unknown;
}

export interface LoggedError {
  readonly name?: string;
  /** Stable, such as `HOLDFAST_DEADLINE`, or a system's own. */
  readonly code?: string;
  readonly outcome?: string;
  readonly message: string;
  readonly stack?: string;
  readonly data?: unknown;
  readonly cause?: LoggedError;
}

/** Largest line in bytes. Pipes, collectors and people all prefer lines that fit. */
export const lineBytesMax = 16 << 10;

/** As one line of JSON; of a line that is too large only what identifies it stays. */
export function formatLogLine(line: LogLine): string {
  const text = JSON.stringify(line);
  if (Buffer.byteLength(text) <= lineBytesMax) return text;
  const { time, level, part, instance, traceId, spanId, error } = line;
  return JSON.stringify({
    time,
    level,
    msg: line.msg.slice(0, 2048),
    part,
    instance,
    traceId,
    spanId,
    ...(error
      ? { error: { code: error.code, outcome: error.outcome, message: error.message.slice(0, 2048) } }
      : {}),
    cutFromBytes: Buffer.byteLength(text),
  });
}

/** @returns undefined when `text` is not a line of such a log: something else wrote it */
export function parseLogLine(text: string): LogLine | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const line: unknown = JSON.parse(text);
    return isLogLine(line) ? line : undefined;
  } catch {
    return undefined;
  }
}

function isLogLine(value: unknown): value is LogLine {
  if (typeof value !== "object" || value === null) return false;
  const { time, level, msg } = value as Record<string, unknown>;
  return (
    typeof time === "string" && typeof msg === "string" && (logLevels as readonly unknown[]).includes(level)
  );
}
