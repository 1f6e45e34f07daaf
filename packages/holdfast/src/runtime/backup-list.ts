/** What is known of a project's backups and cuts, and whether one of them is whole. */
import { resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { FoundBackup } from "../engines/postgres/backup/backup-folder.ts";
import { type KnownBackups, knownBackups, readCatalogue } from "../engines/postgres/backup/catalogue.ts";
import type { Cut } from "../engines/postgres/backup/cut.ts";
import { type BackupManifest, backupBytes, readManifest } from "../engines/postgres/backup/manifest.ts";
import { verifyFiles } from "../engines/postgres/backup/verify.ts";
import { type ReadNode, verifyDeep } from "../engines/postgres/backup/verify-deep.ts";
import { exists } from "../engines/postgres/embedded/files.ts";
import { type Project, systemPaths, systemsOf } from "./project.ts";

/** Every backup that the project knows of, oldest first. */
export async function projectBackups(project: Project): Promise<KnownBackups> {
  const systems = systemsOf(project);
  // Without any there may be backups all the same, brought from elsewhere.
  const dirs =
    systems.length > 0 ? systems.map((system) => systemPaths(project, system).postgres) : [project.stateDir];
  const known = await Promise.all(dirs.map((dir) => knownBackups(dir, undefined, [project.backups])));
  const whole = new Map(known.flatMap((one) => one.whole.map((backup) => [backup.dir, backup])));
  return {
    whole: [...whole.values()].sort((a, b) => a.manifest.finishedAtMs - b.manifest.finishedAtMs),
    damaged: [...new Set(known.flatMap(({ damaged }) => damaged))],
    away: [...new Set(known.flatMap(({ away }) => away))],
  };
}

/** The backup of this name among those that are known, or in this folder. @throws {HoldfastError} HOLDFAST_BACKUP_NOT_FOUND */
export async function backupNamed(project: Project, named: string, cwd: string): Promise<FoundBackup> {
  const { whole } = await projectBackups(project);
  const found = whole.find(({ manifest }) => manifest.name === named);
  if (found) return found;
  for (const dir of [resolve(cwd, named), resolve(project.backups, named)]) {
    if (await exists(dir)) return { dir, manifest: await readManifest(dir) };
  }
  const names = whole.map(({ manifest }) => manifest.name);
  throw backupNotFound(
    `There is no backup "${named}"${names.length > 0 ? `. The known ones are ${names.slice(-10).join(", ")}` : ", and none is known"}.`,
  );
}

export function backupNotFound(message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_BACKUP_NOT_FOUND", message);
}

export interface ListedBackups {
  readonly backups: readonly ListedBackup[];
  /** Cuts that were made apart from backups. */
  readonly cuts: readonly (Cut & { readonly system: string })[];
  readonly damaged: readonly string[];
  readonly away: readonly string[];
}

export interface ListedBackup {
  readonly name: string;
  readonly system: string;
  readonly dir: string;
  readonly bytes: number;
  readonly nodes: number;
  readonly postgres: string;
  readonly cut: string;
  readonly cutAtMs: number;
  readonly exact: boolean;
  readonly spreadMs: number;
}

export async function listBackups(project: Project): Promise<ListedBackups> {
  const { whole, damaged, away } = await projectBackups(project);
  const cuts = await Promise.all(
    systemsOf(project).map(async (system) => {
      const catalogue = await readCatalogue(systemPaths(project, system).postgres);
      return catalogue.cuts.map((cut) => ({ ...cut, system }));
    }),
  );
  return { backups: whole.map(listed), cuts: cuts.flat(), damaged, away };
}

function listed({ dir, manifest }: FoundBackup): ListedBackup {
  const { name, system, cut, nodes, postgres } = manifest;
  return {
    name,
    system,
    dir,
    bytes: backupBytes(manifest),
    nodes: nodes.length,
    postgres: postgres.version,
    cut: cut.name,
    cutAtMs: cut.atMs,
    exact: cut.exact,
    spreadMs: cut.spreadMs,
  };
}

export interface VerifySystemOptions {
  /** Default: the newest. */
  readonly backup?: string;
  readonly deep: boolean;
  readonly cwd: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string, bytes: number, bytesTotal: number) => void;
}

export interface Verified {
  readonly dir: string;
  readonly manifest: BackupManifest;
  readonly bytes: number;
  /** What was read of it after it was started; undefined when only its files were checked. */
  readonly read: readonly ReadNode[] | undefined;
}

/** @throws {HoldfastError} HOLDFAST_BACKUP_NOT_FOUND, and as `verifyFiles` and `verifyDeep` */
export async function verifySystem(project: Project, options: VerifySystemOptions): Promise<Verified> {
  const { backup, cwd, clock, signal, onProgress } = options;
  const newest = async () => (await projectBackups(project)).whole.at(-1);
  const found = backup === undefined ? await newest() : await backupNamed(project, backup, cwd);
  if (!found) throw backupNotFound("There is no backup yet. `holdfast backup` makes one.");
  const { dir, manifest } = found;
  const bytesTotal = backupBytes(manifest);
  let bytes = 0;
  const onBytes = (more: number) => {
    bytes += more;
    onProgress(`Checking ${manifest.name}`, bytes, bytesTotal);
  };
  await verifyFiles(dir, { signal, onBytes });
  const tell = (text: string) => onProgress(`Trying ${manifest.name}: ${text}`, bytesTotal, bytesTotal);
  const read = options.deep ? await verifyDeep(dir, { clock, signal, onProgress: tell }) : undefined;
  return { dir, manifest, bytes: bytesTotal, read };
}
