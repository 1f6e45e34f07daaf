/** The notations of histories, and how a file shows which one it is in. */
import { ednLine, readEdnHistory } from "./edn-history.ts";
import type { HistoryEvent } from "./event.ts";
import type { EventReader } from "./event-batch.ts";
import { excerpt, HistoryUnreadableError } from "./history-error.ts";
import { jsonLine, readJsonLines } from "./json-lines.ts";
import { readJsonObjects } from "./json-objects.ts";
import { isLogLine, logLine, readLogLines } from "./log-lines.ts";

export type HistoryFormat = "json-lines" | "json" | "edn" | "jepsen-log" | "porcupine-kv";

interface Notation {
  readonly read: EventReader;
  /** One event as one line, without its end. */
  line(event: HistoryEvent): string;
}

/** Porcupine's key-value histories are EDN maps with a `:key`: the name is for whoever looks for them. */
export const historyFormats: Readonly<Record<HistoryFormat, Notation>> = {
  "json-lines": { read: readJsonLines, line: jsonLine },
  json: { read: readJsonObjects, line: jsonLine },
  edn: { read: readEdnHistory, line: ednLine },
  "jepsen-log": { read: readLogLines, line: logLine },
  "porcupine-kv": { read: readEdnHistory, line: ednLine },
};

export function isHistoryFormat(name: string): name is HistoryFormat {
  return Object.hasOwn(historyFormats, name);
}

/**
 * @param text the beginning of the file
 * @returns the format; `undefined` while there is too little to tell
 * @throws {HistoryUnreadableError} when it is none of them
 */
export function recogniseFormat(text: string, source: string): HistoryFormat | undefined {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.trim() !== "");
  const line = lines[at]?.trim();
  if (line === undefined) return undefined;
  const rest = text.trimStart();
  if (jsonObjects.test(rest)) return "json";
  if (jsonLines.test(rest)) return "json-lines";
  if (edn.test(rest)) return "edn";
  if (isLogLine(line)) return "jepsen-log";
  if (/^[[({]\s*$/.test(rest)) return undefined;
  throw new HistoryUnreadableError(source, [
    {
      line: at + 1,
      problem: `neither JSON, nor EDN, nor lines of jepsen.util: ${excerpt(line)}. Give --format ${Object.keys(historyFormats).join(" | ")} if it is one of them all the same`,
    },
  ]);
}

/** An array of objects, or an object whose first field is not on the line of its brace. EDN has no colon there. */
const jsonObjects = /^(\[\s*(\]|\{\s*"([^"\\]|\\.)*"\s*:)|\{\s*\n\s*"([^"\\]|\\.)*"\s*:)/;
const jsonLines = /^\{("|\}|[ \t]+("|\}))/;
const edn = /^(\{\s*[:,#;]|\[\s*[{#;]|\(\s*[{#;)]|#[\w.]+\s*\{|;|#_)/;
