/**
 * A node's WAL archive: a directory that each of its servers copies every finished segment to. Postgres keeps what
 * it could not archive, so that nothing is missing later; a failing archive therefore fills the disk of the data, and
 * its state has to be looked at.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { giveTo, type OsUser } from "./os-user.ts";
import { reachableBy } from "./reachable.ts";

export interface ArchiveState {
  /** Segments that are finished and not in the archive yet. */
  readonly waiting: number;
  /** Size of a segment, in bytes. */
  readonly segmentBytes: number;
  /** When a segment was archived last, in milliseconds since the epoch; null when none was. */
  readonly lastArchivedAtMs: number | null;
  /** The segment that could not be archived, when the last attempt failed. */
  readonly failing: string | null;
  /** Since when it has been so, in milliseconds since the epoch: the last attempt that failed. */
  readonly lastFailedAtMs: number | null;
}

/** Beside the data directories, where the server's user can reach it. */
export function defaultArchiveDir(serversDir: string): string {
  return join(serversDir, "archive");
}

/** @throws {HoldfastError} HOLDFAST_POSTGRES_OS_USER when the server's user cannot reach it */
export async function makeArchiveDir(dir: string, user: OsUser): Promise<void> {
  await mkdir(dirname(dir), { recursive: true, mode: 0o755 });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await giveTo(user, dir);
  if (await reachableBy(user, dir)) return;
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_OS_USER",
    `The user "${user.name}", which runs Postgres because Holdfast runs as root, cannot reach ${dir}. ` +
      "Let others pass (chmod o+x on its parents), or archive to another directory.",
    { data: { dir, user: user.name } },
  );
}

/** Waits until the postmaster has told its processes, the archiver last. */
export async function untilArchivesTo(client: pg.Client, dir: string | null, clock: Clock): Promise<void> {
  for (let look = 0; look < looksMax; look++) {
    const { rows } = await client.query<{ dir: string | null; library: string }>(
      "select current_setting('basic_archive.archive_directory', true) as dir, current_setting('archive_library') as library",
    );
    const now = rows[0]?.library ? rows[0].dir : null;
    if (now === dir) return;
    await clock.sleep(lookMs);
  }
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The server has not taken its new archive ${dir ?? "(none)"} on; its log says why. A path may have at most 950 bytes.`,
    { data: { dir } },
  );
}

const lookMs = 20;
const looksMax = 500;

export async function archiveState(client: pg.Client): Promise<ArchiveState> {
  const { rows } = await client.query<{
    waiting: number;
    bytes: number;
    archived: number | null;
    failed: number | null;
    wal: string | null;
  }>(
    `select (select count(*)::int from pg_ls_archive_statusdir() where name like '%.ready') as waiting,
       (select setting::int from pg_settings where name = 'wal_segment_size') as bytes,
       extract(epoch from last_archived_time)::float8 * 1000 as archived,
       extract(epoch from last_failed_time)::float8 * 1000 as failed, last_failed_wal as wal
     from pg_stat_archiver`,
  );
  const row = rows[0];
  const failing = row?.failed != null && (row.archived === null || row.failed > row.archived);
  return {
    waiting: row?.waiting ?? 0,
    segmentBytes: row?.bytes ?? 0,
    lastArchivedAtMs: row?.archived ?? null,
    failing: failing && row.waiting > 0 ? row.wal : null,
    lastFailedAtMs: failing ? row.failed : null,
  };
}
