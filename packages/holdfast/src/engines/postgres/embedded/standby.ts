/**
 * Making a streaming replica: a copy of the primary's files, taken while it runs.
 *
 * `pg_backup_start` and `pg_backup_stop` bracket the copy; pages that were torn by it are repaired from the
 * WAL between the two, which a replication slot, made before, keeps until the replica has it. The copy gets
 * its final name last, so a process killed half-way leaves only a `.new` directory.
 *
 * @see PostgreSQL documentation, "Making a Base Backup Using the Low Level API"
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { copyFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type pg from "pg";
import type { PostgresBinaries } from "./binaries.ts";
import { sayingDiskFull, syncDirOf } from "./files.ts";
import { copyLiveData, refuseTablespaces } from "./live-copy.ts";
import { asUser, giveTo, type OsUser } from "./os-user.ts";
import { renewSlot } from "./replica-slots.ts";
import { serverEnvironment } from "./server-environment.ts";

const run = promisify(execFile);

export interface MakeStandbyOptions {
  /** A connection to the primary as superuser; the backup lives and dies with it. */
  readonly primary: pg.Client;
  readonly primaryDataDir: string;
  /** Index of the replica: names its slot. */
  readonly replica: number;
  /** The directory to make. */
  readonly dataDir: string;
  readonly user: OsUser;
  readonly binaries: PostgresBinaries;
  readonly signal: AbortSignal;
  /** Write the copy to disk before it counts. Default true: after a power cut it is whole or made anew. */
  readonly sync?: boolean;
  /** Told after each file. */
  readonly onFile?: (copied: number, total: number) => void;
}

export async function makeStandby(options: MakeStandbyOptions): Promise<void> {
  const { dataDir } = options;
  const making = `${dataDir}.new`;
  await rm(making, { recursive: true, force: true });
  try {
    await sayingDiskFull(dataDir, () => copyWithBackup(options, making));
    await rename(making, dataDir);
    await syncDirOf(dataDir);
  } catch (error) {
    // Half a copy is of no use, and on a full disk the primary needs its room.
    await rm(making, { recursive: true, force: true });
    throw error;
  }
}

async function copyWithBackup(options: MakeStandbyOptions, making: string): Promise<void> {
  const { primary, primaryDataDir, replica, user, binaries, sync = true, signal, onFile } = options;
  await refuseTablespaces(primary, "replicas");
  await renewSlot(primary, replica);
  await primary.query("select pg_backup_start('holdfast replica', true)");
  await copyLiveData(primaryDataDir, making, {
    signal,
    makeDir: async (path) => {
      await mkdir(path, { mode: 0o700 });
      await giveTo(user, path);
    },
    copyFile: async (from, to) => {
      await copyFile(from, to, constants.COPYFILE_FICLONE);
      await giveTo(user, to);
    },
    ...(onFile ? { onFile } : {}),
  });
  const { rows } = await primary.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
  await writeOwned(join(making, "backup_label"), rows[0]?.labelfile ?? "", user);
  await writeOwned(join(making, "standby.signal"), "", user);
  if (sync) await syncDataDir(making, binaries, user);
}

/** Writes a data directory that belongs to `user` to disk. */
export async function syncDataDir(dataDir: string, binaries: PostgresBinaries, user: OsUser): Promise<void> {
  await run(binaries.initdb, ["--sync-only", `--pgdata=${dataDir}`], {
    ...asUser(user),
    cwd: dataDir,
    env: serverEnvironment(),
  });
}

export async function writeOwned(path: string, text: string, user: OsUser): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await giveTo(user, path);
}
