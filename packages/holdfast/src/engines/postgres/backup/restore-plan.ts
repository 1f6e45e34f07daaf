/**
 * What restoring a node will read, decided before anything is written: the timeline to follow, the sources of its
 * log, and every reason why the target cannot be reached.
 */
import { join } from "node:path";
import { isoTime } from "../../../clock/index.ts";
import { parseLsn } from "../timeline.ts";
import type { NodeManifest } from "./manifest.ts";
import type { RestoreTarget } from "./restore-target.ts";
import { segmentBefore, segmentName, segmentOf } from "./wal-name.ts";
import { chooseTimeline, type RestoreBranch, requiredName, stretchFrom } from "./wal-range.ts";
import { newestAtMs, readWalSource, type WalSource } from "./wal-source.ts";

export interface PlanOptions {
  readonly node: NodeManifest;
  readonly backupDir: string;
  readonly target: RestoreTarget;
  /** Archives of the node, the present one first. */
  readonly archiveDirs: readonly string[];
  /** Log directories of the node's own data, the present one first: they have what was not archived yet. */
  readonly walDirs: readonly string[];
  readonly restores: readonly RestoreBranch[];
}

export interface NodePlan {
  readonly timeline: number;
  /** Where the server fetches the log, in this order. */
  readonly fetchDirs: readonly string[];
  /** Directories whose timeline histories the restored server has to know, so that its new timeline is new. */
  readonly historyDirs: readonly string[];
  /** Replay has to come at least this far, or what is there of the log cannot be read. */
  readonly lastSegment: bigint;
  /** A part that is missing behind the target, as far as can be told before; in words. */
  readonly gap: string | undefined;
}

export interface PlanProblem {
  readonly code: "HOLDFAST_RESTORE_REFUSED" | "HOLDFAST_WAL_MISSING";
  readonly message: string;
}

export async function planNode(options: PlanOptions): Promise<NodePlan | PlanProblem> {
  const { node, backupDir, target, archiveDirs, walDirs, restores } = options;
  const refuse = (message: string): PlanProblem => ({ code: "HOLDFAST_RESTORE_REFUSED", message });
  if (target.kind === "time" && target.atMs < node.stopAtMs) {
    return refuse(
      `${node.name} can be restored to ${isoTime(node.stopAtMs)} at the earliest from this backup, when its copy was complete; ${isoTime(target.atMs)} needs an older one`,
    );
  }
  const dirs = [join(backupDir, node.name, "wal"), ...archiveDirs, ...walDirs];
  const read = await Promise.all(dirs.map(readWalSource));
  const sources = read.filter((source) => source !== undefined);
  const histories = new Map(sources.flatMap((source) => [...source.histories]));
  const own = { timeline: node.timeline, lsn: parseLsn(node.stopLsn) };
  const point = target.kind === "cut" ? target.cut.nodes.find((one) => one.node === node.name) : undefined;
  if (target.kind === "cut") {
    if (!point) return refuse(`${node.name} has no part in the cut ${target.cut.name}`);
    if (parseLsn(point.lsn) < own.lsn) {
      return refuse(
        `the cut ${target.cut.name} was made before the copy of ${node.name} was complete; it needs an older backup`,
      );
    }
  }
  const timelines = { system: node.systemIdentifier, histories, restores };
  const untilMs = target.kind === "time" ? target.atMs : target.kind === "cut" ? target.cut.atMs : undefined;
  const timeline = chooseTimeline(
    timelines,
    point ? { timeline: point.timeline, lsn: parseLsn(point.lsn) } : own,
    untilMs,
  );
  const forks = timeline === undefined ? undefined : (histories.get(timeline) ?? new Map<number, bigint>());
  if (timeline === undefined || !forks)
    return refuse(`no timeline leads from the backup of ${node.name} to the target`);

  const { segmentBytes } = node;
  const first = segmentOf(parseLsn(node.startLsn), segmentBytes);
  const all = new Set(sources.flatMap(({ names }) => [...names]));
  const stretch = stretchFrom(first, timeline, forks, segmentBytes, all);
  const needed = point ? segmentBefore(parseLsn(point.lsn), segmentBytes) : undefined;
  const gap = missingPart({ node, stretch, needed, timeline, forks });
  const gapMessage = gap && (await gapText(gap, sources, options));
  if (gap && gapMessage && !(await isAfterTarget(gap, sources, target)))
    return { code: "HOLDFAST_WAL_MISSING", message: `${node.name}: ${gapMessage}` };
  // What a log directory holds beyond its end are files to be written over: only an archive is read to its end.
  const finishedDirs = new Set(dirs.slice(0, 1 + archiveDirs.length));
  const archives = sources.filter(({ dir }) => finishedDirs.has(dir));
  const finished = new Set(archives.flatMap(({ names }) => [...names]));
  const whole = stretchFrom(first, timeline, forks, segmentBytes, finished).last ?? first;
  const hasOwnLog = sources.some(({ dir }) => dir === walDirs[0]);
  const end = requiredName(whole, timeline, forks, segmentBytes);
  const reachesMs = hasOwnLog
    ? undefined
    : latestOf(await Promise.all(archives.map((one) => newestAtMs(one, [end]))));
  if (target.kind === "time" && reachesMs !== undefined && target.atMs > reachesMs) {
    return {
      code: "HOLDFAST_WAL_MISSING",
      message: `${node.name}: the log from ${requiredName(whole + 1n, timeline, forks, segmentBytes)} on is missing. What is there ends with ${end} and reaches to about ${isoTime(reachesMs)}; leave \`--at\` out to restore all of it`,
    };
  }
  return {
    timeline,
    fetchDirs: sources.slice(1).map(({ dir }) => dir),
    historyDirs: sources.map(({ dir }) => dir),
    lastSegment: needed ?? (target.kind === "time" ? first : whole),
    gap: gapMessage,
  };
}

