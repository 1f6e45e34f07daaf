/** Removing old backups, and what only they needed of the archives. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../timeline.ts";
import { type FoundBackup, removeBackup } from "./backup-folder.ts";
import { parseSegmentName, segmentOf } from "./wal-name.ts";
import { readWalSource } from "./wal-source.ts";

/** Removes all but the newest `keep` of these. @param backups oldest first */
export async function keepNewest(
  backups: readonly FoundBackup[],
  keep: number,
): Promise<{ readonly kept: readonly FoundBackup[]; readonly removed: readonly FoundBackup[] }> {
  const removed = backups.slice(0, Math.max(0, backups.length - keep));
  for (const { dir } of removed) await removeBackup(dir);
  return { kept: backups.slice(removed.length), removed };
}

/**
 * The first segment that one of these backups may need from a node's archive; undefined when none is of the node. A
 * restore can begin a timeline further back, so that only the number counts, on every timeline.
 */
export function firstNeeded(node: string, backups: readonly FoundBackup[]): bigint | undefined {
  let first: bigint | undefined;
  for (const { manifest } of backups) {
    for (const { name, startLsn, segmentBytes } of manifest.nodes) {
      const segment = segmentOf(parseLsn(startLsn), segmentBytes);
      if (name === node && (first === undefined || segment < first)) first = segment;
    }
  }
  return first;
}

/** Removes the segments before `first`. Histories of timelines stay. @returns how many bytes became free */
export async function pruneArchive(archiveDir: string, first: bigint, segmentBytes: number): Promise<number> {
  const source = await readWalSource(archiveDir);
  let bytes = 0;
  for (const name of source?.names ?? []) {
    // `.partial` and `.backup` go with their segment.
    const segment = parseSegmentName(name.replace(/\.partial$|\.[0-9A-F]{8}\.backup$/, ""), segmentBytes);
    if (segment === undefined || segment.segment >= first) continue;
    await rm(join(archiveDir, name), { force: true });
    if (!name.endsWith(".backup")) bytes += segmentBytes;
  }
  return bytes;
}
