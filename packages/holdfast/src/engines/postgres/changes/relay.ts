/**
 * The relay of change feeds: decodes the log of each node of a database and appends what was committed to the feed's
 * topic. It needs a login that may replicate and make publications, which services do not have (docs/database-roles.md):
 * `holdfast up` runs it in the supervisor, and a program of your own wherever such a login may live.
 *
 * Any number of relays may be started for a feed; the slots let one at a time read.
 */
import type { ChangeFeed } from "../../../parts/database/changes/declare.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { FeedEvent, FeedStatus } from "./feed-event.ts";
import { FeedHome } from "./feed-home.ts";
import { FeedMoves } from "./feed-moves.ts";
import { feedObjectName } from "./feed-names.ts";
import { NodeRelay } from "./node-relay.ts";
import type { RelayStep } from "./relay-options.ts";

export interface RelayedFeed {
  readonly feed: Pick<ChangeFeed<never>, "name" | "options">;
  /** Of the database whose changes are told, with a login that may replicate. */
  readonly nodes: DatabaseNodes;
  /** Of the topic's home. Default: the same. */
  readonly home?: DatabaseNodes;
}

export interface ChangeRelayOptions {
  /** Told what people should hear of. Default: nobody. @see feedNotice */
  readonly tell?: (event: FeedEvent) => void;
  /** Told what each relay does, as it does it. Default: nobody. */
  readonly onStep?: (step: RelayStep) => void;
}

export interface ChangeRelay extends AsyncDisposable {
  /** Resolves when every feed has its place in every node's log: what is committed from then on is told. */
  readonly established: Promise<void>;
  status(): Promise<FeedStatus[]>;
  /** Lets go of the slots; what is appended stays, and the next relay goes on from there. May be called twice. */
  close(): Promise<void>;
}

/** Begins at once, and tries again for ever what fails. */
export function openChangeRelay(
  feeds: readonly RelayedFeed[],
  { tell = () => {}, onStep = () => {} }: ChangeRelayOptions = {},
): ChangeRelay {
  const homes: FeedHome[] = [];
  const relays: NodeRelay[] = [];
  for (const { feed, nodes, home: homeNodes = nodes } of feeds) {
    const { partitions, retentionMs } = feed.options;
    const { table, from, backlogBytesMax } = feed.options.feed;
    const home = new FeedHome({ feed: feed.name, partitions, retentionMs, home: homeNodes });
    homes.push(home);
    const moves = new FeedMoves(nodes);
    const peers = new Map<string, NodeRelay>();
    for (const { name: node } of nodes.config.nodes) {
      const { database } = nodes.primary(node).endpoint;
      const published = { feed: feed.name, table, object: feedObjectName(feed.name, database) };
      const relay = new NodeRelay({
        node,
        nodes,
        published,
        from,
        backlogBytesMax,
        home,
        moves,
        tell,
        onStep,
        peers,
      });
      peers.set(node, relay);
      relays.push(relay);
    }
  }
  for (const relay of relays) relay.start();
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      await Promise.all(relays.map((relay) => relay.stop()));
      await Promise.all(homes.map((home) => home.close()));
    })();
    return closing;
  };
  return {
    established: Promise.all(relays.map((relay) => relay.established)).then(() => {}),
    status: () => Promise.all(relays.map((relay) => relay.status())),
    close,
    [Symbol.asyncDispose]: close,
  };
}
