/** What a relay tells of itself: how each feed is on each node, and what people should hear of. */
import { HoldfastError } from "../../../call/index.ts";

export type FeedState =
  /** Being connected, or tried again behind `problem`. */
  | "starting"
  | "streaming"
  /** Rows are told. */
  | "snapshot"
  /** Stands still, for what `problem` says. */
  | "waiting";

export interface FeedStatus {
  readonly feed: string;
  readonly database: string;
  readonly table: string;
  readonly node: string;
  readonly state: FeedState;
  /** Bytes of the node's log that are not in the topic yet; `undefined` when nobody knows. */
  readonly lagBytes: number | undefined;
  /** How long it has been behind, in milliseconds; 0 when it is not. */
  readonly lagMs: number;
  /** Messages appended by this relay. */
  readonly told: number;
  /** Gaps that were found by this relay. */
  readonly gaps: number;
  /** Why it does not stream. */
  readonly problem: string | undefined;
}

export type FeedEvent =
  | { readonly kind: "began"; readonly feed: string; readonly node: string; readonly lsn: string }
  | {
      readonly kind: "gap";
      readonly feed: string;
      readonly node: string;
      readonly shards: readonly number[];
      readonly error: HoldfastError;
    }
  | {
      readonly kind: "rows";
      readonly feed: string;
      readonly node: string;
      readonly shard: number;
      readonly rows: number;
    }
  /** Told when it changes; the relay tries again, or goes on by itself. */
  | { readonly kind: "trouble"; readonly feed: string; readonly node: string; readonly problem: string }
  | { readonly kind: "streaming"; readonly feed: string; readonly node: string };

/** For a log: level and sentence. */
export function feedNotice(event: FeedEvent): readonly ["info" | "warn" | "error", string] {
  const what = `Change feed "${event.feed}" of ${event.node}`;
  switch (event.kind) {
    case "began":
      return ["info", `${what} begins at ${event.lsn}`];
    case "gap":
      return ["error", event.error.message];
    case "rows":
      return ["info", `${what}: ${event.rows} rows of shard ${event.shard} told`];
    case "trouble":
      return ["warn", `${what}: ${event.problem}`];
    case "streaming":
      return ["info", `${what} goes on`];
  }
}

export function gapError(
  feed: string,
  node: string,
  shards: readonly number[],
  reason: string,
): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_CHANGES_GAP",
    `Change feed "${feed}" of ${node}: changes of ${shards.length === 1 ? `shard ${shards[0]}` : `${shards.length} shards`} are missing, because ${reason}. Every row that is there is told anew, between "gap" and "snapshot-end"; rows that were deleted meanwhile are those that are not among them.`,
    { data: { feed, node, shards, reason } },
  );
}
