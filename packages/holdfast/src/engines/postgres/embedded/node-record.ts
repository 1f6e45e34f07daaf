/**
 * What a node has to remember between runs, beside its data: where the data lies, the ports, the superuser's
 * password, and which process runs it now. One small file, readable by its owner alone, replaced atomically.
 */
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import { codeOf, sayingDiskFull, syncDirOf } from "./files.ts";
import type { ProcessIdentity } from "./processes.ts";

/** One promotion of a replica in place of a lost primary. */
export interface Failover {
  /** When, in milliseconds since the epoch. */
  readonly atMs: number;
  /** The replica that took over, such as `replica-1`. */
  readonly promoted: string;
  /** The timeline that began with it. */
  readonly timeline: number;
  /** Where its log leaves the old one: what the old primary wrote beyond it is lost. */
  readonly fork: string;
  /** The furthest that the old primary's log was seen; it may have been further. Null when nobody had looked. */
  readonly lastSeen: string | null;
  /** Where the old primary's data lies now; null when it had none left. */
  readonly setAside: string | null;
}

/** A promotion that has begun: gone on with at the next start when it was cut short. */
export interface Promotion {
  readonly replica: number;
  readonly lastSeen: string | null;
  readonly setAside: string | null;
}

/** One restore of the node from a backup. */
export interface RestoreRecord {
  /** When, in milliseconds since the epoch. */
  readonly atMs: number;
  /** Name of the backup. */
  readonly backup: string;
  /** What it was restored to, in words. */
  readonly target: string;
  /** The timeline that began with it. */
  readonly timeline: number;
  /** Where its log leaves the old one. */
  readonly fork: string;
  /** Where the data of before lies; empty when there was none. */
  readonly setAside: readonly string[];
}

export interface NodeRecord {
  readonly format: 1;
  /** Directory of the servers' data and logs. */
  readonly serversDir: string;
  readonly superuser: string;
  readonly password: string;
  /** Port of the primary, then of each replica. Kept over restarts, so that endpoints stay as they are. */
  readonly ports: readonly number[];
  /** The primary's data has been made. When it is missing later, that is a loss and not a first run. */
  readonly made: boolean;
  readonly promotion?: Promotion | null;
  readonly failovers?: readonly Failover[];
  readonly restores?: readonly RestoreRecord[];
  /** Where its WAL is archived; null when it was switched off, absent when nobody has decided. */
  readonly archiveDir?: string | null;
  /** Where it was archived before: times of then are restored from there. */
  readonly formerArchives?: readonly string[];
  /** The supervising process, while one runs. */
  readonly owner: ProcessIdentity | null;
}

const fileName = "node.json";

/** Every archive of the node, the present one first. */
export function archivesOf({ archiveDir, formerArchives = [] }: NodeRecord): string[] {
  return [...(archiveDir ? [archiveDir] : []), ...formerArchives];
}

export async function readNodeRecord(dir: string): Promise<NodeRecord | undefined> {
  const path = join(dir, fileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const record = JSON.parse(text) as NodeRecord;
    if (record.format === 1 && typeof record.password === "string" && Array.isArray(record.ports))
      return record;
  } catch {
    // said below
  }
  throw new HoldfastError(
    "HOLDFAST_POSTGRES_START",
    `${path} is damaged or was written by a newer version of Holdfast; the data beside it needs the password in it. ` +
      "Restore the file, or move the whole directory away to start empty.",
    { data: { path } },
  );
}

export async function writeNodeRecord(dir: string, record: NodeRecord): Promise<void> {
  const making = join(dir, `${fileName}.new`);
  await sayingDiskFull(dir, async () => {
    const file = await open(making, "w", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
      await file.sync(); // a password lost in a power cut would lock the data away
    } finally {
      await file.close();
    }
    await rename(making, join(dir, fileName));
    await syncDirOf(making);
  });
}
