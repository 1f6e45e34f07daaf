/**
 * The relay of one feed from one node: reads the node's log as it is decoded, and appends to the topic at home.
 *
 * It runs in rounds. Each round takes the stored position over, looks at what there is (`feed-step.ts`), opens the
 * stream and goes on until something breaks; then another round follows. Nothing is remembered between rounds but what
 * is stored, so that a relay which is killed anywhere is followed by one that does the same as its own next round.
 */
import { fullJitterMs } from "../../../resilience/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { shardsOfNode } from "../shard-place.ts";
import { formatLsn, type Line, parseLsn, standingOf } from "../timeline.ts";
import { type FeedEvent, type FeedState, type FeedStatus, gapError } from "./feed-event.ts";
import type { FeedClaim, FeedCursor, FeedHome } from "./feed-home.ts";
import type { FeedMoves } from "./feed-moves.ts";
import {
  feedProblems,
  forgetJoined,
  isPublished,
  type PublishedFeed,
  publishFeed,
  refusedError,
  takeJoined,
} from "./feed-publication.ts";
import { type FeedRelation, feedRelation } from "./feed-relation.ts";
import {
  dropFeedSlot,
  type ExportedSnapshot,
  exportSnapshot,
  makeFeedSlot,
  readFeedSlot,
  type SlotOn,
  whoHoldsUp,
} from "./feed-slot.ts";
import { type SnapshotShard, tellRows } from "./feed-snapshot.ts";
import { stepFeed } from "./feed-step.ts";
import type { PgoutputMessage, StreamMessage } from "./pgoutput.ts";
import { openReplicationStream, type ReplicationStream } from "./replication-stream.ts";
import { TransactionReader } from "./transaction-reader.ts";

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
  readonly peers: ReadonlyMap<string, NodeRelay>;
}

/** How often the relay looks for rows that are wanted, and after the log; in milliseconds. */
const lookMs = 3_000;
/** How often a position without messages is stored, in milliseconds: an idle feed must not hold the server's log. */
const idleStoreMs = 10_000;
const careMs = 30_000;
const waitLookMs = 50;
/** How long a server may take to notice that a relay has gone, in milliseconds. */
const freeMsMax = 3_000;
/** Of one append: changes that wait, and characters of them. */
const batchMax = { messages: 2_048, bytes: 8 << 20 } as const;
const backoff = { baseMs: 200, capMs: 5_000 } as const;

export class NodeRelay {
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
    await this.#untilFree();
    const claim = await home.claim(this.node);
    this.#options.onStep("claimed");
    const { major, cursor } = await this.#begin(claim);
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
    await new Round(this, this.#options, claim, cursor, stream, major).run();
  }

  /** One relay reads a slot at a time: while another one does, this one takes nothing over. */
  async #untilFree(): Promise<void> {
    const { object } = this.#options.published;
    const untilMs = this.#clock.monotonicMs() + freeMsMax;
    for (;;) {
      const slot = await this.#onNode((session) => readFeedSlot(session, object));
      if (slot.state !== "there" || !slot.active) return;
      if (this.#clock.monotonicMs() >= untilMs)
        throw new Error("another relay reads its slot; this one takes over when that one ends");
      await this.#clock.sleep(waitLookMs, this.#stopping.signal);
    }
  }

