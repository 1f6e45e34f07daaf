/**
 * A mark says up to where in a partition effects have been applied on a shard, in one line of text that is kept with
 * the shard's guard row. By it a shard recognises messages that come to it again under another number:
 *
 * - A batch that keeps failing is recorded again in pieces. Shards that had applied the whole leave the pieces out.
 * - A home that failed over may have lost the records of batches whose effects are on other nodes. Their messages, as
 *   far as the log survived, come again in new batches; what a shard had applied before is left out.
 *
 * A batch is what lies in a window of snapshots up to an id, and windows follow each other, so the window and the id
 * of the last batch describe everything that was ever delivered. Transaction ids are given out again by a server that
 * lost some, so they count only on their timeline: a message that was taken on a later timeline than the mark's is
 * new, whatever its id. (Two servers that were promoted one after the other, of which the second had never followed
 * the first, may call different histories the same; the failover of `holdfast up` does not do that.)
 *
 * What a shard had applied may reach further than what comes to it next: the pieces of a batch come one by one, and a
 * home that failed over begins again earlier. So the mark of before is kept beside the new one, on a line of its own,
 * until the window has passed it.
 *
 * A replay is meant to be applied again, so it begins new marks: those of before say nothing about it.
 */
import { timelineOf } from "./log-sequence.ts";

/** Where a batch is in the log. */
export interface BatchPlace {
  readonly sequence: bigint;
  readonly replay: string;
  readonly fromSnapshot: string;
  readonly toSnapshot: string;
  readonly untilId: string;
  /** The message ids of a batch of dead letters that are tried once more. */
  readonly letters?: readonly bigint[] | undefined;
}

/** Where a message is in the log. */
export interface MessagePlace {
  readonly id: bigint;
  /** Of the transaction that published it. */
  readonly xid: bigint;
  /** `undefined` for one that an earlier version took. */
  readonly timeline: number | undefined;
}

export function writeMark(place: BatchPlace): string {
  const { sequence, replay, fromSnapshot, toSnapshot, untilId, letters } = place;
  return [
    timelineOf(sequence),
    replay,
    fromSnapshot,
    toSnapshot,
    untilId,
    ...(letters ? [letters.join(",")] : []),
  ].join("|");
}

/** Whether the effects of `message`, which comes now in the batch at `place`, are within `mark`. */
export function isWithinMark(mark: string, place: BatchPlace, message: MessagePlace): boolean {
  return readMark(mark).some((line) => isWithinLine(line, place, message));
}

/** What to keep once the batch at `place` is applied too, where `before` was kept until now. */
export function keepMark(before: string, place: BatchPlace): string {
  const own = readMark(writeMark(place))[0] as MarkLine;
  const kept = readMark(before).filter(
    (line) =>
      line.replay === own.replay &&
      !isPassed(line, own) &&
      !(isSameWindow(line, own) && line.until <= own.until),
  );
  const isCovered = kept.some((line) => isSameWindow(line, own) && line.until > own.until);
  return [...kept, ...(isCovered ? [] : [own])].map(({ text }) => text).join("\n");
}

interface MarkLine {
  readonly text: string;
  readonly timeline: number;
  readonly replay: string;
  readonly from: string;
  readonly to: string;
  readonly until: bigint;
  readonly letters: readonly string[];
}

function readMark(mark: string): MarkLine[] {
  return mark.split("\n").map((text) => {
    const [timeline, replay = "", from = "", to = "", until = "0", letters = ""] = text.split("|");
    return {
      text,
      timeline: Number(timeline),
      replay,
      from,
      to,
      until: BigInt(until),
      letters: letters.split(","),
    };
  });
}

function isWithinLine(line: MarkLine, place: BatchPlace, message: MessagePlace): boolean {
  if (line.replay !== place.replay) return false;
  // Of redriven messages the window says nothing: they had been passed over in it.
  if (place.letters) return line.letters.includes(String(message.id));
  const taken = message.timeline ?? (timelineOf(place.sequence) === line.timeline ? line.timeline : Infinity);
  if (taken > line.timeline) return false;
  return shows(line.from, message.xid) || (shows(line.to, message.xid) && message.id <= line.until);
}

function isSameWindow(a: MarkLine, b: MarkLine): boolean {
  return a.timeline === b.timeline && a.from === b.from && a.to === b.to;
}

/** Whether what `line` says was delivered lies before the window of `next`, so that none of it comes again. */
function isPassed(line: MarkLine, next: MarkLine): boolean {
  const passed = readSnapshot(next.from);
  if (passed.xmax < readSnapshot(line.to).xmax) return false;
  return !passed.running.some((xid) => shows(line.to, xid));
}

/** Whether a transaction is in a snapshot, as `pg_visible_in_snapshot` says it. */
function shows(snapshot: string, xid: bigint): boolean {
  const { xmin, xmax, running } = readSnapshot(snapshot);
  return xid < xmin || (xid < xmax && !running.includes(xid));
}

/** `xmin:xmax:xip,xip` */
function readSnapshot(text: string) {
  const [xmin = "0", xmax = "0", running = ""] = text.split(":");
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: running === "" ? [] : running.split(",").map(BigInt),
  };
}
