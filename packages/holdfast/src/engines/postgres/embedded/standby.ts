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
import { copyFile, lstat, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { codeOf, sayingDiskFull, syncDirOf } from "./files.ts";
import { asUser, giveTo, type OsUser } from "./os-user.ts";
import { renewSlot } from "./replica-slots.ts";
import { serverEnvironment } from "./server-environment.ts";

const run = promisify(execFile);

/** Directories whose contents belong to the running primary, not to a copy (as in pg_basebackup). */
const emptied = new Set([
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);

const copiersAtOnce = 8;

/** Files at the top of the data directory that are not copied. */
const left = new Set([
  "postmaster.pid",
  "postmaster.opts",
  "postgresql.auto.conf.tmp",
  "backup_label",
  "tablespace_map",
  "backup_manifest",
  "standby.signal",
  "recovery.signal",
]);

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
  const { primary, primaryDataDir, replica, user, binaries, sync = true } = options;
  await refuseTablespaces(primary);
  await renewSlot(primary, replica);
  await primary.query("select pg_backup_start('holdfast replica', true)");
  await new LiveCopy(options).dataDir(primaryDataDir, making);
  const { rows } = await primary.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
  await writeOwned(join(making, "backup_label"), rows[0]?.labelfile ?? "", user);
  await writeOwned(join(making, "standby.signal"), "", user);
  if (!sync) return;
  await run(binaries.initdb, ["--sync-only", `--pgdata=${making}`], {
    ...asUser(user),
    cwd: making,
    env: serverEnvironment(),
  });
}

async function refuseTablespaces(primary: pg.Client): Promise<void> {
  const { rows } = await primary.query<{ spcname: string }>(
    "select spcname from pg_tablespace where spcname not in ('pg_default', 'pg_global')",
  );
  if (rows.length === 0) return;
  const tablespaces = rows.map((row) => row.spcname);
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_START",
    `An embedded server with tablespaces (${tablespaces.join(", ")}) cannot have replicas. ` +
      "Move their tables back (alter table ... set tablespace pg_default) and drop them.",
    { data: { tablespaces } },
  );
}

/** A copy of files that change meanwhile: what vanishes was dropped, and the WAL says so too. */
class LiveCopy {
  readonly #options: MakeStandbyOptions;
  readonly #files: { readonly from: string; readonly to: string }[] = [];

  constructor(options: MakeStandbyOptions) {
    this.#options = options;
  }

  async dataDir(from: string, to: string): Promise<void> {
    await this.#dir(from, to, true);
    // A primary's pg_wal may be a link to another disk; the copy has its own.
    if (!(await lstat(join(to, "pg_wal")).catch(vanished))) await this.#emptyDir(join(to, "pg_wal"));
    await this.#emptyDir(join(to, "pg_wal", "archive_status"));
    await this.#emptyDir(join(to, "pg_wal", "summaries"));
    await this.#copyFiles();
    // Last, as pg_basebackup does: it names the latest checkpoint.
    await this.#file(join(from, "global", "pg_control"), join(to, "global", "pg_control"));
  }

  /** Makes the directories and notes the files. */
  async #dir(from: string, to: string, top = false): Promise<void> {
    await this.#emptyDir(to);
    const entries = await readdir(from, { withFileTypes: true }).catch(vanished);
    for (const entry of entries ?? []) {
      const source = join(from, entry.name);
      const target = join(to, entry.name);
      if (entry.name.startsWith("pgsql_tmp")) continue;
      if (entry.isDirectory()) {
        if (top && emptied.has(entry.name)) await this.#emptyDir(target);
        else await this.#dir(source, target);
      } else if (entry.isFile() && entry.name !== "pg_control" && !(top && left.has(entry.name))) {
        this.#files.push({ from: source, to: target });
      }
    }
  }

  async #copyFiles(): Promise<void> {
    const total = this.#files.length;
    let copied = 0;
    const copyRest = async () => {
      for (let file = this.#files.pop(); file; file = this.#files.pop()) {
        this.#options.signal.throwIfAborted();
        await this.#file(file.from, file.to);
        this.#options.onFile?.(++copied, total);
      }
    };
    // A cluster is a thousand small files: what takes time is one waiting for the other. Each of the copiers
    // has ended before this goes on, also when one fails: none may write into a directory that is removed.
    const copiers = await Promise.allSettled(Array.from({ length: copiersAtOnce }, copyRest));
    const failed = copiers.find((copier) => copier.status === "rejected");
    if (failed) throw failed.reason;
  }

  async #file(from: string, to: string): Promise<void> {
    try {
      await copyFile(from, to, constants.COPYFILE_FICLONE);
      await giveTo(this.#options.user, to);
    } catch (error) {
      vanished(error);
    }
  }

  async #emptyDir(dir: string): Promise<void> {
    await mkdir(dir, { mode: 0o700 });
    await giveTo(this.#options.user, dir);
  }
}

async function writeOwned(path: string, text: string, user: OsUser): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await giveTo(user, path);
}

function vanished(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