function latestOf(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

interface Gap {
  readonly first: string;
  readonly last: string;
  /** Name of the last segment before it. */
  readonly before: string | undefined;
}

function missingPart(facts: {
  readonly node: NodeManifest;
  readonly stretch: ReturnType<typeof stretchFrom>;
  readonly needed: bigint | undefined;
  readonly timeline: number;
  readonly forks: ReadonlyMap<number, bigint>;
}): Gap | undefined {
  const { node, stretch, needed, timeline, forks } = facts;
  const { last, missing } = stretch;
  if (needed !== undefined && last !== undefined && last >= needed) return undefined;
  const nameOf = (segment: bigint) => requiredName(segment, timeline, forks, node.segmentBytes);
  const before = last === undefined ? undefined : nameOf(last);
  if (missing) return { first: missing.first, last: missing.last, before };
  if (last !== undefined && needed === undefined) return undefined;
  const first = last === undefined ? segmentOf(parseLsn(node.startLsn), node.segmentBytes) : last + 1n;
  const end = needed ?? first;
  return {
    first: nameOf(first),
    last: segmentName({ timeline, segment: end }, node.segmentBytes),
    before,
  };
}

/** Whether what is before the gap seems to reach the target. Replay will tell. */
async function isAfterTarget(
  gap: Gap,
  sources: readonly WalSource[],
  target: RestoreTarget,
): Promise<boolean> {
  if (target.kind !== "time" || !gap.before) return false;
  const { before } = gap;
  const times = await Promise.all(sources.map((source) => newestAtMs(source, [before])));
  return times.some((time) => time !== undefined && time >= target.atMs);
}

async function gapText(gap: Gap, sources: readonly WalSource[], { target }: PlanOptions): Promise<string> {
  const times = await Promise.all(
    sources.map((source) => newestAtMs(source, gap.before ? [gap.before] : [])),
  );
  const known = times.filter((time) => time !== undefined);
  const range = gap.first === gap.last ? gap.first : `${gap.first} to ${gap.last}`;
  const latest =
    known.length > 0
      ? `what is before it reaches to about ${isoTime(Math.min(...known))}`
      : "nothing of its log is there";
  const hint = target.kind === "cut" ? "" : ", which `--at` can name; the backup's own cut needs no archive";
  return `the log from ${range} is missing (${latest}${hint})`;
}
