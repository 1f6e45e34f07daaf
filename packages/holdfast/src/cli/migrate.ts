/** `holdfast migrate`: runs the migrations that have not run, or says which they are. */
import { systemClock } from "../clock/index.ts";
import { blockedText, type MigrateEvent, stepText, warningLines } from "../runtime/migrate-events.ts";
import { askMigrate } from "../runtime/migrate-request.ts";
import { findProject, findSystemFile } from "../runtime/project.ts";
import { runningSupervisor } from "../runtime/supervisor-file.ts";
import { type Command, type CommandIo, exitCodes } from "./command.ts";
import { type ProgressLine, progressLine } from "./progress.ts";

/** Of `--check`, when there is something to do. */
const pendingExitCode = 5;

export const migrateCommand: Command = {
  name: "migrate",
  summary: "Run the database migrations that have not run, shard by shard; --check only says which.",
  argument: "[SYSTEM]",
  positionals: 1,
  options: {
    check: {
      type: "boolean",
      help: "Change no table: show what is pending, and exit with 5 if anything is.",
    },
    json: { type: "boolean", help: "Print every event as one line of JSON." },
  },
  details: [
    "A system that runs is migrated where it runs, with its traffic on. One that does not run has its Postgres",
    "servers started for it, and stopped again; SYSTEM is then its folder or file, by default the current folder.",
    "Statements that would stop others are warned of first, each with the form that does not.",
    "It can be interrupted and called again at any time: each file is applied as a whole or not at all.",
    "Exit codes of --check: 0 nothing is pending, 5 something is.",
  ].join("\n"),
  async run({ values, positionals, io }) {
    const check = values.check === true;
    const project = findProject(io.cwd);
    const progress = progressLine(io, systemClock);
    const seen = { pending: false, databases: 0 };
    const print = values.json === true ? jsonPrinter(io) : textPrinter(io, progress);
    const tell = (event: MigrateEvent) => {
      if (event.kind === "plan" && (event.pending.length > 0 || event.steps.length > 0)) seen.pending = true;
      if (event.kind === "plan" || event.kind === "migrated") seen.databases++;
      print(event);
    };
    try {
      const record = await runningSupervisor(project);
      if (record) {
        progress.step(`Asking ${record.system}`);
        const systemFile = positionals[0] === undefined ? undefined : findSystemFile(positionals[0], io.cwd);
        await askMigrate(record.socket, { check, systemFile }, tell);
      } else {
        const systemFile = findSystemFile(positionals[0] ?? io.cwd, io.cwd);
        // Loaded here, because the other verbs should not wait for everything that starting servers needs.
        const { migrateStopped } = await import("../runtime/migrate-stopped.ts");
        const clock = systemClock;
        await migrateStopped({ project, systemFile, check, clock, progress: progress.step, tell });
      }
    } finally {
      progress.done();
    }
    if (seen.databases === 0 && values.json !== true) io.out("This system has no database.");
    return check && seen.pending ? pendingExitCode : exitCodes.ok;
  },
};

function jsonPrinter(io: CommandIo): (event: MigrateEvent) => void {
  return ({ kind, ...fields }) => io.out(JSON.stringify({ event: kind, ...fields }));
}

function textPrinter(io: CommandIo, progress: ProgressLine): (event: MigrateEvent) => void {
  return (event) => {
    if (event.kind === "step" || event.kind === "reference") progress.step(stepText(event));
    if (event.kind === "reference-behind")
      progress.line(`Reference tables of ${event.database}: ${event.node} is behind: ${event.message}`);
    if (event.kind === "blocked") progress.line(blockedText(event));
    if (event.kind === "warning") for (const line of warningLines(event.warning)) progress.line(line);
    if (event.kind !== "plan" && event.kind !== "migrated") return;
    progress.done();
    for (const line of event.kind === "plan" ? planLines(event) : [migratedLine(event)]) io.out(line);
  };
}

function migratedLine({
  database,
  files,
  shards,
  applied,
}: Extract<MigrateEvent, { kind: "migrated" }>): string {
  const has = `${counted(files, "file")} on ${counted(shards, "shard")}`;
  return applied === 0
    ? `${database}: nothing to do, ${has}.`
    : `${database}: ${has}; ${applied} applied now, each shard counted.`;
}

function planLines(plan: Extract<MigrateEvent, { kind: "plan" }>): string[] {
  const { database, pending, steps, warnings, files, shards } = plan;
  if (pending.length === 0 && steps.length === 0)
    return [`${database}: nothing is pending, ${counted(files, "file")} on ${counted(shards, "shard")}.`];
  return [
    `${database}: ${counted(pending.length, "file")} pending${steps.length > 0 ? `, and the framework's own tables (${steps.join(", ")})` : ""}.`,
    ...pending.map(
      ({ file, shards: on }) => `  ${file}  ${on.length === shards ? "every shard" : `shards ${ranges(on)}`}`,
    ),
    ...warnings.flatMap((warning) => ["", ...warningLines(warning)]),
  ];
}

/** Pure: `0-3, 7` for the sorted numbers 0, 1, 2, 3 and 7. */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  numbers.forEach((number, index) => {
    const from = numbers[index - 1] === number - 1 ? parts.pop()?.split("-")[0] : undefined;
    parts.push(from === undefined ? String(number) : `${from}-${number}`);
  });
  return parts.join(", ");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
