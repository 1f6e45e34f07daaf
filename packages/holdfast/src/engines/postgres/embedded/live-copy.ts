/**
 * A copy of a data directory whose server runs, between `pg_backup_start` and `pg_backup_stop`: for replicas and
 * for backups. What vanishes meanwhile was dropped, and the WAL says so too; what is torn is repaired from the WAL.
 *
 * @see PostgreSQL documentation, "Making a Base Backup Using the Low Level API"
 */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import { codeOf } from "./files.ts";

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

const copiersAtOnce = 8;

export interface LiveCopyOptions {
  readonly signal: AbortSignal;
  /** Makes a directory of the copy; its parent is there. */
  readonly makeDir: (path: string) => Promise<void>;
  /** Copies one file. It may reject with ENOENT: the file has vanished. */
  readonly copyFile: (from: string, to: string) => Promise<void>;
  /** Told after each file. */
  readonly onFile?: (copied: number, total: number) => void;
}

export async function copyLiveData(from: string, to: string, options: LiveCopyOptions): Promise<void> {
  await new LiveCopy(options).dataDir(from, to);
}

/** Runs `work` on everything in `items`, some at once; each has ended when this does, also when one fails. */
export async function eachAtOnce<T>(
  items: Iterable<T>,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = [...items].reverse();
  const workRest = async () => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) {
      signal.throwIfAborted();
      await work(item);
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: copiersAtOnce }, workRest));
  const failed = workers.find((worker) => worker.status === "rejected");
  if (failed) throw failed.reason;
}

/** @throws {HoldfastError} HOLDFAST_POSTGRES_START: a copy of the data directory would not have what is elsewhere */
export async function refuseTablespaces(primary: pg.Client, purpose: string): Promise<void> {
  const { rows } = await primary.query<{ spcname: string }>(
    "select spcname from pg_tablespace where spcname not in ('pg_default', 'pg_global')",
  );
  if (rows.length === 0) return;
  const tablespaces = rows.map((row) => row.spcname);
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_START",
    `An embedded server with tablespaces (${tablespaces.join(", ")}) cannot have ${purpose}. ` +
      "Move their tables back (alter table ... set tablespace pg_default) and drop them.",
    { data: { tablespaces } },
  );
}

class LiveCopy {
  readonly #options: LiveCopyOptions;
  readonly #files: { readonly from: string; readonly to: string }[] = [];

  constructor(options: LiveCopyOptions) {
    this.#options = options;
  }

  async dataDir(from: string, to: string): Promise<void> {
    const { makeDir } = this.#options;
    await this.#dir(from, to, true);
    // A primary's pg_wal may be a link to another disk; the copy has its own.
    if (!(await lstat(join(to, "pg_wal")).catch(vanished))) await makeDir(join(to, "pg_wal"));
    await makeDir(join(to, "pg_wal", "archive_status"));
    await makeDir(join(to, "pg_wal", "summaries"));
    await this.#copyFiles();
    // Last, as pg_basebackup does: it names the latest checkpoint.
    await this.#file(join(from, "global", "pg_control"), join(to, "global", "pg_control"));
  }

  /** Makes the directories and notes the files. */
  async #dir(from: string, to: string, top = false): Promise<void> {
    await this.#options.makeDir(to);
    const entries = await readdir(from, { withFileTypes: true }).catch(vanished);
    for (const entry of entries ?? []) {
      const source = join(from, entry.name);
      const target = join(to, entry.name);
      if (entry.name.startsWith("pgsql_tmp")) continue;
      if (entry.isDirectory()) {
        if (top && emptied.has(entry.name)) await this.#options.makeDir(target);
        else await this.#dir(source, target);
      } else if (entry.isFile() && entry.name !== "pg_control" && !(top && left.has(entry.name))) {
        this.#files.push({ from: source, to: target });
      }
    }
  }

  /** A cluster is a thousand small files: what takes time is one waiting for the other. */
  async #copyFiles(): Promise<void> {
    const total = this.#files.length;
    let copied = 0;
    await eachAtOnce(this.#files, this.#options.signal, async ({ from, to }) => {
      await this.#file(from, to);
      this.#options.onFile?.(++copied, total);
    });
  }

  async #file(from: string, to: string): Promise<void> {
    await this.#options.copyFile(from, to).catch(vanished);
  }
}

function vanished(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
