/**
 * `.holdfast/supervisor.json`: who runs this project. It is the lock that makes a second supervisor refuse,
 * and the list by which the next one finds what a killed one left behind.
 *
 * Claiming is one `link` of a finished file, which fails when the name is taken: no reader ever sees half a
 * claim. A claim counts as long as its process runs, told by pid and start time.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { isRunning, type ProcessIdentity, processStartTime } from "../engines/postgres/embedded/processes.ts";
import type { Project } from "./project.ts";
import { makeStateFolders } from "./state-folder.ts";

export interface SupervisorRecord {
  readonly supervisor: ProcessIdentity;
  readonly system: string;
  /** Unix socket on which the supervisor answers; empty while the process restores the system instead of running it. */
  readonly socket: string;
  /** Every child process it has started and not seen ending, the embedded servers apart. */
  readonly children: readonly ProcessIdentity[];
}

export interface SupervisorClaim {
  /** What the dead supervisor before left, when there was one. */
  readonly stale: SupervisorRecord | undefined;
  /** Why the project is no longer this process's: its record is gone, or another's. */
  lost(): HoldfastError | undefined;
  /** Records the children that run now. */
  update(childPids: readonly number[]): void;
  /** Gives the project free. May be called twice. */
  release(): void;
}

/** What names the process `pid` for ever: pids are used again, start times tell them apart. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity> {
  return { pid, startTime: (await processStartTime(pid)) ?? "ended" };
}

export function readSupervisor(project: Project): SupervisorRecord | undefined {
  try {
    return parseRecord(textOf(recordFile(project)));
  } catch {
    return undefined;
  }
}

export function supervisorRuns(record: SupervisorRecord): Promise<boolean> {
  return isRunning(record.supervisor);
}

/** The record of the supervisor that runs this project now, if one does. */
export async function runningSupervisor(project: Project): Promise<SupervisorRecord | undefined> {
  const record = readSupervisor(project);
  return record && (await isRunning(record.supervisor)) ? record : undefined;
}

/** The record of a supervisor that ended without stopping its system: it was killed, or the machine went down. */
export async function deadSupervisor(project: Project): Promise<SupervisorRecord | undefined> {
  const record = readSupervisor(project);
  return record && !(await isRunning(record.supervisor)) ? record : undefined;
}

/** Forgets `record`, unless another supervisor has claimed the project meanwhile. */
export function removeRecord(project: Project, record: SupervisorRecord): void {
  if (isSame(readSupervisor(project)?.supervisor, record.supervisor))
    rmSync(recordFile(project), { force: true });
}

function isSame(one: ProcessIdentity | undefined, other: ProcessIdentity): boolean {
  return one?.pid === other.pid && one.startTime === other.startTime;
}

/** @throws {HoldfastError} HOLDFAST_ALREADY_RUNNING when the project has a living supervisor */
export async function claimProject(
  project: Project,
  system: string,
  socket: string,
): Promise<SupervisorClaim> {
  makeStateFolders(project);
  const supervisor = await identifyProcess(process.pid);
  const file = recordFile(project);
  const beside = join(dirname(file), `supervisor.${process.pid}.json`);
  const write = (children: readonly ProcessIdentity[]) => {
    const record: SupervisorRecord = { supervisor, system, socket, children };
    writeFileSync(beside, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  };
  let stale: SupervisorRecord | undefined;
  write([]);
  try {
    while (!tryLink(beside, file)) {
      const seen = textOf(file);
      const found = parseRecord(seen);
      if (found && (await isRunning(found.supervisor))) throw alreadyRunning(found);
      stale = found ?? stale;
      if (seen !== undefined) removeStale(file, seen, beside);
    }
  } finally {
    rmSync(beside, { force: true });
  }
  const lost = () => {
    try {
      const holder = parseRecord(textOf(file))?.supervisor;
      return isSame(holder, supervisor) ? undefined : claimLost(file, holder);
    } catch {
      // What cannot be read in this moment, for want of descriptors say, is not gone.
      return undefined;
    }
  };
  let latest: readonly number[] | undefined;
  let writing = false;
  let released = false;
  // One at a time, and only the latest: the start times are looked up meanwhile.
  const writeLatest = async () => {
    if (writing) return;
    writing = true;
    while (latest && !released) {
      const pids: readonly number[] = latest;
      latest = undefined;
      const children = await Promise.all(pids.map(identifyProcess));
      if (released) break;
      // Whoever removed the record, or has the project by now, did not do so to have it overwritten.
      if (lost()) break;
      try {
        write(children);
        renameSync(beside, file);
      } catch {
        // A full disk: the record stays as it was. Children end by themselves when the supervisor does.
      }
    }
    writing = false;
  };
  return {
    stale,
    lost,
    update(childPids) {
      latest = childPids;
      void writeLatest();
    },
    release() {
      released = true;
      if (isSame(readSupervisor(project)?.supervisor, supervisor)) rmSync(file, { force: true });
    },
  };
}

/**
 * Takes the dead claim `seen` away. Meanwhile another `up` may have replaced it by a living one, which stays; one
 * that came between the look and the move goes back to its place at once.
 */
function removeStale(file: string, seen: string, beside: string): void {
  if (textOf(file) !== seen) return;
  const away = `${beside}.stale`;
  try {
    renameSync(file, away);
    if (textOf(away) !== seen) tryLink(away, file);
  } catch (error) {
    // Gone already: the next turn of the loop decides.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  rmSync(away, { force: true });
}

/** @returns `undefined` when there is none @throws {Error} when it cannot be read */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** @returns `undefined` for what is damaged, and therefore of no living supervisor */
function parseRecord(text: string | undefined): SupervisorRecord | undefined {
  try {
    const record = JSON.parse(text ?? "") as SupervisorRecord | null;
    return typeof record?.supervisor?.pid === "number" ? record : undefined;
  } catch {
    return undefined;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function recordFile(project: Project): string {
  return join(project.stateDir, "supervisor.json");
}

function claimLost(file: string, holder: ProcessIdentity | undefined): HoldfastError {
  const what = holder ? `is process ${holder.pid}'s by now` : "was removed";
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `${file} ${what} while process ${process.pid} ran this project, so that another \`holdfast up\` may use its data: everything is stopped. End a system with \`holdfast down\` before its folder is removed.`,
    { data: { file, pid: holder?.pid } },
  );
}

export function alreadyRunning(found: SupervisorRecord): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ALREADY_RUNNING",
    found.socket === ""
      ? `Process ${found.supervisor.pid} restores the system "${found.system}" of this project. Wait until it is done.`
      : `Process ${found.supervisor.pid} runs the system "${found.system}" in this project already. Stop it with \`holdfast down\` first.`,
    { data: { pid: found.supervisor.pid, system: found.system } },
  );
}
