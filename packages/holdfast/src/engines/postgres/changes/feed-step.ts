/**
 * What to do about a feed on a node: a pure function of what was stored, what the server's slot says and in which
 * history the server is.
 *
 * The one invariant: the slot is told to forget only what is stored together with the position behind it. So a slot
 * that has forgotten more than is stored, or is not there, or belongs to another history, means that changes are
 * missing, and nothing else does.
 */
import { formatLsn, type Line, standingOf } from "../timeline.ts";
import type { FeedSlot } from "./feed-slot.ts";

/** Where a feed is on a node; `undefined` before it has begun. */
export interface FeedPosition {
  readonly system: string;
  readonly timeline: number;
  readonly lsn: bigint;
}

export interface FeedFacts {
  readonly stored: FeedPosition | undefined;
  readonly slot: FeedSlot;
  readonly published: boolean;
  /** The history of the server that is asked. */
  readonly line: Line;
}

export type FeedStep =
  /** Nothing was promised yet: a new slot, and from there. */
  | { readonly kind: "begin" }
  | { readonly kind: "resume" }
  /** Changes are missing: a new slot, and every row anew. */
  | { readonly kind: "gap"; readonly reason: string }
  /** This server is not the one to ask: a newer one has been promoted. */
  | { readonly kind: "wait"; readonly why: string };

export function stepFeed({ stored, slot, published, line }: FeedFacts): FeedStep {
  if (!stored) return { kind: "begin" };
  const at = formatLsn(stored.lsn);
  switch (standingOf(line, stored)) {
    case "newer":
      return {
        kind: "wait",
        why: `the server is on timeline ${line.timeline}, and the feed was on ${stored.timeline} already: its successor is waited for`,
      };
    case "foreign":
      return gap(`the node is another cluster now (${line.system}) than the one it was read from`);
    case "lost":
      return gap(
        `a failover left timeline ${stored.timeline} before ${at}, up to where changes had been told: the node no longer has them`,
      );
  }
  if (slot.state === "none") return gap("the replication slot is gone");
  if (slot.state === "lost") return gap(`the replication slot is lost: ${slot.why}`);
  if (slot.confirmed > stored.lsn)
    return gap(
      `the slot begins at ${formatLsn(slot.confirmed)}, and changes are stored up to ${at}: those in between are gone`,
    );
  if (!published) return gap("the publication is gone");
  return { kind: "resume" };
}

function gap(reason: string): FeedStep {
  return { kind: "gap", reason };
}
