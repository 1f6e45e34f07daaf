/**
 * The manifest of a backup: what it is of, what is in it, and what it can be restored to. It is written last, and
 * the folder gets its name after it, so that a folder with a manifest is a whole backup.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { ShardMap } from "../config.ts";
import { codeOf } from "../embedded/files.ts";
import type { Cut } from "./cut.ts";
import type { FileSum } from "./hashed-copy.ts";

export interface BackupFile extends FileSum {
  /** Relative to the node's `data` or `wal` folder, with slashes. */
  readonly path: string;
}

export interface NodeManifest {
  readonly name: string;
  /** Postgres' own identifier of the cluster. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly segmentBytes: number;
  /** Where the copy began: replay starts there. */
  readonly startLsn: string;
  readonly startAtMs: number;
  /** Where the copy ended: before it nothing can be restored. */
  readonly stopLsn: string;
  readonly stopAtMs: number;
  /** Settings that a server which replays this log must not have less of. */
  readonly settings: Readonly<Record<string, string>>;
  /** Directories of the data, also empty ones. */
  readonly dirs: readonly string[];
  readonly files: readonly BackupFile[];
  /** The log from the start to the cut, and the histories of timelines. */
  readonly wal: readonly BackupFile[];
}

export interface BackupManifest {
  readonly format: 1;
  readonly name: string;
  readonly system: string;
  /** Version of Holdfast. */
  readonly version: string;
  readonly postgres: { readonly major: number; readonly version: string };
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** The point that every node of this backup can be restored to by itself, without an archive. */
  readonly cut: Cut;
  /** Where the shards of each database were. */
  readonly databases: Readonly<Record<string, ShardMap>>;
  readonly nodes: readonly NodeManifest[];
}

export const manifestName = "manifest.json";

export function backupBytes({ nodes }: BackupManifest): number {
  return nodes.flatMap(({ files, wal }) => [...files, ...wal]).reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * @throws {HoldfastError} HOLDFAST_BACKUP_NOT_FOUND when `dir` has no manifest, HOLDFAST_BACKUP_DAMAGED when it
 *   cannot be read
 */
export async function readManifest(dir: string): Promise<BackupManifest> {
  const path = join(dir, manifestName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) throw error;
    throw new HoldfastError(
      "HOLDFAST_BACKUP_NOT_FOUND",
      `${dir} is no backup: it has no ${manifestName}. \`holdfast backup --list\` shows those that are known.`,
      { data: { dir } },
    );
  }
  const manifest = parse(text);
  if (manifest) return manifest;
  throw new HoldfastError(
    "HOLDFAST_BACKUP_DAMAGED",
    `${path} is damaged, or was written by a newer version of Holdfast. Take another backup: \`holdfast backup --list\`.`,
    { data: { dir, files: [manifestName] } },
  );
}

function parse(text: string): BackupManifest | undefined {
  try {
    const read = JSON.parse(text) as BackupManifest | null;
    const whole =
      read?.format === 1 &&
      typeof read.system === "string" &&
      Array.isArray(read.nodes) &&
      read.nodes.every(({ files, wal, dirs }) => [files, wal, dirs].every(Array.isArray)) &&
      [...read.nodes.flatMap(({ files, wal }) => [...files, ...wal]), ...dirsOf(read)].every(({ path }) =>
        isInside(path),
      );
    return whole ? read : undefined;
  } catch {
    return undefined;
  }
}

const dirsOf = ({ nodes }: BackupManifest) => nodes.flatMap(({ dirs }) => dirs.map((path) => ({ path })));

/** A manifest that was tampered with must not have files written elsewhere. */
function isInside(path: unknown): boolean {
  return typeof path === "string" && !path.startsWith("/") && !path.split(/[/\\]/).includes("..");
}
