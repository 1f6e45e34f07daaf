/**
 * Waking readers of topics and queues when something was stored for them: a NOTIFY a moment after the commit, never
 * inside it, because transactions that notify commit one by one. At most one every 10 ms per process. A wake-up may
 * be lost or be too many; readers poll as well.
 *
 * One connection per process and node listens for all topics and queues there, and for the node's outbox. A topic is
 * named by its number, a queue by `q` and its number, which a process with an older library takes for no topic of its
 * own. When the connection has heard nothing for a while it is tested: a word is sent the way that publishers send
 * theirs, and a connection that does not hear it is on a server that was deposed, or behind a pooler that forgets
 * LISTEN. It is replaced.
 */
import type net from "node:net";
import pg from "pg";
import type { Clock, Timer } from "../../clock/index.ts";
import { boundedSessions } from "./log-session.ts";
import type { DatabaseNodes } from "./nodes.ts";

const channel = "holdfast_topic";
const notifyEveryMs = 10;
/** A wake-up later than this wakes nobody who has not polled since. */
const notifyMsMax = 1_000;
const reconnectMsMin = 50;
const reconnectMsMax = 2_000;
/** After a silence of so long the connection is tested, and has so long to hear the test. */
const silenceMs = 5_000;
const testMs = 2_000;
/** Nobody's number. */
const testPayload = "test";

/** What was added to: the number of a topic, or the name of something else. */
export type WakeKey = number | string;

export interface TopicWakeup {
  /** Something was committed to it: tells this process at once and the others soon. */
  published(key: WakeKey): void;
  /** Calls `wake` whenever something may have been stored there. @returns how to stop */
  listen(key: WakeKey, wake: () => void): () => void;
  /** Undoes one `topicWakeup`; the last one closes. */
  release(): Promise<void>;
}

interface Shared {
  readonly wakeup: TopicWakeup;
  users: number;
}

const shared = new WeakMap<DatabaseNodes, Map<string, Shared>>();

/** The wake-up of a node, by default of the home: one for all topics and queues of the process that have this home. */
export function topicWakeup(home: DatabaseNodes, clock: Clock, node: string = home.home): TopicWakeup {
  const ofNodes = shared.get(home) ?? new Map<string, Shared>();
  shared.set(home, ofNodes);
  let entry = ofNodes.get(node);
  if (!entry) {
    const made = openWakeup(home, clock, node);
    const opened: Shared = {
      users: 0,
      wakeup: {
        ...made,
        async release() {
          opened.users--;
          if (opened.users > 0) return;
          if (ofNodes.get(node) === opened) ofNodes.delete(node);
          await made.release();
        },
      },
    };
    entry = opened;
    ofNodes.set(node, entry);
  }
  entry.users++;
  return entry.wakeup;
}

/** Tells those who listen of something that was committed on a node; where nobody does, polling finds it. */
export function wakeListeners(nodes: DatabaseNodes, node: string, key: WakeKey): void {
  shared.get(nodes)?.get(node)?.wakeup.published(key);
}

