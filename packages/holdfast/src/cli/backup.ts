/** `holdfast backup`: a backup of the running system; or what there is of backups, and whether they are whole. */
import { isAbsolute, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { isoTime, systemClock } from "../clock/index.ts";
import { listBackups } from "../runtime/backup-list.ts";
import { archiveSystem, backupSystem, cutSystem } from "../runtime/backup-system.ts";
import { findProject, type Project } from "../runtime/project.ts";
import { verifyBackup } from "./backup-check.ts";
import { backupLines, cutText, listLines, progressText } from "./backup-text.ts";
import { type Command, type CommandInput, exitCodes } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { wholeNumber } from "./parse.ts";
import { progressLine } from "./progress.ts";
import { requireSupervisor } from "./require-supervisor.ts";
import { textTable } from "./table.ts";
import { version } from "./version.ts";

export const backupCommand: Command = {
  name: "backup",
  summary: "Back up the running system: every node and its log, with one cut through all of them.",
  argument: "[BACKUP]",
  positionals: 1,
  options: {
    to: {
      type: "string",
      value: "DIR",
      help: "Folder for the backup's own folder. Default: .holdfast/backups.",
    },
    keep: {
      type: "string",
      value: "N",
      help: "Keep the newest N backups there, and of the archives only what a kept backup needs.",
    },
    "pause-writes": {
      type: "boolean",
      help: "Hold writes for some milliseconds while the cut is made, so that it is exact.",
    },
    cut: {
      type: "string",
      value: "NAME",
      help: "Only make a cut of this name, to be restored to by the archive.",
    },
    archive: {
      type: "string",
      value: "on|off|DIR",
      help: "Only switch the archive of the log on, off, or to a folder. The first backup switches it on.",
    },
    list: { type: "boolean", help: "List the backups that are known." },
    verify: {
      type: "boolean",
      help: "Check every file of BACKUP, or of the newest one, against its checksum.",
    },
    deep: {
      type: "boolean",
      help: "With --verify: also start the backup on a free port and read every table.",
    },
    json: { type: "boolean", help: "Print the result as one JSON object." },
  },
  details: [
    "BACKUP, for --verify, is the name of a backup or its folder. A backup is whole when it has its name: one that",
    "was interrupted is removed by the next. By itself it can be restored to its cut; with the archive, to any time",
    "since. docs/backup.md says what is promised.",
  ].join("\n"),
  async run(input) {
    const { values, io } = input;
    const act = chosen(input);
    const project = findProject(io.cwd);
    if (act === "list") return list(project, input);
    if (act === "verify") return verifyBackup(project, input);
    const record = await requireSupervisor(project);
    if (act === "archive") {
      const how = archiveHow(String(values.archive), io.cwd);
      const archives = await archiveSystem(record, how);
      if (values.json) io.out(JSON.stringify({ archives }));
      else for (const line of archiveLines(archives)) io.out(line);
      return exitCodes.ok;
    }
    const interrupt = interruptible();
    const progress = progressLine(io, systemClock);
    const pauseWrites = values["pause-writes"] === true;
    const shared = { pauseWrites, clock: systemClock, signal: interrupt.signal };
    try {
      if (act === "cut") {
        const cut = await cutSystem(project, record, { name: String(values.cut), ...shared });
        if (values.json) io.out(JSON.stringify({ cut }));
        else io.out(`Cut ${cut.name} at ${isoTime(cut.atMs)}. ${cutText(cut)}`);
        return exitCodes.ok;
      }
      progress.step(`Backing up ${record.system}`);
      const startedMs = systemClock.monotonicMs();
      const done = await backupSystem({
        project,
        record,
        version: version(),
        ...shared,
        ...(typeof values.to === "string" ? { to: resolve(io.cwd, values.to) } : {}),
        ...(typeof values.keep === "string" ? { keep: wholeNumber("keep", values.keep, 1, 10_000) } : {}),
        onProgress: (now) => progress.update(progressText(record.system, now)),
      });
      progress.done();
      const tookMs = systemClock.monotonicMs() - startedMs;
      if (values.json) io.out(JSON.stringify(resultOf(done, tookMs)));
      else for (const line of await backupLines(done, tookMs, project)) io.out(line);
      return exitCodes.ok;
    } finally {
      progress.done();
      interrupt.forget();
    }
  },
};

type Act = "backup" | "cut" | "archive" | "list" | "verify";

/** @throws {HoldfastError} HOLDFAST_USAGE with everything that does not go together */
function chosen({ values, positionals }: CommandInput): Act {
  const acts = (["cut", "archive", "list", "verify"] as const).filter((name) => values[name] !== undefined);
  const [act = "backup"] = acts;
  const fits: Record<Act, readonly string[]> = {
    backup: ["to", "keep", "pause-writes"],
    cut: ["pause-writes"],
    archive: [],
    list: [],
    verify: ["deep"],
  };
  const problems: string[] = [];
  if (acts.length > 1)
    problems.push(`${acts.map((name) => `--${name}`).join(" and ")} are different things: choose one`);
  const verb = act === "backup" ? "a backup" : `--${act}`;
  for (const name of ["to", "keep", "pause-writes", "deep"]) {
    if (values[name] !== undefined && !fits[act].includes(name))
      problems.push(`--${name} does not go with ${verb}`);
  }
  if (positionals.length > 0 && act !== "verify")
    problems.push(`${verb} takes no BACKUP: only --verify does`);
  if (typeof values.keep === "string" && !/^[1-9]\d{0,3}$/.test(values.keep)) {
    problems.push(`--keep should be a whole number from 1 to 9999, got ${JSON.stringify(values.keep)}`);
  }
  if (problems.length === 0) return act;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `${problems.join(". ")}. \`holdfast backup --help\` lists what there is.`,
  );
}

/** A folder is told from a word by its slash: `./archive`, `/mnt/archive`. */
function archiveHow(text: string, cwd: string): string {
  if (text === "on" || text === "off") return text;
  if (isAbsolute(text) || /[/\\]/.test(text)) return resolve(cwd, text);
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `--archive should be on, off, or a folder such as ./archive or /mnt/archive, got ${JSON.stringify(text)}.`,
  );
}

async function list(project: Project, { values, io }: CommandInput): Promise<number> {
  const known = await listBackups(project);
  if (values.json) io.out(JSON.stringify(known));
  else for (const line of listLines(known)) io.out(line);
  return exitCodes.ok;
}

function archiveLines(archives: Awaited<ReturnType<typeof archiveSystem>>): string[] {
  return textTable(
    ["NODE", "ARCHIVE", "FOLDER"],
    archives.map(({ node, state, dir }) => [node, state, dir ?? ""]),
  );
}

function resultOf(
  { taken, archive, removed, prunedBytes }: Awaited<ReturnType<typeof backupSystem>>,
  tookMs: number,
) {
  const { name, system, startedAtMs, finishedAtMs, cut, nodes } = taken.manifest;
  return {
    backup: name,
    system,
    dir: taken.dir,
    bytes: taken.bytes,
    startedAtMs,
    finishedAtMs,
    tookMs: Math.round(tookMs),
    cut,
    nodes: nodes.map(({ files, wal, dirs, ...node }) => ({ ...node, files: files.length, wal: wal.length })),
    archive,
    removed,
    prunedBytes,
  };
}
