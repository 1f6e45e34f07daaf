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
  const [timelineText = "", replay, from = "", to = "", untilId = "0", letters = ""] = mark.split("|");
  if (replay !== place.replay) return false;
  // Of redriven messages the window says nothing: they had been passed over in it.
  if (place.letters) return letters.split(",").includes(String(message.id));
  const timeline = Number(timelineText);
  const taken = message.timeline ?? (timelineOf(place.sequence) === timeline ? timeline : Infinity);
  if (taken > timeline) return false;
  return shows(from, message.xid) || (shows(to, message.xid) && message.id <= BigInt(untilId));
}

/** Whether a transaction is in a snapshot, as `pg_visible_in_snapshot` says it: `xmin:xmax:xip,xip`. */
function shows(snapshot: string, xid: bigint): boolean {
  const [xmin = "0", xmax = "0", running = ""] = snapshot.split(":");
  if (xid < BigInt(xmin)) return true;
  if (xid >= BigInt(xmax)) return false;
  return !running.split(",").includes(String(xid));
}