  /** Finds the place in the log to go on from, or makes one. */
  async #begin(claim: FeedClaim): Promise<{ readonly major: number; readonly cursor: FeedCursor }> {
    const { published, from, nodes, home, moves, tell } = this.#options;
    const { object, feed } = published;
    const { facts, slot, isThere, major, problems } = await this.#onNode(async (session) => {
      const { rows } = await session.send<{ major: number }>({
        text: "select current_setting('server_version_num')::int / 10000 as major",
      });
      const slot = await readFeedSlot(session, object);
      return {
        facts: session.facts,
        slot,
        isThere: await isPublished(session, object),
        major: rows[0]?.major ?? 15,
        problems: await feedProblems(session, this.node, published, slot.state !== "none"),
      };
    });
    if (problems.length > 0) throw refusedError(feed, problems);
    const pool = nodes.primary(this.node);
    const line: Line = await nodes.watch(this.node).histories.lineOf(pool, facts.system, facts.timeline);
    const step = stepFeed({ stored: claim.cursor, slot, published: isThere, line });
    const here = { system: line.system, timeline: line.timeline };
    if (step.kind === "wait") throw new Error(step.why);
    if (step.kind === "resume" && claim.cursor) {
      await this.#onNode((session) => publishFeed(session, published, false));
      return { major, cursor: { ...claim.cursor, ...here } };
    }
    await this.#onNode(async (session) => {
      if (slot.state !== "none") await dropFeedSlot(session, object);
      // Tables first: what the slot tells is decided by the publication as it was at each change.
      await publishFeed(session, published, true);
    });
    this.#options.onStep("published");
    const lsn = await this.patiently((on) => makeFeedSlot(on, object), major);
    this.#options.onStep("slot-made");
    const cursor: FeedCursor = { ...here, lsn, part: undefined };
    const reason = step.kind === "gap" ? step.reason : null;
    const shards =
      reason !== null
        ? await moves.shardsEverOn(this.node)
        : from === "snapshot"
          ? shardsOfNode(await moves.map(), this.node)
          : [];
    await home.append(claim, cursor, [], { shards, reason, initial: reason === null });
    this.#options.onStep("begun");
    if (reason === null) tell({ kind: "began", feed, node: this.node, lsn: formatLsn(lsn) });
    else {
      this.#gaps++;
      tell({ kind: "gap", feed, node: this.node, shards, error: gapError(feed, this.node, shards, reason) });
    }
    return { major, cursor };
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

  /** What a round tells of itself. */
  readonly noted = {
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

/** One opened stream, until it breaks. */
class Round {
  readonly #relay: NodeRelay;
  readonly #options: NodeRelayOptions;
  readonly #claim: FeedClaim;
  readonly #stream: ReplicationStream;
  readonly #reader: TransactionReader;
  readonly #major: number;
  readonly #relations = new Map<number, FeedRelation | undefined>();
  /** Moves whose source has been told up to the handover. */
  readonly #passed = new Set<number>();
  /** Shards of which nothing has been told, because their rows come first. */
  #untold = new Set<number>();
  #snapshot: { readonly exported: ExportedSnapshot; readonly shards: readonly SnapshotShard[] } | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #caredAtMs: number;
  #storedAtMs: number;

  constructor(
    relay: NodeRelay,
    options: NodeRelayOptions,
    claim: FeedClaim,
    cursor: FeedCursor,
    stream: ReplicationStream,
    major: number,
  ) {
    this.#relay = relay;
    this.#options = options;
    this.#claim = claim;
    this.#stream = stream;
    this.#major = major;
    this.#reader = new TransactionReader(options.node, options.home.partitions, cursor);
    this.#storedAtMs = this.#nowMs();
    this.#caredAtMs = Number.NEGATIVE_INFINITY;
  }

  #nowMs(): number {
    return this.#options.nodes.clock.monotonicMs();
  }

  async run(): Promise<never> {
    // A quiet server says nothing by itself: asked now and then, it says how far it is.
    const asking = this.#asking();
    await this.#readUntold();
    try {
      for (;;) {
        const message = await this.#stream.next();
        await this.#rowsBefore(message);
        await this.#take(message);
        const { count, bytes } = this.#reader;
        const full = count >= batchMax.messages || bytes >= batchMax.bytes;
        if (full || (!this.#stream.ready && this.#isDue())) await this.#store();
        if (!this.#reader.within) await this.#look();
      }
    } finally {
      asking.cancel();
      this.#snapshot?.exported.release();
    }
  }

  async #readUntold(): Promise<void> {
    const wanted = await this.#options.home.wanted();
    this.#untold = new Set(wanted.flatMap(({ shard, initial }) => (initial ? [shard] : [])));
  }

  #asking() {
    const { clock } = this.#options.nodes;
    let timer = clock.timer(0, () => {});
    let askedAtMs = Number.NEGATIVE_INFINITY;
    const ask = () => {
      const pressing = this.#snapshot !== undefined || this.#relay.noted.isAsked();
      if (pressing || this.#nowMs() - askedAtMs >= lookMs) {
        askedAtMs = this.#nowMs();
        this.#stream.ask();
      }
      timer = clock.timer(waitLookMs, ask);
    };
    ask();
    return { cancel: () => timer.cancel() };
  }

  #isDue(): boolean {
    if (this.#reader.count > 0) return true;
    if (!this.#reader.news) return false;
    return this.#relay.noted.isAsked() || this.#nowMs() - this.#storedAtMs >= idleStoreMs;
  }

  async #take(message: StreamMessage): Promise<void> {
    if (message.kind === "data") return this.#takeData(message.message);
    this.#reader.reached(message.lsn);
    if (this.#reader.count === 0 && !this.#stream.ready) this.#relay.noted.idle(this.#reader.lsn);
  }

  async #takeData(message: PgoutputMessage): Promise<void> {
    const reader = this.#reader;
    switch (message.kind) {
      case "begin":
        return reader.begin(message);
      case "commit":
        return reader.commit(message);
      case "origin":
        return reader.origin();
      case "relation": {
        const { nodes, node, moves } = this.#options;
        const relation = await nodes
          .primary(node)
          .use((session) => feedRelation(session, moves, node, message));
        this.#relations.set(message.oid, relation);
        return;
      }
      case "type":
        return;
      case "truncate":
        for (const oid of message.oids) await this.#change(oid, message);
        return;
      default:
        return this.#change(message.oid, message);
    }
  }

  async #change(oid: number, message: Parameters<TransactionReader["change"]>[1]): Promise<void> {
    const relation = this.#relations.get(oid);
    if (!relation || !this.#reader.counts) return;
    const { move } = relation.schema;
    if (move !== undefined && !this.#passed.has(move)) await this.#passMove(move, relation.shard);
    this.#reader.change(relation, message, this.#untold.has(relation.shard));
  }

  /** Appends what was gathered, and has the server forget it. */
  async #store(): Promise<void> {
    if (!this.#reader.news) return;
    const { home } = this.#options;
    const { cursor, messages } = this.#reader.take();
    if (messages.length > 0) this.#options.onStep("appending");
    await home.append(this.#claim, cursor, messages);
    if (messages.length > 0) this.#options.onStep("appended");
    this.#storedAtMs = this.#nowMs();
    this.#stream.confirm(cursor.lsn);
    this.#relay.noted.stored(cursor.lsn, messages.length, !this.#stream.ready);
  }

  /** Rows that are wanted, and the log's size, now and then. */
  async #look(): Promise<void> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lookedAtMs < lookMs) return;
    this.#lookedAtMs = nowMs;
    if (nowMs - this.#caredAtMs >= careMs) {
      this.#caredAtMs = nowMs;
      await this.#room();
      await this.#letFollow();
    }
    if (!this.#snapshot) await this.#wantRows();
  }

  /**
   * A standby keeps a slot once its own log has all that the slot could ask for: the slot's horizon has to pass the
   * standby's, and on a quiet server it moves only when somebody has it written down.
   */
  async #letFollow(): Promise<void> {
    if (this.#major < 17) return;
    const { nodes, node } = this.#options;
    const written = nodes.primary(node).use((session) => {
      return session.send({ text: "select pg_log_standby_snapshot()" });
    });
    // Not everybody may; the server does it by itself while it is busy.
    await written.then(
      () => this.#relay.poke(),
      () => {},
    );
  }

  /** A log that a consumer does not read is not filled for ever. */
  async #room(): Promise<void> {
    const { home, backlogBytesMax, nodes } = this.#options;
    for (let full = false; ; full = true) {
      await home.care();
      const backlog = await home.backlog(backlogBytesMax);
      if (!backlog || backlog.bytes < backlogBytesMax) {
        if (full) this.#relay.noted.state("streaming");
        return;
      }
      await this.#store();
      this.#relay.noted.state(
        "waiting",
        `about ${backlog.bytes} bytes wait for consumer "${backlog.consumer}", and backlogBytesMax is ${backlogBytesMax}: start it, or remove it`,
      );
      await nodes.clock.sleep(lookMs, this.#relay.noted.signal());
    }
  }

  /** Begins to tell rows: those of tables that were made with rows, and those behind a gap. */
  async #wantRows(): Promise<void> {
    const { home, moves, node, nodes, published } = this.#options;
    await this.#joined();
    const wanted = await home.wanted();
    if (wanted.length === 0) return;
    const { places } = await moves.map();
    const shards: SnapshotShard[] = [];
    for (const { shard, reason } of wanted) {
      const place = places[shard];
      if (place?.node !== node) continue;
      const { table } = published;
      const move = (await moves.ownerOf(place.schema, node))?.move;
      if (move !== undefined && !this.#passed.has(move)) await this.#passMove(move, shard);
      const there = await nodes.primary(node).use(async (session) => {
        const { rowCount } = await session.send({
          text: "select from pg_class where relnamespace = to_regnamespace($1) and relname = $2 and relkind in ('r', 'p')",
          values: [place.schema, table],
        });
        return rowCount === 1;
      });
      if (there) shards.push({ shard, schema: place.schema, table, reason });
    }
    if (shards.length === 0) return;
    const name = `holdfast_rows_${Buffer.from(nodes.clock.random.bytes(8)).toString("hex")}`;
    const exported = await this.#relay.patiently((on) => exportSnapshot(on, name), this.#major);
    this.#snapshot = { exported, shards };
    this.#options.onStep("exported");
    this.#stream.ask();
  }

  async #joined(): Promise<void> {
    const { home, moves, node, nodes, published } = this.#options;
    const pool = nodes.primary(node);
    const schemas = await pool.use((session) => takeJoined(session, published.feed));
    if (schemas.length === 0) return;
    const owners = await Promise.all(schemas.map((schema) => moves.ownerOf(schema, node)));
    const shards = owners.flatMap((owner) => (owner ? [owner.shard] : []));
    if (shards.length > 0) await home.want({ shards, reason: null });
    await pool.use((session) => forgetJoined(session, published.feed, schemas));
  }

  /** Tells the rows of a snapshot when everything before it has been told, and nothing behind it. */
  async #rowsBefore(message: StreamMessage): Promise<void> {
    const snapshot = this.#snapshot;
    if (!snapshot || this.#reader.within) return;
    const { exported, shards } = snapshot;
    const at = lsnOf(message);
    if (this.#reader.lsn < exported.lsn && (at === undefined || at < exported.lsn)) return;
    const { home, node, nodes, published, tell } = this.#options;
    const { clock } = nodes;
    await this.#store();
    this.#relay.noted.state("snapshot");
    for (const one of shards) {
      const rows = await tellRows(
        {
          home,
          claim: this.#claim,
          endpoint: nodes.primary(node).endpoint,
          publication: published.object,
          applicationName: `holdfast feed ${published.feed}`,
          clock,
          signal: this.#relay.noted.signal(),
        },
        exported,
        one,
      );
      this.#untold.delete(one.shard);
      if (rows === undefined) continue;
      this.#options.onStep("rows-told");
      this.#relay.noted.stored(this.#reader.lsn, rows, false);
      tell({ kind: "rows", feed: published.feed, node, shard: one.shard, rows });
    }
    exported.release();
    this.#snapshot = undefined;
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    this.#relay.noted.state("streaming");
  }

  /** Waits until everything that the shard's former node had of it is told. */
  async #passMove(id: number, shard: number): Promise<void> {
    const { home, moves, nodes, node, published, peers, tell } = this.#options;
    const move = await moves.move(id);
    const source = move && nodes.config.nodes.some(({ name }) => name === move.source);
    const leftAt = move?.leftAt;
    if (move && source && leftAt) {
      await this.#store();
      const signal = this.#relay.noted.signal();
      for (let told = false; ; ) {
        const cursor = await home.cursor(move.source);
        if (cursor && (cursor.system !== leftAt.system || cursor.timeline > leftAt.timeline)) {
          const pool = nodes.primary(move.source);
          const line = await nodes.watch(move.source).histories.lineOf(pool, cursor.system, cursor.timeline);
          const standing = standingOf(line, leftAt);
          if (standing === "on" && cursor.lsn < leftAt.lsn) {
            // Its successor has it all, and has not told it yet.
          } else {
            if (standing !== "on") {
              // The copy here has what the source lost, and the copy's rows are never told as changes.
              const reason = `a failover of ${move.source} lost what shard ${shard} had there before it moved to ${node}`;
              await home.want({ shards: [shard], reason });
              tell({
                kind: "gap",
                feed: published.feed,
                node,
                shards: [shard],
                error: gapError(published.feed, node, [shard], reason),
              });
            }
            break;
          }
        } else if (cursor && cursor.lsn >= leftAt.lsn) break;
        // A feed that began behind the move has nothing to wait for: its position is behind it at once.
        peers.get(move.source)?.poke();
        if (!told) {
          told = true;
          this.#relay.noted.state(
            "waiting",
            `shard ${shard} came from ${move.source}, and what was written there before goes first`,
          );
        }
        await nodes.clock.sleep(waitLookMs, signal);
      }
      this.#relay.noted.state("streaming");
    }
    this.#passed.add(id);
    // It may have been told where it was meanwhile.
    await this.#readUntold();
  }
}

/** Behind which everything before it has been told. */
function lsnOf(message: StreamMessage): bigint | undefined {
  if (message.kind === "keepalive") return message.lsn;
  return message.message.kind === "begin" ? message.message.commitLsn : undefined;
}
