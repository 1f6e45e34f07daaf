/**
 * The relay of one feed from one node: reads the node's log as it is decoded, and appends to the topic at home.
 *
 * It runs in rounds. Each round takes the stored position over, looks at what there is (`feed-step.ts`), opens the
 * stream and goes on until something breaks; then another round follows. Nothing is remembered between rounds but what
 * is stored, so that a relay which is killed anywhere is followed by one that does the same as its own next round.
 */
import { fullJitterMs } from "../../../resilience/index.ts";
import type { PgSession } from "../session.ts";
import { parseLsn } from "../timeline.ts";
import type { FeedState, FeedStatus } from "./feed-event.ts";
import { type SlotOn, whoHoldsUp } from "./feed-slot.ts";
import { beginFeed, untilSlotIsFree } from "./relay-begin.ts";
import type { NodeRelayOptions, RelayNotes, RelayOfRound } from "./relay-options.ts";
import { RelayRound } from "./relay-round.ts";
import { openReplicationStream, type ReplicationStream } from "./replication-stream.ts";

const backoff = { baseMs: 200, capMs: 5_000 } as const;

export class NodeRelay implements RelayOfRound {
  readonly node: string;
  readonly #options: NodeRelayOptions;
  readonly #stopping = new AbortController();
  readonly #established = Promise.withResolvers<void>();
  #state: FeedState = "starting";
  #problem: string | undefined;
  #told = 0;
  #gaps = 0;
  #stored: bigint | undefined;
  #behindSinceMs: number | undefined;
  /** Somebody waits for this relay's position. */
  #asked = false;
  #stream: ReplicationStream | undefined;
  #running: Promise<void> | undefined;

  constructor(options: NodeRelayOptions) {
    this.node = options.node;
    this.#options = options;
  }

  /** Resolves when the feed has its place in the node's log: what is committed from then on is told. */
  get established(): Promise<void> {
    return this.#established.promise;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Has the position stored soon, also when there is nothing else to store. */
  poke(): void {
    this.#asked = true;
    this.#stream?.ask();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stream?.close();
    await this.#running;
  }

  async status(): Promise<FeedStatus> {
    const { published, nodes } = this.#options;
    const lagBytes = await this.#lag().catch(() => undefined);
    const behind = this.#behindSinceMs;
    return {
      feed: published.feed,
      database: nodes.primary(this.node).endpoint.database,
      table: published.table,
      node: this.node,
      state: this.#state,
      lagBytes,
      lagMs: behind === undefined ? 0 : Math.round(this.#clock.monotonicMs() - behind),
      told: this.#told,
      gaps: this.#gaps,
      problem: this.#problem,
    };
  }

  async #lag(): Promise<number | undefined> {
    const stored = this.#stored;
    if (stored === undefined) return undefined;
    return this.#onNode(async (session) => {
      const { rows } = await session.send<{ lsn: string }>({
        text: "select pg_current_wal_lsn()::text as lsn",
      });
      return Math.max(0, Number(parseLsn(rows[0]?.lsn ?? "0/0") - stored));
    });
  }

  get #clock() {
    return this.#options.nodes.clock;
  }

  #onNode<T>(run: (session: PgSession) => Promise<T>): Promise<T> {
    return this.#options.nodes.primary(this.node).use(run);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failed = 0; !signal.aborted; ) {
      const told = this.#told;
      try {
        await this.#round();
      } catch (error) {
        if (signal.aborted) break;
        // Whoever got somewhere begins to count anew.
        failed = this.#told > told ? 1 : failed + 1;
        this.#enter("starting", (error as Error).message);
        const pauseMs = fullJitterMs(failed, this.#clock.random.next(), backoff);
        await this.#clock.sleep(pauseMs, signal).catch(() => {});
      } finally {
        this.#stream?.close();
        this.#stream = undefined;
      }
    }
    this.#established.resolve();
  }

  #enter(state: FeedState, problem?: string): void {
    const { published, tell } = this.#options;
    const { feed } = published;
    const changed = this.#problem !== problem;
    const went = state === "streaming" && this.#problem !== undefined;
    this.#state = state;
    this.#problem = problem;
    this.#behindSinceMs ??= state === "streaming" ? undefined : this.#clock.monotonicMs();
    if (problem !== undefined && changed) tell({ kind: "trouble", feed, node: this.node, problem });
    else if (went) tell({ kind: "streaming", feed, node: this.node });
  }

  async #round(): Promise<void> {
    const { home, published } = this.#options;
    await untilSlotIsFree(this.#options, this.#stopping.signal);
    const claim = await home.claim(this.node);
    this.#options.onStep("claimed");
    const { major, cursor, isGap } = await beginFeed(this.#options, claim, (make, on) =>
      this.patiently(make, on),
    );
    if (isGap) this.#gaps++;
    this.#stored = cursor.lsn;
    this.#established.resolve();
    const { endpoint } = this.#options.nodes.primary(this.node);
    const stream = await openReplicationStream({
      endpoint,
      slot: published.object,
      publication: published.object,
      from: cursor.lsn,
      major,
      clock: this.#clock,
      applicationName: `holdfast feed ${published.feed}`,
    });
    this.#stream = stream;
    this.#stopping.signal.throwIfAborted();
    this.#enter("streaming");
    this.#options.onStep("streaming");
    await new RelayRound({ relay: this, options: this.#options, claim, stream, major }, cursor).run();
  }

  /** Makes what begins between transactions, and says whom it waits for meanwhile. */
  async patiently<T>(make: (on: SlotOn) => Promise<T>, major: number): Promise<T> {
    const { nodes, published } = this.#options;
    const state = this.#state;
    const on: SlotOn = {
      endpoint: nodes.primary(this.node).endpoint,
      major,
      applicationName: `holdfast feed ${published.feed}`,
      clock: this.#clock,
      signal: this.#stopping.signal,
    };
    let done = false;
    const making = make(on).finally(() => {
      done = true;
    });
    making.catch(() => {});
    while (!done) {
      await Promise.race([making.catch(() => {}), this.#clock.sleep(1_000)]);
      if (done) break;
      const who = await this.#onNode(whoHoldsUp).catch(() => []);
      const problem = `a place in the log begins between transactions, and waits for ${who.join("; ") || "those that run"}`;
      this.#enter("waiting", problem);
    }
    const made = await making;
    if (this.#state === "waiting") this.#enter(state);
    return made;
  }

  readonly noted: RelayNotes = {
    stored: (lsn: bigint, messages: number, caughtUp: boolean): void => {
      this.#stored = lsn;
      this.#told += messages;
      this.#asked = false;
      this.#behindSinceMs = caughtUp ? undefined : (this.#behindSinceMs ?? this.#clock.monotonicMs());
    },
    /** Everything up to there is told, and nothing more is there. */
    idle: (lsn: bigint): void => {
      this.#stored = lsn;
      this.#behindSinceMs = undefined;
    },
    state: (state: FeedState, problem?: string): void => this.#enter(state, problem),
    isAsked: (): boolean => this.#asked,
    signal: (): AbortSignal => this.#stopping.signal,
  };
}