function openWakeup(home: DatabaseNodes, clock: Clock, name: string): TopicWakeup {
  const node = home.config.nodes.find((one) => one.name === name);
  if (!node) throw new RangeError(`there is no node "${name}"`);
  const listeners = new Map<string, Set<() => void>>();
  const unsaid = new Set<string>();
  let timer: Timer | undefined;
  let saying: Promise<void> | undefined;
  let closed = false;
  let listening: Promise<void> | undefined;
  let client: pg.Client | undefined;
  const stop = new AbortController();
  const use = boundedSessions(home.primary(name), clock, notifyMsMax);

  const wake = (key: string): void => {
    for (const listener of listeners.get(key) ?? []) listener();
  };

  const notify = (payload: string): Promise<void> =>
    use(async (session) => {
      // A notification is a transaction of its own; nobody needs its flush. One message, because somebody waits for it.
      const notice = `notify ${channel}, ${pg.escapeLiteral(payload)}`;
      await session.send({
        text: `begin read write; set local synchronous_commit = off; ${notice}; commit`,
      });
    });

  let saidAtMs = Number.NEGATIVE_INFINITY;
  const say = async (): Promise<void> => {
    timer = undefined;
    saidAtMs = clock.monotonicMs();
    const payload = [...unsaid].join(",");
    unsaid.clear();
    try {
      await notify(payload);
    } catch {
      // Readers poll: an unsaid word costs a fraction of a second.
    }
    saying = undefined;
    if (unsaid.size > 0 && !closed) sayLater();
  };
  const sayLater = (): void => {
    if (saying || timer) return;
    const waitMs = saidAtMs + notifyEveryMs - clock.monotonicMs();
    // The first word after a silence goes at once: a timer of no time would take a millisecond.
    if (waitMs <= 0) saying = say();
    else {
      timer = clock.timer(waitMs, () => {
        saying = say();
      });
    }
  };

  let heardAtMs = Number.NEGATIVE_INFINITY;
  /** Resolves when the connection turns out to be deaf; rejects when `over` aborts. */
  const deaf = async (over: AbortSignal): Promise<void> => {
    heardAtMs = clock.monotonicMs();
    for (;;) {
      await clock.sleep(Math.max(1, heardAtMs + silenceMs - clock.monotonicMs()), over);
      if (clock.monotonicMs() - heardAtMs < silenceMs) continue;
      const testedAtMs = clock.monotonicMs();
      const sent = await notify(testPayload).then(
        () => true,
        () => false, // the home is away: nothing can be said about who listens
      );
      await clock.sleep(testMs, over);
      if (sent && heardAtMs < testedAtMs) return;
      if (!sent) heardAtMs = clock.monotonicMs();
    }
  };

  const follow = async (): Promise<void> => {
    let waitMs = reconnectMsMin;
    while (!closed) {
      const connection = new pg.Client({
        // Asked anew at each connect: a node that is found by its hosts moves.
        ...home.primary(node.name).endpoint,
        application_name: "holdfast-topic",
        connectionTimeoutMillis: 2_000,
        keepAlive: true,
      });
      client = connection;
      const ended = new Promise<void>((resolve) => {
        connection.on("end", () => resolve());
        connection.on("error", () => resolve());
      });
      connection.on("notification", ({ payload }) => {
        heardAtMs = clock.monotonicMs();
        for (const id of (payload ?? "").split(",")) wake(id);
      });
      try {
        await connection.connect();
        await connection.query(`listen ${channel}`);
        // Whatever was said while nobody listened.
        for (const key of listeners.keys()) wake(key);
        waitMs = reconnectMsMin;
        const over = new AbortController();
        const tested = deaf(AbortSignal.any([over.signal, stop.signal])).catch(() => ended);
        await Promise.race([ended, tested]);
        over.abort();
      } catch {
        // Away: polling goes on without it.
      }
      cut(connection);
      if (closed) return;
      await clock.sleep(waitMs, stop.signal).catch(() => {});
      waitMs = Math.min(waitMs * 2, reconnectMsMax);
    }
  };

  return {
    published(key) {
      wake(String(key));
      if (closed) return;
      unsaid.add(String(key));
      sayLater();
    },
    listen(key, listener) {
      const some = listeners.get(String(key)) ?? new Set();
      listeners.set(String(key), some.add(listener));
      if (!closed) listening ??= follow();
      return () => {
        some.delete(listener);
      };
    },
    async release() {
      closed = true;
      timer?.cancel();
      stop.abort();
      if (client) cut(client);
      await Promise.all([listening, saying]);
    },
  };
}

/** Closes the socket without a goodbye: a server that stands still would never answer it. */
function cut(client: pg.Client): void {
  (client as unknown as { readonly connection: { readonly stream: net.Socket } }).connection.stream.destroy();
}
