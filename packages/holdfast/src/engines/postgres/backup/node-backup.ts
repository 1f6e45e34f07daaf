/**
 * One node's part of a backup: a live copy of its primary's data, then the log from where the copy began to the cut.
 *
 * Everything is read on one connection's watch: the backup mode and the slot that keeps the log end with it, so that
 * a backup that is killed leaves nothing on the server. A primary that fails over meanwhile ends it too, and with it
 * the backup.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import { codeOf } from "../embedded/files.ts";
import { copyLiveData, eachAtOnce, refuseTablespaces } from "../embedded/live-copy.ts";
import { parseLsn } from "../timeline.ts";
import type { CutNode } from "./cut.ts";
import { copyHashed, writeHashed } from "./hashed-copy.ts";
import type { BackupFile, NodeManifest } from "./manifest.ts";
import { segmentBefore, segmentName, segmentOf, timelineOfHistory } from "./wal-name.ts";

export interface NodeBackupOptions {
  readonly name: string;
  /** A connection to the primary as superuser, which the backup lives and dies with. */
  readonly client: pg.Client;
  readonly dataDir: string;
  readonly archiveDir: string | undefined;
  /** The node's folder in the backup; made here. */
  readonly to: string;
  readonly signal: AbortSignal;
  readonly sync: boolean;
  readonly onBytes: (bytes: number) => void;
}

export type CopiedNode = Omit<NodeManifest, "wal">;

/** Settings that a standby must not have less of than its primary had, or it stops replaying. */
const atLeast = [
  "max_connections",
  "max_locks_per_transaction",
  "max_prepared_transactions",
  "max_wal_senders",
  "max_worker_processes",
];

/** How much there is to copy, as far as the server knows, in bytes. */
export async function dataBytes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    "select sum(pg_database_size(oid))::text as bytes from pg_database",
  );
  return Number(rows[0]?.bytes ?? 0);
}

/** Copies the data. What it needs of the log is kept on the server until the connection ends. */
export async function copyNodeData(options: NodeBackupOptions): Promise<CopiedNode> {
  const { name, client, dataDir, to, signal, sync, onBytes } = options;
  await refuseTablespaces(client, "backups");
  await client.query(
    "select pg_create_physical_replication_slot('holdfast_backup_' || pg_backend_pid(), true, true)",
  );
  const facts = await factsOf(client);
  const start = await one<{ lsn: string; at: number }>(
    client,
    "select pg_backup_start('holdfast backup', true)::text as lsn, extract(epoch from clock_timestamp())::float8 * 1000 as at",
  );
  const data = join(to, "data");
  const dirs: string[] = [];
  const files: BackupFile[] = [];
  const pathOf = (path: string) => relative(data, path).split("\\").join("/");
  await mkdir(to, { mode: 0o700 });
  await copyLiveData(dataDir, data, {
    signal,
    makeDir: async (path) => {
      await mkdir(path, { mode: 0o700 });
      if (path !== data) dirs.push(pathOf(path));
    },
    copyFile: async (from, target) => {
      files.push({ path: pathOf(target), ...(await copyHashed(from, target, { signal, sync, onBytes })) });
    },
  });
  const stop = await one<{ lsn: string; labelfile: string; at: number }>(
    client,
    "select lsn::text, labelfile, extract(epoch from clock_timestamp())::float8 * 1000 as at from pg_backup_stop(false)",
  );
  const label = await writeHashed(join(data, "backup_label"), stop.labelfile, sync);
  files.push({ path: "backup_label", ...label });
  return {
    name,
    ...facts,
    startLsn: start.lsn,
    startAtMs: start.at,
    stopLsn: stop.lsn,
    stopAtMs: stop.at,
    dirs: dirs.sort(),
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** Copies the log from the beginning of the copy to the cut, and all histories. */
export async function copyNodeLog(
  options: NodeBackupOptions,
  copied: CopiedNode,
  cut: CutNode,
): Promise<BackupFile[]> {
  const { client, dataDir, archiveDir, to, signal, sync, onBytes } = options;
  const { segmentBytes, timeline } = copied;
  if (cut.timeline !== timeline) throw failedOver(options.name);
  // Finishes the segment that the cut is in, and writes it to disk: it never changes again.
  await client.query("select pg_switch_wal()");
  const target = join(to, "wal");
  await mkdir(target, { mode: 0o700 });
  const sources = [join(dataDir, "pg_wal"), ...(archiveDir ? [archiveDir] : [])];
  const names: string[] = [];
  const last = segmentBefore(parseLsn(cut.lsn), segmentBytes);
  for (let segment = segmentOf(parseLsn(copied.startLsn), segmentBytes); segment <= last; segment++) {
    names.push(segmentName({ timeline, segment }, segmentBytes));
  }
  const histories = (await readdir(join(dataDir, "pg_wal"))).filter(
    (name) => timelineOfHistory(name) !== undefined,
  );
  const files: BackupFile[] = [];
  await eachAtOnce([...names, ...histories], signal, async (path) => {
    for (const source of sources) {
      try {
        const copy = { signal, sync, onBytes };
        files.push({ path, ...(await copyHashed(join(source, path), join(target, path), copy)) });
        return;
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
    throw new HoldfastError(
      "HOLDFAST_WAL_MISSING",
      `${options.name} no longer has the log segment ${path} that this backup needs: more was written during the backup than max_slot_wal_keep_size allows to be kept. Switch the archive on (\`holdfast backup --archive on\`), or take the backup when less is written.`,
      { data: { node: options.name, segment: path } },
    );
  });
  await client.query("select 1"); // the primary is still the one that was copied
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function factsOf(client: pg.Client) {
  const facts = await one<{ system: string; timeline: number; bytes: number }>(
    client,
    `select system_identifier::text as system,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int as timeline,
       (select setting::int from pg_settings where name = 'wal_segment_size') as bytes
     from pg_control_system()`,
  );
  const { rows } = await client.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any($1) order by name",
    [atLeast],
  );
  return {
    systemIdentifier: facts.system,
    timeline: facts.timeline,
    segmentBytes: facts.bytes,
    settings: Object.fromEntries(rows.map(({ name, setting }) => [name, setting])),
  };
}

async function one<Row extends pg.QueryResultRow>(client: pg.Client, text: string): Promise<Row> {
  const { rows } = await client.query<Row>(text);
  const [row] = rows;
  if (!row) throw new Error(`no row for ${text}`);
  return row;
}

export function failedOver(node: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${node} failed over while it was backed up, and half of the copy is of the old primary. Nothing was kept of this backup; take it again.`,
    { data: { node } },
  );
}
