/**
 * A log line for people:
 *
 *   12:34:56.789 WARN  api-1  write failed  part=links durationMs=12  trace 4bf92f35
 *                             HOLDFAST_DEADLINE (unknown): The deadline passed …
 */
import { styleText } from "node:util";
import { type LoggedError, type LogLevel, type LogLine, parseLogLine } from "./log-line.ts";

export interface RenderOptions {
  readonly color: boolean;
  /** Who wrote it, when the line does not say: the name of the process. */
  readonly source?: string;
}

type Style = Parameters<typeof styleText>[0];

const levelStyle: Readonly<Record<LogLevel, Style>> = {
  debug: "gray",
  info: "green",
  warn: "yellow",
  error: "red",
};

/** Renders a line that a process wrote; a line that is not of the log stays as it is, without control characters. */
export function renderLogText(text: string, options: RenderOptions): string {
  const line = parseLogLine(text);
  if (line) return renderLogLine(line, options);
  return `${options.source ? `${options.source}  ` : ""}${printable(text)}`;
}

export function renderLogLine(line: LogLine, { color, source }: RenderOptions): string {
  const paint = (style: Style, text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text;
  const { time, level, msg, instance, traceId, spanId: _, error, ...fields } = line;
  const head = [
    paint("gray", clockOf(time)),
    paint(levelStyle[level], level.toUpperCase().padEnd(5)),
    ...[instance ?? source]
      .filter((who) => who !== undefined)
      .map((who) => paint("cyan", printable(String(who)))),
  ].join(" ");
  const facts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${printable(typeof value === "string" ? value : JSON.stringify(value))}`)
    .join(" ");
  return [
    [
      head,
      printable(msg),
      ...(facts === "" ? [] : [paint("gray", facts)]),
      ...(traceId ? [paint("gray", `trace ${traceId.slice(0, 8)}`)] : []),
    ].join("  "),
    ...(error ? errorLines(error).map((text) => paint("gray", `    ${text}`)) : []),
  ].join("\n");
}

/** Colours only on a terminal, and never when NO_COLOR is set. @see https://no-color.org */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (env.NO_COLOR) return false;
  return stream.isTTY === true && env.TERM !== "dumb";
}

/**
 * An error of Holdfast explains itself: where it was thrown is in the log file, and only in the way here. Of
 * any other error the frames are shown, without those of Node and of packages.
 */
function errorLines(error: LoggedError, explained = false): string[] {
  const outcome = error.outcome ? ` (${error.outcome})` : "";
  const title = `${error.code ?? error.name ?? "Error"}${outcome}: ${printable(error.message)}`;
  const isExplained = explained || explainsItself(error.code);
  const frames = isExplained ? [] : ownFrames(error.stack).map((frame) => `  ${printable(frame)}`);
  const cause = error.cause
    ? errorLines(error.cause, isExplained).map((text, index) => (index === 0 ? `cause: ${text}` : text))
    : [];
  return [title, ...frames, ...cause];
}

/** What escaped a handler is only wrapped: its cause is the user's own error. */
function explainsItself(code: string | undefined): boolean {
  return code?.startsWith("HOLDFAST_") === true && code !== "HOLDFAST_HANDLER_FAILED";
}

function ownFrames(stack: string | undefined): string[] {
  const frames = stack?.split("\n").map((frame) => frame.trim()) ?? [];
  const own = frames.filter((frame) => !/node:internal|[\\/]node_modules[\\/]|\(node:/.test(frame));
  return own.length > 0 ? own : frames;
}

/** Hours to milliseconds, as they stand in the line: UTC. */
function clockOf(time: string): string {
  return /T(\d\d:\d\d:\d\d\.\d{3})/.exec(time)?.[1] ?? time;
}

/** What a request brought must not move the cursor or colour the terminal of whoever reads the log. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (char) => {
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
