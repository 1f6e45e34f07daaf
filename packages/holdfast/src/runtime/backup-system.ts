/** Backups of a project's running system: what `holdfast backup` does, for its nodes and databases. */
import { dirname, join, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { changeCatalogue, knownBackups, readCatalogue } from "../engines/postgres/backup/catalogue.ts";
import { type Cut, makeCut } from "../engines/postgres/backup/cut.ts";
import { firstNeeded, keepNewest, pruneArchive } from "../engines/postgres/backup/retention.ts";
import {
  type BackupNode,
  type BackupProgress,
  type TakenBackup,
  takeBackup,
} from "../engines/postgres/backup/take-backup.ts";
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import { archivesOf, readNodeRecord } from "../engines/postgres/embedded/node-record.ts";
import { askControl } from "./control.ts";
import { type Project, systemPaths } from "./project.ts";
import type { RunningDatabases } from "./running-databases.ts";
import type { SystemStatus } from "./status.ts";
import type { SupervisorRecord } from "./supervisor-file.ts";

export interface BackupSystemOptions {
  readonly project: Project;
  readonly record: SupervisorRecord;
  readonly version: string;
  /** The folder that the backup's own folder is made in. Default `.holdfast/backups`. */
  readonly to?: string;
  readonly pauseWrites: boolean;
  /** Keep so many of the system's backups in that folder, this one included, and remove the others. */
  readonly keep?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BackupProgress) => void;
}

export interface SystemBackup {
  readonly taken: TakenBackup;
  /** Whether the archive is on; `begun` when this backup switched it on. */
  readonly archive: "on" | "off" | "begun";
  /** Names of the backups that were removed. */
  readonly removed: readonly string[];
  /** What became free in the archives. */
  readonly prunedBytes: number;
}

type Databases = Readonly<Record<string, DatabaseConfig>>;

/** @throws {HoldfastError} as `takeBackup`; HOLDFAST_USAGE when the system has no database */
export async function backupSystem(options: BackupSystemOptions): Promise<SystemBackup> {
  const { project, record, clock, keep } = options;
  const dir = systemPaths(project, record.system).postgres;
  const databases = await databasesOf(record);
  const names = nodeNames(databases);
  const archive = await beginArchive(dir, record, names);
  const parent = resolve(options.to ?? project.backups);
  const taken = await takeBackup({
    system: record.system,
    version: options.version,
    nodes: await Promise.all(names.map((name) => backupNode(dir, name))),
    databases,
    parent,
    pauseWrites: options.pauseWrites,
    clock,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  await changeCatalogue(dir, (now) => ({
    ...now,
    backups: [...now.backups.filter((path) => path !== taken.dir), taken.dir],
  }));
  const done = { taken, archive, removed: [], prunedBytes: 0 };
  return keep === undefined ? done : { ...done, ...(await retain(dir, record.system, parent, keep)) };
}

/**
 * Makes a cut on all nodes of the running system, and remembers it: a name that can be restored to from an earlier
 * backup and the archive.
 */
export async function cutSystem(
  project: Project,
  record: SupervisorRecord,
  options: {
    readonly name: string;
    readonly pauseWrites: boolean;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<Cut> {
  const dir = systemPaths(project, record.system).postgres;
  const { cuts } = await readCatalogue(dir);
  if (cuts.some(({ name }) => name === options.name)) {
    throw new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      `There is a cut "${options.name}" already; a restore would stop at the older one. Choose another name.`,
      { data: { field: "name", value: options.name } },
    );
  }
  const databases = await databasesOf(record);
  const archives = await archiveDirs(dir, nodeNames(databases));
  if (!archives.every((archive) => archive)) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      "A cut apart from a backup is reached through the archive of the log, and that is off. Switch it on with `holdfast backup --archive on`, and take a backup.",
    );
  }
  const cut = await makeCut(Object.values(databases), options);
  await changeCatalogue(dir, (now) => ({ ...now, cuts: [...now.cuts, cut] }));
  return cut;
}

/** Switches the archives of the running system. @returns how they are then */
export async function archiveSystem(
  record: SupervisorRecord,
  how: string,
): Promise<SystemStatus["archives"]> {
  await askControl(record.socket, "POST", `/archive?to=${encodeURIComponent(how)}`);
  return ((await askControl(record.socket, "GET", "/status")) as SystemStatus).archives;
}

async function databasesOf(record: SupervisorRecord): Promise<Databases> {
  const running = (await askControl(record.socket, "GET", "/databases")) as RunningDatabases;
  const databases = Object.fromEntries(running.map(({ described, config }) => [described.name, config]));
  if (Object.keys(databases).length > 0) return databases;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `${record.system} has no database that runs, so there is nothing to back up. While it starts, wait until \`holdfast status\` says running.`,
  );
}

function nodeNames(databases: Databases): string[] {
  return [...new Set(Object.values(databases).flatMap(({ nodes }) => nodes.map(({ name }) => name)))].sort();
}

/** The first backup switches the archive on, unless somebody has decided otherwise. */
async function beginArchive(
  dir: string,
  record: SupervisorRecord,
  names: readonly string[],
): Promise<SystemBackup["archive"]> {
  const known = await archiveDirs(dir, names);
  if (known.some((archive) => archive === undefined)) {
    await archiveSystem(record, "on");
    return "begun";
  }
  return known.every((archive) => archive !== null) ? "on" : "off";
}

/** Where each node archives its log; null when that was switched off, undefined when nobody has decided. */
function archiveDirs(dir: string, names: readonly string[]): Promise<(string | null | undefined)[]> {
  return Promise.all(names.map(async (name) => (await readNodeRecord(join(dir, name)))?.archiveDir));
}

async function backupNode(dir: string, name: string): Promise<BackupNode> {
  const record = await readNodeRecord(join(dir, name));
  if (!record)
    throw new HoldfastError("HOLDFAST_UNAVAILABLE", `${join(dir, name)} has no record of its servers.`);
  const { serversDir, ports, superuser: user, password, archiveDir } = record;
  return {
    name,
    endpoint: { host: "127.0.0.1", port: ports[0] ?? 0, database: "postgres", user, password },
    dataDir: join(serversDir, "primary"),
    archiveDir: archiveDir ?? undefined,
  };
}

async function retain(dir: string, system: string, parent: string, keep: number) {
  const before = await knownBackups(dir, system, [parent]);
  const here = before.whole.filter((backup) => dirname(backup.dir) === parent);
  const { removed } = await keepNewest(here, keep);
  const gone = new Set(removed.map((backup) => backup.dir));
  await changeCatalogue(dir, (now) => ({ ...now, backups: now.backups.filter((path) => !gone.has(path)) }));
  const after = await knownBackups(dir, system, [parent]);
  let prunedBytes = 0;
  // A backup on a disk that is not there may need all of the archive.
  if (after.away.length === 0 && after.damaged.length === 0) {
    for (const { name, segmentBytes } of after.whole.at(-1)?.manifest.nodes ?? []) {
      const record = await readNodeRecord(join(dir, name));
      const first = firstNeeded(name, after.whole);
      if (!record || first === undefined) continue;
      for (const archive of archivesOf(record)) {
        prunedBytes += await pruneArchive(archive, first, segmentBytes);
      }
    }
  }
  return { removed: removed.map(({ manifest }) => manifest.name), prunedBytes };
}
