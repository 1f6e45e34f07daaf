/**
 * Timelines: which positions of a node's past are part of a server's history, and which a failover cut off.
 *
 * A promoted standby begins a new timeline where it left its ancestor's. What the ancestor wrote beyond that point
 * is on no server's history any more: it was lost.
 */
import type { LogPosition } from "../../call/index.ts";

/** One server's history: its own timeline, and how far each of its ancestors belongs to it. */
export interface Line {
  readonly system: string;
  readonly timeline: number;
  /** By ancestor, the location where it was left. `undefined` when the server would not tell. */
  readonly forks: ReadonlyMap<number, bigint> | undefined;
}

/**
 * - `on`: a point of this history; locations can be compared.
 * - `lost`: on a branch that this history does not have. Also what cannot be judged: silence would be worse.
 * - `newer`: on a timeline that this server has not come to; another server has been promoted.
 * - `foreign`: of another cluster.
 */
export type Standing = "on" | "lost" | "newer" | "foreign";

export function standingOf(line: Line, position: LogPosition): Standing {
  if (position.system !== line.system) return "foreign";
  if (position.timeline === line.timeline) return "on";
  if (position.timeline > line.timeline) return "newer";
  const fork = line.forks?.get(position.timeline);
  return fork !== undefined && position.lsn <= fork ? "on" : "lost";
}

/** Whether a server on `line` that has replayed up to `lsn` has everything that was there at `token`. */
export function covers(line: Line, lsn: bigint, token: LogPosition): boolean {
  return standingOf(line, token) === "on" && lsn >= token.lsn;
}

/** `16/B374D848` as a 64-bit integer. */
export function parseLsn(text: string): bigint {
  const [high, low] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Name of a timeline's history file. */
export function historyName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
}

/**
 * The text of a timeline history file: one line for each ancestor, `timeline <tab> location <tab> reason`.
 *
 * @see PostgreSQL source, src/backend/access/transam/timeline.c
 */
export function parseHistory(text: string): Map<number, bigint> {
  const forks = new Map<number, bigint>();
  for (const line of text.split("\n")) {
    const found = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
    if (found) forks.set(Number(found[1]), parseLsn(found[2] as string));
  }
  return forks;
}
