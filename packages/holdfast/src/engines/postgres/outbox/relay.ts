/**
 * The relay of the outbox: in every process with a world, for all sources (the nodes of all databases) and all
 * destinations. Which of them works is a matter of leases; the supervisor has one too, for sources and homes that the
 * roles of services and workers may not read or write.
 */
import type { Clock } from "../../../clock/index.ts";
import { boundedSessions } from "../log-session.ts";
import { drawMarkerId } from "../marker.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { checkPrimary } from "../read-position.ts";
import { topicWakeup } from "../topic-wakeup.ts";
import { type SourceBacklog, sourceBacklog } from "./backlog.ts";
import type { OutboxDestination } from "./destination.ts";
import type { UseSession } from "./held.ts";
import { OutboxRoute } from "./move-on.ts";
import { outboxWakeupId } from "./outbox-of.ts";
import { retentionDefaultMs } from "./rotation.ts";
import { SourceRelay } from "./source-relay.ts";

export interface OutboxDatabase {
  readonly name: string;
  readonly nodes: DatabaseNodes;
}

export interface OutboxRelayOptions {
  readonly databases: readonly OutboxDatabase[];
  readonly destinations: readonly OutboxDestination[];
  readonly clock: Clock;
  /** How long messages that were moved are kept at least, in milliseconds by the source's clock. Default an hour. */
  readonly retentionMs?: number;
  /** Leaves the work to others, as long as there are any. Default false. */
  readonly reluctant?: boolean;
  /** Runs each move of a batch, and may tell of it. Default: nobody is told. */
  readonly report?: (route: OutboxRoute, run: () => Promise<number>) => Promise<number>;
}

export interface OutboxRelay {
  /** From each source to each destination. */
  readonly routes: readonly OutboxRoute[];
  /** What waits at each source. */
  readonly backlogs: () => Promise<readonly SourceBacklog[]>;
  /** What is under way ends first. May be called again. */
  stop(): Promise<void>;
}

/** How long a server may take for one piece of the relay's work, in milliseconds. */
const answerMsMax = 10_000;
/** How long it waits for a connection: it comes again soon. */
const patienceMs = 2_000;

/** Sessions of a node's primary, bounded; not with one that has been replaced. */
export function primarySessions(nodes: DatabaseNodes, node: string, clock: Clock): UseSession {
  const pool = nodes.primary(node);
  const use = boundedSessions(pool, clock, answerMsMax);
  return (run) =>
    use(
      async (session) => {
        await checkPrimary(pool, session, undefined, nodes);
        return run(session);
      },
      { untilMs: clock.monotonicMs() + patienceMs, call: undefined },
    );
}

export function startOutboxRelay(options: OutboxRelayOptions): OutboxRelay {
  const { databases, destinations, clock, retentionMs = retentionDefaultMs } = options;
  const { reluctant = false, report = (_, run) => run() } = options;
  const owner = drawMarkerId(clock);
  const routes: OutboxRoute[] = [];
  const stops: (() => Promise<void>)[] = [];
  const backlogs: (() => Promise<SourceBacklog>)[] = [];
  if (destinations.length === 0) return { routes, backlogs: async () => [], stop: async () => {} };
  for (const { name: database, nodes } of databases) {
    const uses = new Map(nodes.config.nodes.map(({ name }) => [name, primarySessions(nodes, name, clock)]));
    const source = (node: string) => {
      const use = uses.get(node);
      if (!use) throw new RangeError(`database "${database}" has no node "${node}"`);
      return use;
    };
    for (const { name: node } of nodes.config.nodes) {
      const homes = new Map<OutboxRoute, UseSession>();
      for (const destination of destinations) {
        const home = primarySessions(destination.home, destination.home.home, clock);
        homes.set(new OutboxRoute({ database, node, nodes, destination, home, source, clock }), home);
      }
      const wakeup = topicWakeup(nodes, clock, node);
      const relay = new SourceRelay({
        routes: [...homes.keys()],
        use: source(node),
        homeOf: (route) => homes.get(route) as UseSession,
        clock,
        owner,
        reluctant,
        retentionMs,
        listen: (wake) => wakeup.listen(outboxWakeupId, wake),
        report,
      });
      routes.push(...homes.keys());
      backlogs.push(() => sourceBacklog({ database, node, routes: [...homes.keys()], use: source(node) }));
      stops.push(async () => {
        await relay.stop();
        await wakeup.release();
      });
    }
  }
  let stopping: Promise<unknown> | undefined;
  return {
    routes,
    backlogs: () => Promise.all(backlogs.map((read) => read())),
    async stop() {
      stopping ??= Promise.all(stops.map((stop) => stop()));
      await stopping;
    },
  };
}
