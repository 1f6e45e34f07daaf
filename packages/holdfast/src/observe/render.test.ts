import { expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { manualClock } from "../clock/index.ts";
import { createLogger } from "./logger.ts";
import { renderLogText, wantsColor } from "./render.ts";

function lineOf(msg: string, fields: object): string {
  let written = "";
  const sink = (line: string) => {
    written = line;
  };
  createLogger({ clock: manualClock(), sink }).warn(msg, { ...fields });
  return written;
}

test("a line reads: when, how grave, who, what, facts, trace", () => {
  const line = lineOf("write failed", {
    part: "links",
    durationMs: 12,
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  });
  expect(renderLogText(line, { color: false, source: "api-1" })).toBe(
    "15:06:40.000 WARN  api-1  write failed  part=links durationMs=12  trace 4bf92f35",
  );
});

test("an error stands below, with code, outcome and causes", () => {
  const error = new HoldfastError("HOLDFAST_CONNECTION_LOST", "It broke.", { cause: new Error("reset") });
  const text = renderLogText(lineOf("oh", { error, instance: "api-2" }), { color: false });
  expect(text).toContain("api-2  oh");
  expect(text).toContain("    HOLDFAST_CONNECTION_LOST (unknown): It broke.");
  expect(text).toContain("    cause: Error: reset");
});

test("an error of Holdfast explains itself; of any other the frames are shown", () => {
  const cause = new Error("reset");
  const explained = new HoldfastError("HOLDFAST_CONNECTION_LOST", "It broke.", { cause });
  const wrapped = new HoldfastError("HOLDFAST_HANDLER_FAILED", "The handler threw.", { cause });
  const shown = (error: Error) => renderLogText(lineOf("oh", { error }), { color: false });
  expect(shown(explained)).not.toContain("render.test.ts");
  expect(shown(cause)).toContain("render.test.ts");
  expect(shown(wrapped)).toContain("render.test.ts");
  expect(shown(cause)).not.toContain("node_modules");
});

test("what is not of the log is passed on with its source, and cannot take over the terminal", () => {
  expect(renderLogText("plain words", { color: false, source: "api-1" })).toBe("api-1  plain words");
  expect(renderLogText('{"a":1}', { color: false })).toBe('{"a":1}');
  expect(renderLogText("{broken", { color: false })).toBe("{broken");
  const evil = renderLogText("\u001b[2Jgone\u0007", { color: false });
  expect(evil).toBe("\\x1b[2Jgone\\x07");
  expect(renderLogText(lineOf("\u001b]0;title\u0007", {}), { color: false })).not.toContain("\u001b");
});

test("colours are only for terminals that want them", () => {
  const text = lineOf("hello", {});
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence is what is looked for.
  expect(renderLogText(text, { color: true })).toMatch(/\u001b\[33m/);
  expect(renderLogText(text, { color: false })).not.toContain("\u001b");
  expect(wantsColor({ isTTY: true }, {})).toBe(true);
  expect(wantsColor({ isTTY: true }, { NO_COLOR: "1" })).toBe(false);
  expect(wantsColor({ isTTY: true }, { TERM: "dumb" })).toBe(false);
  expect(wantsColor({}, {})).toBe(false);
});
