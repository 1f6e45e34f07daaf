/**
 * From any value to one that may be written down: JSON, bounded in depth, length and number, and without
 * secrets. Secrets are known by the names of their fields, and by the shapes that strings carry them in.
 */
import { isDate } from "node:util/types";
import { HoldfastError } from "../call/index.ts";
import type { LoggedError } from "./log-line.ts";

const secretName =
  /pass(word|wd|phrase)|secret|token|authori[sz]ation|cookie|credential|api[-_]?key|private[-_]?key/i;
const redacted = "[redacted]";
const depthMax = 6;
const itemsMax = 100;
const charsMax = 4096;
const causesMax = 5;

export function loggable(value: unknown, depth = 0, above: readonly unknown[] = []): unknown {
  if (typeof value === "string") return loggableText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return loggableError(value);
  if (isDate(value)) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (value instanceof URL) return loggableText(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (above.includes(value)) return "[circular]";
  if (depth >= depthMax) return "[deeper]";
  const path = [...above, value];
  if (Array.isArray(value) || value instanceof Set) {
    const items = [...value];
    const kept = items.slice(0, itemsMax).map((item) => loggable(item, depth + 1, path));
    return items.length > itemsMax ? [...kept, `[${items.length - itemsMax} more]`] : kept;
  }
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  const kept = entries.slice(0, itemsMax).map(([name, part]): [string, unknown] => {
    const key = String(name);
    return [key, secretName.test(key) && part !== undefined ? redacted : loggable(part, depth + 1, path)];
  });
  if (entries.length > itemsMax) kept.push(["…", `${entries.length - itemsMax} more`]);
  return Object.fromEntries(kept);
}

/** Credentials inside of URLs and authorization headers are taken out; long texts are cut. */
export function loggableText(text: string): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}… (${text.length - charsMax} more)` : text;
  return cut
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/@]+@/gi, `$1:${redacted}@`)
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/g, `$1 ${redacted}`)
    .replace(/([?&](?:[\w-]*(?:token|secret|password|api[-_]?key|signature))=)[^&\s"]+/gi, `$1${redacted}`);
}

/** An error and its causes: code and outcome first, the stack without its first lines, which are the message. */
export function loggableError(error: unknown, causes = 0): LoggedError {
  if (!(error instanceof Error)) return { message: loggableText(String(describe(error))) };
  const code = "code" in error && error.code !== undefined ? String(error.code) : undefined;
  const frames = error.stack?.slice(Math.max(0, error.stack.indexOf("\n    at ") + 1));
  return {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    ...(error instanceof HoldfastError ? { outcome: error.outcome } : {}),
    message: loggableText(error.message),
    ...(error instanceof HoldfastError && Object.keys(error.data).length > 0
      ? { data: loggable(error.data, 1) }
      : {}),
    ...(frames?.startsWith("    at ") ? { stack: loggableText(frames) } : {}),
    ...(error.cause !== undefined && causes < causesMax
      ? { cause: loggableError(error.cause, causes + 1) }
      : {}),
  };
}

function describe(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null ? JSON.stringify(loggable(thrown)) : thrown;
}
