/** Backups in words. */
import { stat } from "node:fs/promises";
import { isoTime } from "../clock/index.ts";
import type { ListedBackups } from "../runtime/backup-list.ts";
import type { SystemBackup } from "../runtime/backup-system.ts";
import type { Project } from "../runtime/project.ts";
import { duration, size, textTable } from "./table.ts";

interface CutFacts {
  readonly exact: boolean;
  readonly spreadMs: number;
  readonly pausedMs: number;
  readonly nodes: readonly unknown[];
}

interface Progress {
  readonly step: string;
  readonly bytes: number;
  readonly bytesTotal: number;
}

/** How far the nodes of a cut agree. */
export function cutText({ exact, spreadMs, pausedMs, nodes }: CutFacts): string {
  if (exact) {
    return `It is exact: writes were held for ${pausedMs} ms, so that every transaction is on all of its nodes or on none.`;
  }
  return nodes.length === 1
    ? "There is one node, which agrees with itself."
    : `Its points were made within ${spreadMs} ms on ${nodes.length} nodes: what committed on several of them in that time may be on some only. \`--pause-writes\` makes it exact.`;
}

export function progressText(system: string, { step, bytes, bytesTotal }: Progress): string {
  if (step === "copying") {
    return `Backing up ${system}: ${size(bytes)} of about ${size(Math.max(bytes, bytesTotal))}`;
  }
  if (step === "cut") return `Backing up ${system}: making the cut`;
  if (step === "log") return `Backing up ${system}: its log, ${size(bytes)} in all`;
  return `Backing up ${system}: writing the manifest`;
}

export async function backupLines(
  { taken, archive, removed, prunedBytes }: SystemBackup,
  tookMs: number,
  project: Project,
): Promise<string[]> {
  const { manifest, dir, bytes } = taken;
  const perSecond = size(bytes / Math.max(tookMs / 1_000, 0.001));
  const nodes = manifest.nodes.length === 1 ? "1 node" : `${manifest.nodes.length} nodes`;
  const lines = [
    `Backed up ${manifest.system}: ${nodes}, ${size(bytes)} in ${duration(tookMs)} (${perSecond}/s)`,
    `  ${dir}`,
    `Cut ${manifest.cut.name} at ${isoTime(manifest.cut.atMs)}. ${cutText(manifest.cut)}`,
    archiveText(archive, manifest.finishedAtMs),
  ];
  if (removed.length > 0) lines.push(`Removed ${removed.join(", ")}.`);
  if (prunedBytes > 0)
    lines.push(`Removed ${size(prunedBytes)} of the archives, which no kept backup needs.`);
  if (await onOneDisk(dir, project.stateDir)) {
    lines.push(
      "It lies on the disk of the data: copy it elsewhere, or use --to, so that both are not lost at once.",
    );
  }
  return lines;
}

function archiveText(archive: SystemBackup["archive"], sinceMs: number): string {
  if (archive === "off") {
    return "The archive is off: only the cut can be restored. `holdfast backup --archive on` switches it on.";
  }
  const since = `Every time from ${isoTime(sinceMs)} on can be restored`;
  return archive === "begun"
    ? `The archive of the log was switched on. ${since}.`
    : `${since}; the archive is on.`;
}

async function onOneDisk(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)]);
  return a.dev === b.dev;
}

export function listLines({ backups, damaged, away, cuts }: ListedBackups): string[] {
  if (backups.length + damaged.length + away.length === 0)
    return ["There is no backup yet. `holdfast backup` makes one."];
  const rows = backups.map(({ name, system, cutAtMs, bytes, nodes, exact, spreadMs, dir }) => [
    name,
    system,
    String(nodes),
    size(bytes),
    isoTime(cutAtMs),
    exact ? "exact" : nodes === 1 ? "one node" : `within ${spreadMs} ms`,
    dir,
  ]);
  const lines = textTable(["BACKUP", "SYSTEM", "NODES", "SIZE", "CUT AT", "NODES AGREE", "FOLDER"], rows);
  if (cuts.length > 0) {
    const made = cuts.map(({ name, system, atMs, exact, spreadMs }) => [
      name,
      system,
      isoTime(atMs),
      exact ? "exact" : `within ${spreadMs} ms`,
    ]);
    lines.push("", ...textTable(["CUT", "SYSTEM", "AT", "NODES AGREE"], made));
  }
  for (const dir of damaged) lines.push("", `Damaged: the manifest of ${dir} cannot be read.`);
  for (const dir of away)
    lines.push("", `Away: ${dir} is on a disk that is not there now; what it needs of the archive is kept.`);
  return lines;
}
