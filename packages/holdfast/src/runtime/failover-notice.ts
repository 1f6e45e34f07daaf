/** A failover in words: who took over, which part of the log is lost, and where the old data lies. */
import { isoTime } from "../clock/index.ts";
import { parseLsn } from "../engines/postgres/timeline.ts";
import type { FailoverStatus } from "./status.ts";

export function failoverNotice(failover: FailoverStatus): string {
  const { node, promoted, atMs, timeline, setAside } = failover;
  const data = setAside === null ? "The old data was gone" : `The old data is set aside: ${setAside}`;
  return `${node} failed over to ${promoted} at ${isoTime(atMs)}, timeline ${timeline}. ${lostPart(failover)}. ${data}`;
}

function lostPart({ fork, lastSeen }: FailoverStatus): string {
  if (lastSeen === null) return `Lost: the log beyond ${fork}, if there was any`;
  return parseLsn(lastSeen) > parseLsn(fork)
    ? `Lost: the log from ${fork} to ${lastSeen}, where it was last seen, or further`
    : `Lost: nothing that was seen; the log beyond ${fork}, if there was any`;
}
