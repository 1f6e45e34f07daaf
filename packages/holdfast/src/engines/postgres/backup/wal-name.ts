/**
 * Names of WAL segment files: the timeline, then the segment's number in two parts, eight hexadecimal digits each.
 *
 * @see PostgreSQL source, src/include/access/xlog_internal.h
 */
export interface WalSegment {
  readonly timeline: number;
  /** Number of the segment from the beginning of the log. */
  readonly segment: bigint;
}

const name = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/;

export function segmentName({ timeline, segment }: WalSegment, segmentBytes: number): string {
  const perId = 0x1_0000_0000n / BigInt(segmentBytes);
  return [BigInt(timeline), segment / perId, segment % perId]
    .map((part) => part.toString(16).toUpperCase().padStart(8, "0"))
    .join("");
}

/** @returns undefined for everything that is not a whole segment: histories, `.partial`, temporary files */
export function parseSegmentName(text: string, segmentBytes: number): WalSegment | undefined {
  const [, timeline, high, low] = name.exec(text) ?? [];
  if (timeline === undefined) return undefined;
  const perId = 0x1_0000_0000n / BigInt(segmentBytes);
  return {
    timeline: Number.parseInt(timeline, 16),
    segment: BigInt(`0x${high}`) * perId + BigInt(`0x${low}`),
  };
}

/** The segment that the byte at `lsn` is in. */
export function segmentOf(lsn: bigint, segmentBytes: number): bigint {
  return lsn / BigInt(segmentBytes);
}

/** The segment that the last byte before `lsn` is in: what has to be there to replay up to `lsn`. */
export function segmentBefore(lsn: bigint, segmentBytes: number): bigint {
  return lsn === 0n ? 0n : segmentOf(lsn - 1n, segmentBytes);
}

/** The timeline of a history file, or undefined when it is none. */
export function timelineOfHistory(text: string): number | undefined {
  const [, timeline] = /^([0-9A-F]{8})\.history$/.exec(text) ?? [];
  return timeline === undefined ? undefined : Number.parseInt(timeline, 16);
}
