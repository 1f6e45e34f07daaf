/**
 * The supervisor's relay of the system's change feeds. It runs here because reading a server's log takes a login that
 * may read everything, which no part has.
 */
import type { Clock } from "../clock/index.ts";
import { forgetFeeds } from "../engines/postgres/changes/forget-feeds.ts";
import {
  type DatabaseNodes,
  type FeedStatus,
  feedNotice,
  openChangeRelay,
  openDatabaseNodes,
  type RelayedFeed,
} from "../engines/postgres/index.ts";
import type { SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import type { Reporter } from "./reporter.ts";

export interface SystemChanges {
  status(): Promise<readonly FeedStatus[]>;
  stop(): Promise<void>;
}

export interface RelayChangesOptions {
  readonly clock: Clock;
  readonly notice: Reporter["notice"];
  readonly signal: AbortSignal;
}

/** Connections of the relay to each server, beside those that stream. */
const poolSize = 4;
/** How long parts wait for feeds to have their place in the log; what is written before that is told by no feed. */
const establishMsMax = 15_000;

/** Resolves when every feed has its place, or cannot have it soon: then that was said. */
export async function relayChanges(
  description: SystemDescription,
  world: WorldConfig,
  { clock, notice, signal }: RelayChangesOptions,
): Promise<SystemChanges> {
  const opened = new Map<string, DatabaseNodes>();
  const nodesOf = (database: string | undefined) => {
    const config = database === undefined ? undefined : world.databases[database];
    if (!config || database === undefined) return undefined;
    const known = opened.get(database);
    if (known) return known;
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast changes", poolSize });
    opened.set(database, nodes);
    return nodes;
  };
  const feeds = description.topics.flatMap(({ name, home, partitions, retentionMs, feed }): RelayedFeed[] => {
    const nodes = nodesOf(feed?.database);
    const homeNodes = nodesOf(home);
    if (!feed || !nodes || !homeNodes) return [];
    const options = { partitions, retentionMs, feed } as RelayedFeed["feed"]["options"];
    return [{ feed: { name, options }, nodes, home: homeNodes }];
  });
  for (const { name } of description.databases) {
    const nodes = nodesOf(name);
    const declared = feeds.flatMap(({ feed }) => (feed.options.feed.database === name ? [feed.name] : []));
    if (!nodes) continue;
    const forgotten = await forgetFeeds(nodes, declared);
    for (const feed of forgotten)
      notice("info", `Change feed "${feed}" is not declared any more: its place in the log was given up`);
  }
  const relay = openChangeRelay(feeds, {
    tell(event) {
      // A new database has a line for each of its shards that says nothing.
      if (event.kind !== "rows" || event.rows > 0) notice(...feedNotice(event));
    },
  });
  const late = new AbortController();
  const patience = clock.sleep(establishMsMax, AbortSignal.any([signal, late.signal])).then(
    () => notice("warn", "Change feeds have no place in the log yet; the parts start without waiting longer"),
    () => {},
  );
  await Promise.race([relay.established, patience]);
  late.abort();
  return {
    status: () => relay.status(),
    async stop() {
      await relay.close();
      await Promise.all([...opened.values()].map((nodes) => nodes.close()));
    },
  };
}
