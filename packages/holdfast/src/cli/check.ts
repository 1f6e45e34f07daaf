/** `holdfast check`: judges anybody's recorded history. */
import { writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { checkBudgetDefaults } from "../check/budget.ts";
import type { CheckedFile } from "../check/check-file.ts";
import { systemClock } from "../clock/index.ts";
import { type Command, type CommandInput, exitCodes } from "./command.ts";
import { durationMs, sizeBytes } from "./parse.ts";
import { progressLine } from "./progress.ts";
import { suggestion } from "./suggestion.ts";
import { size } from "./table.ts";

/** What the verb's exit code means: a verdict, or that there can be none. */
const checkExitCodes = { ok: 0, illegal: 1, unknown: 2, unreadable: 64, failed: 70 } as const;

type CheckRoom = typeof import("../check/index.ts");

const memoryBytesMin = 16 << 20;

export const checkCommand: Command = {
  name: "check",
  summary: "Judge a recorded history: can what clients saw be explained by a model?",
  argument: "FILE",
  positionals: 1,
  options: {
    model: { type: "string", value: "NAME", help: "What to judge it by; `--model list` lists them all." },
    consistency: {
      type: "string",
      value: "NAME",
      help: "Of list-append and rw-register: the consistency model that has to hold. Default: strict-serializable.",
    },
    list: { type: "boolean", help: "List the models, with a sentence each." },
    format: {
      type: "string",
      value: "NAME",
      help: "json-lines, json, edn, jepsen-log or porcupine-kv. Default: recognised from the content.",
    },
    timeout: {
      type: "string",
      value: "TIME",
      help: `How long the search may take, such as 60s. Default: ${checkBudgetDefaults.timeMs / 1_000}s.`,
    },
    memory: {
      type: "string",
      value: "SIZE",
      help: `How much the search may keep, such as 512MiB. Default: ${size(checkBudgetDefaults.memoryBytes).replace(" ", "")}.`,
    },
    html: { type: "string", value: "FILE", help: "Write the verdict as a page with a timeline." },
    json: { type: "boolean", help: "Print the verdict as one JSON object." },
  },
  details: [
    "FILE is a history as JSON lines, EDN (Jepsen's history.edn, Porcupine's key-value histories) or the lines",
    "that jepsen.util logs.",
    "",
    "Exit codes of this verb:",
    "  0   ok: the model explains everything that clients saw.",
    "  1   illegal: nothing explains it; the contradiction is shown.",
    "  2   unknown: time or memory ended before either was certain.",
    "  64  There is nothing to judge: the file cannot be read (the line is named), or the command was called wrongly.",
    "  70  The checker itself failed; please report it.",
    "  130 Interrupted before it was done.",
  ].join("\n"),
  errorExitCodes: {
    HOLDFAST_USAGE: checkExitCodes.unreadable,
    HOLDFAST_HISTORY_UNREADABLE: checkExitCodes.unreadable,
    HOLDFAST_ABORTED: exitCodes.interrupted,
    other: checkExitCodes.failed,
  },
  async run(input) {
    const { values, io } = input;
    // Loaded here, because the other verbs should not wait for all checkers.
    const check = await import("../check/index.ts");
    if (values.list === true || values.model === "list") {
      if (values.json === true) io.out(JSON.stringify(check.checkers.map(({ check: _, ...facts }) => facts)));
      else for (const line of modelLines(check)) io.out(line);
      return checkExitCodes.ok;
    }
    const { path, checker, options } = order(input, check);
    const progress = progressLine(io, systemClock);
    const interrupt = new AbortController();
    const stop = () => interrupt.abort();
    process.once("SIGINT", stop);
    let checked: CheckedFile;
    try {
      progress.step("Reading");
      checked = await check.checkFile(path, {
        ...options,
        model: checker.name,
        onStep: progress.step,
        signal: interrupt.signal,
      });
    } catch (error) {
      if (interrupt.signal.aborted)
        throw new HoldfastError("HOLDFAST_ABORTED", "Interrupted: there is no verdict.");
      throw asHoldfastError(error, check);
    } finally {
      process.off("SIGINT", stop);
      progress.done();
    }
    const { result, faults } = checked;
    if (typeof values.html === "string")
      writePage(resolve(io.cwd, values.html), check.verdictHtml(result, { title: basename(path), faults }));
    if (values.json === true) io.out(check.verdictJson(result));
    else for (const line of check.verdictWords(result)) io.out(line);
    return checkExitCodes[result.verdict];
  },
};

/** @throws {HoldfastError} HOLDFAST_USAGE when there is no such place */
function writePage(path: string, html: string): void {
  try {
    writeFileSync(path, html);
  } catch (error) {
    const message = `--html cannot be written: ${(error as Error).message}`;
    throw new HoldfastError("HOLDFAST_USAGE", message, { cause: error });
  }
}

/** What was asked for. @throws {HoldfastError} HOLDFAST_USAGE, with everything that is wrong */
function order(
  { values, positionals, io }: CommandInput,
  { checkers, findChecker, historyFormats, isHistoryFormat }: CheckRoom,
) {
  const problems: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push((error as Error).message);
      return undefined;
    }
  };
  const { model, format, timeout, memory, consistency } = values;
  const file = positionals[0];
  if (file === undefined) problems.push("Which history? Give its FILE: `holdfast check FILE --model NAME`.");
  const checker = typeof model === "string" ? findChecker(model) : undefined;
  if (model === undefined)
    problems.push(`Judge it by what? Give --model NAME; \`holdfast check --list\` explains the models.`);
  else if (!checker)
    problems.push(
      unknownName(
        "model",
        String(model),
        checkers.map(({ name }) => name),
      ),
    );
  if (typeof format === "string" && !isHistoryFormat(format))
    problems.push(unknownName("format", format, Object.keys(historyFormats)));
  if (typeof consistency === "string" && checker) {
    const known = checker.consistency;
    if (!known)
      problems.push(`--consistency goes with list-append and rw-register, not with ${checker.name}.`);
    else if (!known.includes(consistency))
      problems.push(unknownName("consistency model", consistency, known));
  }
  const timeMs = typeof timeout === "string" ? attempt(() => durationMs("timeout", timeout)) : undefined;
  const memoryBytes =
    typeof memory === "string" ? attempt(() => sizeBytes("memory", memory, memoryBytesMin)) : undefined;
  if (problems.length > 0 || file === undefined || !checker)
    throw new HoldfastError("HOLDFAST_USAGE", problems.join("\n"), { data: { problems } });
  return {
    path: resolve(io.cwd, file),
    checker,
    options: {
      ...(typeof format === "string" && isHistoryFormat(format) ? { format } : {}),
      ...(typeof consistency === "string" ? { consistency } : {}),
      budget: {
        ...(timeMs === undefined ? {} : { timeMs }),
        ...(memoryBytes === undefined ? {} : { memoryBytes }),
      },
    },
  };
}

function unknownName(what: string, name: string, known: readonly string[]): string {
  const meant = suggestion(name, known);
  return `There is no ${what} ${JSON.stringify(name)}.${meant ? ` Did you mean ${meant}?` : ""} There are ${known.join(", ")}.`;
}

function asHoldfastError(error: unknown, { HistoryUnreadableError }: CheckRoom): unknown {
  if (error instanceof HistoryUnreadableError)
    return new HoldfastError(error.code, error.message, { data: { ...error.data }, cause: error });
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  return new HoldfastError("HOLDFAST_HISTORY_UNREADABLE", `The history cannot be read: ${message}`, {
    data: { reason: code },
    cause: error,
  });
}

function modelLines({ checkers, checkerFamilies }: CheckRoom): string[] {
  const width = Math.max(...checkers.map(({ name }) => name.length));
  return checkerFamilies.flatMap((family) => {
    const members = checkers.filter((checker) => checker.family === family);
    if (members.length === 0) return [];
    return [`${family}:`, ...members.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`), ""];
  });
}
