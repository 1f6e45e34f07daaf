/** What the relay of a feed from one node is given, and what its rounds ask of it and tell it. */
import type { DatabaseNodes } from "../nodes.ts";
import type { FeedEvent, FeedState } from "./feed-event.ts";
import type { FeedHome } from "./feed-home.ts";
import type { FeedMoves } from "./feed-moves.ts";
import type { PublishedFeed } from "./feed-publication.ts";
import type { SlotOn } from "./feed-slot.ts";

/** What a relay is about to do, or has done: for tests that kill it right there. */
export type RelayStep =
  | "claimed"
  | "published"
  | "slot-made"
  | "begun"
  | "streaming"
  | "appending"
  | "appended"
  | "exported"
  | "rows-told";

export interface NodeRelayOptions {
  readonly node: string;
  /** Of the database whose changes are told. */
  readonly nodes: DatabaseNodes;
  readonly published: PublishedFeed;
  readonly from: "now" | "snapshot";
  readonly backlogBytesMax: number;
  readonly home: FeedHome;
  readonly moves: FeedMoves;
  readonly tell: (event: FeedEvent) => void;
  readonly onStep: (step: RelayStep) => void;
  /** Relays of the same feed in this process, by node: one may wait for another. */
  readonly peers: ReadonlyMap<string, { poke(): void }>;
}

/** A relay, as its rounds see it. */
export interface RelayOfRound {
  /** Has the position stored soon, also when there is nothing else to store. */
  poke(): void;
  /** Makes what begins between transactions, and says whom it waits for meanwhile. */
  patiently<T>(make: (on: SlotOn) => Promise<T>, major: number): Promise<T>;
  readonly noted: RelayNotes;
}

/** What a round tells of itself. */
export interface RelayNotes {
  stored(lsn: bigint, messages: number, caughtUp: boolean): void;
  /** Everything up to there is told, and nothing more is there. */
  idle(lsn: bigint): void;
  state(state: FeedState, problem?: string): void;
  isAsked(): boolean;
  signal(): AbortSignal;
}

/** How often the relay looks for rows that are wanted, and after the log; in milliseconds. */
export const lookMs = 3_000;
/** Pause between two looks of one that waits for something, in milliseconds. */
export const waitLookMs = 50;
