/** `holdfast restore`: puts a stopped system back to a time, to a cut, or to the end of its log. */
import { resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { parseIsoTime, systemClock } from "../clock/index.ts";
import { findProject } from "../runtime/project.ts";
import { restoreSystem, type WantedTarget } from "../runtime/restore-system.ts";
import { type Command, type CommandInput, exitCodes } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { progressLine } from "./progress.ts";
import { restoreLines, restoreProgressText, restoreResult } from "./restore-text.ts";

export const restoreCommand: Command = {
  name: "restore",
  summary: "Put the stopped system back to a time, a cut or the end of its log, from a backup.",
  argument: "[BACKUP]",
  positionals: 1,
  options: {
    at: {
      type: "string",
      value: "TIME",
      help: "A time such as 2026-05-04T10:15:00Z, in UTC unless it has an offset: what was committed after it is gone.",
    },
    to: {
      type: "string",
      value: "CUT",
      help: "Name of a cut, or of a backup for the cut that it ends with.",
    },
    latest: {
      type: "boolean",
      help: "The end of the log, as far as there is an archive. Without BACKUP the default.",
    },
    archives: {
      type: "string",
      value: "DIR",
      help: "What --archive was given, when this machine does not know.",
    },
    foreign: { type: "boolean", help: "Also over data of another cluster, or beside other systems." },
    json: { type: "boolean", help: "Print the result as one JSON object." },
  },
  details: [
    "BACKUP is the name of a backup or its folder; alone it stands for its own cut, which needs no archive. Without",
    "it the newest backup that leads to the target is taken. The present data is set aside, never erased, and only",
    "when every node is restored. Killed at any step, run it again. docs/backup.md says how far nodes agree.",
  ].join("\n"),
  async run({ values, positionals, io }) {
    const wanted = wantedTarget({ values, positionals, io });
    const project = findProject(io.cwd);
    const interrupt = interruptible();
    const progress = progressLine(io, systemClock);
    const [backup] = positionals;
    try {
      progress.step("Restoring");
      const startedMs = systemClock.monotonicMs();
      const restored = await restoreSystem({
        project,
        cwd: io.cwd,
        ...(backup === undefined ? {} : { backup }),
        wanted,
        ...(typeof values.archives === "string" ? { archives: resolve(io.cwd, values.archives) } : {}),
        foreign: values.foreign === true,
        clock: systemClock,
        signal: interrupt.signal,
        onProgress: (now) => progress.update(restoreProgressText(now)),
      });
      progress.done();
      const tookMs = systemClock.monotonicMs() - startedMs;
      if (values.json) io.out(JSON.stringify(restoreResult(restored, tookMs)));
      else for (const line of restoreLines(restored, tookMs)) io.out(line);
      return exitCodes.ok;
    } finally {
      progress.done();
      interrupt.forget();
    }
  },
};

/** @throws {HoldfastError} HOLDFAST_USAGE */
function wantedTarget({ values, positionals }: CommandInput): WantedTarget {
  const given = ["at", "to", "latest"].filter((name) => values[name] !== undefined);
  const problems: string[] = [];
  if (given.length > 1) {
    problems.push(`${given.map((name) => `--${name}`).join(" and ")} are different targets: choose one`);
  }
  const atMs = typeof values.at === "string" ? parseIsoTime(values.at) : undefined;
  if (values.at !== undefined && atMs === undefined) {
    problems.push(
      `--at should be a time such as 2026-05-04T10:15:00Z or 2026-05-04T12:15:00.250+02:00, got ${JSON.stringify(values.at)}`,
    );
  }
  if (problems.length > 0) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${problems.join(". ")}. \`holdfast restore --help\` lists what there is.`,
    );
  }
  if (atMs !== undefined) return { kind: "time", atMs };
  if (typeof values.to === "string") return { kind: "cut", name: values.to };
  return { kind: positionals.length > 0 && values.latest !== true ? "backup" : "latest" };
}
