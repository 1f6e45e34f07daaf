/**
 * Whether a stretch of the log can be replayed: which timeline leads to a target, and which segments have to be there.
 * Decisions only; what an archive holds is read elsewhere.
 */
import { type Line, standingOf } from "../timeline.ts";
import { parseSegmentName, segmentName, segmentOf } from "./wal-name.ts";

/** A timeline that began with a restore: what came after it was meant to be forgotten, from then on. */
export interface RestoreBranch {
  readonly timeline: number;
  readonly atMs: number;
}

export interface Timelines {
  readonly system: string;
  /** By timeline, where each of its ancestors was left. Timelines without ancestors map to nothing. */
  readonly histories: ReadonlyMap<number, ReadonlyMap<number, bigint>>;
  readonly restores: readonly RestoreBranch[];
}

export interface WalPoint {
  readonly timeline: number;
  readonly lsn: bigint;
}

/**
 * The timeline to follow from a backup: the newest one that the backup is on. With a time, what restores after it
 * began is not followed: the log of that time is the one they left. What failovers began is: the promoted server had
 * the end of the log before, which is nowhere else.
 *
 * @returns undefined when the backup is on none
 */
export function chooseTimeline(
  { system, histories, restores }: Timelines,
  from: WalPoint,
  untilMs: number | undefined,
): number | undefined {
  const forgotten = new Set(
    restores.filter(({ atMs }) => untilMs !== undefined && atMs > untilMs).map(({ timeline }) => timeline),
  );
  const known = new Set([from.timeline, ...histories.keys()]);
  const possible = [...known].filter((timeline) => {
    const forks = histories.get(timeline) ?? new Map<number, bigint>();
    if ([timeline, ...forks.keys()].some((one) => forgotten.has(one))) return false;
    const line: Line = { system, timeline, forks };
    return standingOf(line, { system, ...from }) === "on";
  });
  return possible.length === 0 ? undefined : Math.max(...possible);
}

/** Name of the segment with this number on the way to `timeline`: of the newest ancestor that has begun by then. */
export function requiredName(
  segment: bigint,
  timeline: number,
  forks: ReadonlyMap<number, bigint>,
  segmentBytes: number,
): string {
  // Each fork is where the ancestor was left; its successor begins there.
  const left = [...forks].sort(([a], [b]) => a - b);
  for (const [ancestor, lsn] of left) {
    if (segment < segmentOf(lsn, segmentBytes))
      return segmentName({ timeline: ancestor, segment }, segmentBytes);
  }
  return segmentName({ timeline, segment }, segmentBytes);
}

export interface WalStretch {
  /** Last segment that can be replayed without a gap; undefined when not even the first is there. */
  readonly last: bigint | undefined;
  /** Names that are missing although later ones are there: from the first to the last of them. */
  readonly missing: { readonly first: string; readonly last: string; readonly count: bigint } | undefined;
}

/** How far the segments in `names` go without a gap from `first` towards `timeline`. */
export function stretchFrom(
  first: bigint,
  timeline: number,
  forks: ReadonlyMap<number, bigint>,
  segmentBytes: number,
  names: ReadonlySet<string>,
): WalStretch {
  const nameOf = (segment: bigint) => requiredName(segment, timeline, forks, segmentBytes);
  let segment = first;
  while (names.has(nameOf(segment))) segment++;
  const last = segment > first ? segment - 1n : undefined;
  let highest = segment;
  for (const name of names) {
    const number = parseSegmentName(name, segmentBytes)?.segment;
    if (number !== undefined && number > highest) highest = number;
  }
  for (let later = segment + 1n; later <= highest; later++) {
    if (!names.has(nameOf(later))) continue;
    return { last, missing: { first: nameOf(segment), last: nameOf(later - 1n), count: later - segment } };
  }
  return { last, missing: undefined };
}
