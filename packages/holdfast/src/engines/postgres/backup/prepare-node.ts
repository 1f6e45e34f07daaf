/**
 * A node's data out of a backup, as a directory that a server can start on: every file checked against its sum while
 * it is copied. It lies beside the present data and does not touch it.
 */
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresBinaries } from "../embedded/binaries.ts";
import { codeOf, exists, sayingDiskFull } from "../embedded/files.ts";
import { eachAtOnce } from "../embedded/live-copy.ts";
import { giveTo, type OsUser } from "../embedded/os-user.ts";
import { stopOrphans } from "../embedded/processes.ts";
import { syncDataDir, writeOwned } from "../embedded/standby.ts";
import { copyHashed } from "./hashed-copy.ts";
import type { BackupFile, NodeManifest } from "./manifest.ts";
import { timelineOfHistory } from "./wal-name.ts";
import { readWalSource } from "./wal-source.ts";

export interface PrepareOptions {
  readonly node: NodeManifest;
  readonly backupDir: string;
  /** Where timeline histories are that the backup may not have. */
  readonly historyDirs: readonly string[];
  /** The directory to make. What an earlier attempt left there goes. */
  readonly dataDir: string;
  readonly user: OsUser;
  readonly binaries: PostgresBinaries;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly sync: boolean;
  readonly onBytes?: (bytes: number) => void;
}

/** `alter system` of before would overrule what recovery needs; it lies here until that is over. */
const autoConf = "postgresql.auto.conf";
const heldConf = "postgresql.auto.conf.held";

/** @throws {HoldfastError} HOLDFAST_BACKUP_DAMAGED with every file that is missing or differs, HOLDFAST_DISK_FULL */
export async function prepareNode(options: PrepareOptions): Promise<void> {
  const { node, backupDir, dataDir, user, binaries, sync } = options;
  await removePrepared(dataDir, options.clock);
  const makeDir = async (path: string) => {
    await mkdir(path, { mode: 0o700 });
    await giveTo(user, path);
  };
  await sayingDiskFull(dataDir, async () => {
    await makeDir(dataDir);
    for (const dir of node.dirs) await makeDir(join(dataDir, dir));
    const from = join(backupDir, node.name);
    const damaged = [
      ...(await copyChecked(options, node.files, join(from, "data"), dataDir)),
      ...(await copyChecked(options, node.wal, join(from, "wal"), join(dataDir, "pg_wal"))),
    ];
    if (damaged.length > 0) throw damagedBackup(backupDir, damaged);
    // Archived long ago, or of no use to an archive that did not want them.
    for (const { path } of node.wal) {
      await writeOwned(join(dataDir, "pg_wal", "archive_status", `${path}.done`), "", user);
    }
    await copyHistories(options);
    if (await exists(join(dataDir, autoConf))) await rename(join(dataDir, autoConf), join(dataDir, heldConf));
    await writeOwned(join(dataDir, "standby.signal"), "", user);
    if (sync) await syncDataDir(dataDir, binaries, user);
  });
}

/** Gives the settings of `alter system` back. */
export async function releaseSettings(dataDir: string): Promise<void> {
  const held = join(dataDir, heldConf);
  if (await exists(held)) await rename(held, join(dataDir, autoConf));
}

/** Removes what was prepared, and the server that an interrupted restore may have left on it. */
export async function removePrepared(dataDir: string, clock: Clock): Promise<void> {
  await stopOrphans(dataDir, clock, { cleanMs: 0 });
  await rm(dataDir, { recursive: true, force: true });
}

async function copyChecked(
  { user, signal, onBytes }: PrepareOptions,
  files: readonly BackupFile[],
  from: string,
  to: string,
): Promise<string[]> {
  const damaged: string[] = [];
  await eachAtOnce(files, signal, async ({ path, bytes, sha256 }) => {
    const source = join(from, path);
    try {
      // Synced as a whole at the end.
      const copied = await copyHashed(source, join(to, path), {
        signal,
        sync: false,
        ...(onBytes ? { onBytes } : {}),
      });
      await giveTo(user, join(to, path));
      if (copied.bytes !== bytes || copied.sha256 !== sha256) damaged.push(source);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      damaged.push(`${source} (missing)`);
    }
  });
  return damaged;
}

/** A server finds the number of its new timeline by those it knows of: one that was used must not be used again. */
async function copyHistories({ historyDirs, dataDir, user }: PrepareOptions): Promise<void> {
  for (const dir of historyDirs) {
    const source = await readWalSource(dir);
    for (const name of source?.names ?? []) {
      const to = join(dataDir, "pg_wal", name);
      if (timelineOfHistory(name) === undefined || (await exists(to))) continue;
      await copyFile(join(dir, name), to);
      await giveTo(user, to);
      await writeOwned(join(dataDir, "pg_wal", "archive_status", `${name}.done`), "", user);
    }
  }
}

const namedMax = 10;

export function damagedBackup(dir: string, files: readonly string[]): HoldfastError {
  const more = files.length > namedMax ? `\n  and ${files.length - namedMax} more` : "";
  const list = [...files]
    .sort()
    .slice(0, namedMax)
    .map((file) => `\n  ${file}`);
  return new HoldfastError(
    "HOLDFAST_BACKUP_DAMAGED",
    `${files.length === 1 ? "1 file of the backup differs from its checksum" : `${files.length} files of the backup differ from their checksums`}:${list.join("")}${more}\nBring them back from a copy, or use another backup (\`holdfast backup --list\`). The present data was not touched.`,
    { data: { dir, files } },
  );
}
