/**
 * One opened stream of a node's log, until it breaks: reads what is told, appends it at home in batches, and has the
 * server forget it. Rows (`round-rows.ts`) and moves (`round-moves.ts`) go in between, where they belong in the log.
 */

import type { FeedCursor } from "./feed-home.ts";
import { type FeedRelation, feedRelation } from "./feed-relation.ts";
import type { OpenRound, RoundParts } from "./open-round.ts";
import type { PgoutputMessage, StreamMessage } from "./pgoutput.ts";
import { lookMs, waitLookMs } from "./relay-options.ts";
import { RoundMoves } from "./round-moves.ts";
import { RoundRows } from "./round-rows.ts";
import { TransactionReader } from "./transaction-reader.ts";

/** How often a position without messages is stored, in milliseconds: an idle feed must not hold the server's log. */
const idleStoreMs = 10_000;
/** Pause between two looks at the size of the log, in milliseconds. */
const careMs = 30_000;
/** Of one append: changes that wait, and characters of them. */
const batchMax = { messages: 2_048, bytes: 8 << 20 } as const;

export class RelayRound {
  readonly #on: OpenRound;
  readonly #reader: TransactionReader;
  readonly #moves: RoundMoves;
  readonly #rows: RoundRows;
  readonly #relations = new Map<number, FeedRelation | undefined>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #caredAtMs = Number.NEGATIVE_INFINITY;
  #storedAtMs: number;

  constructor(parts: RoundParts, cursor: FeedCursor) {
    const { node, home } = parts.options;
    this.#reader = new TransactionReader(node, home.partitions, cursor);
    this.#on = { ...parts, reader: this.#reader, store: () => this.#store() };
    this.#moves = new RoundMoves(this.#on, () => this.#rows.readUntold());
    this.#rows = new RoundRows(this.#on, this.#moves);
    this.#storedAtMs = this.#nowMs();
  }

  #nowMs(): number {
    return this.#on.options.nodes.clock.monotonicMs();
  }

  async run(): Promise<never> {
    // A quiet server says nothing by itself: asked now and then, it says how far it is.
    const asking = this.#asking();
    await this.#rows.readUntold();
    try {
      for (;;) {
        const message = await this.#on.stream.next();
        if (await this.#rows.before(message)) this.#lookedAtMs = Number.NEGATIVE_INFINITY;
        await this.#take(message);
        const { count, bytes } = this.#reader;
        const full = count >= batchMax.messages || bytes >= batchMax.bytes;
        if (full || (!this.#on.stream.ready && this.#isDue())) await this.#store();
        if (!this.#reader.within) await this.#look();
      }
    } finally {
      asking.cancel();
      this.#rows.release();
    }
  }

  #asking() {
    const { clock } = this.#on.options.nodes;
    let timer = clock.timer(0, () => {});
    let askedAtMs = Number.NEGATIVE_INFINITY;
    const ask = () => {
      const pressing = this.#rows.waits || this.#on.relay.noted.isAsked();
      if (pressing || this.#nowMs() - askedAtMs >= lookMs) {
        askedAtMs = this.#nowMs();
        this.#on.stream.ask();
      }
      timer = clock.timer(waitLookMs, ask);
    };
    ask();
    return { cancel: () => timer.cancel() };
  }

  #isDue(): boolean {
    if (this.#reader.count > 0) return true;
    if (!this.#reader.news) return false;
    return this.#on.relay.noted.isAsked() || this.#nowMs() - this.#storedAtMs >= idleStoreMs;
  }

  async #take(message: StreamMessage): Promise<void> {
    if (message.kind === "data") return this.#takeData(message.message);
    this.#reader.reached(message.lsn);
    if (this.#reader.count === 0 && !this.#on.stream.ready) this.#on.relay.noted.idle(this.#reader.lsn);
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
        const { nodes, node, moves } = this.#on.options;
        const relation = await nodes
          .primary(node)
          .use((session) => feedRelation(session, moves, node, message, this.#on.major));
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
    const owner = await this.#moves.ownerOf(relation);
    if (!owner) return;
    const { move } = owner;
    if (move !== undefined) await this.#moves.pass(move, relation.shard);
    this.#reader.change(relation, message, this.#rows.isUntold(relation.shard));
  }

  /** Appends what was gathered, and has the server forget it. */
  async #store(): Promise<void> {
    if (!this.#reader.news) return;
    const { home } = this.#on.options;
    const { cursor, messages } = this.#reader.take();
    if (messages.length > 0) this.#on.options.onStep("appending");
    await home.append(this.#on.claim, cursor, messages);
    if (messages.length > 0) this.#on.options.onStep("appended");
    this.#storedAtMs = this.#nowMs();
    this.#on.stream.confirm(cursor.lsn);
    this.#on.relay.noted.stored(cursor.lsn, messages.length, !this.#on.stream.ready);
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
    await this.#rows.want();
  }

  /**
   * A standby keeps a slot once its own log has all that the slot could ask for: the slot's horizon has to pass the
   * standby's, and on a quiet server it moves only when somebody has it written down.
   */
  async #letFollow(): Promise<void> {
    if (this.#on.major < 17) return;
    const { nodes, node } = this.#on.options;
    const written = nodes.primary(node).use((session) => {
      return session.send({ text: "select pg_log_standby_snapshot()" });
    });
    // Not everybody may; the server does it by itself while it is busy.
    await written.then(
      () => this.#on.relay.poke(),
      () => {},
    );
  }

  /** A log that a consumer does not read is not filled for ever. */
  async #room(): Promise<void> {
    const { home, backlogBytesMax, nodes } = this.#on.options;
    for (let full = false; ; full = true) {
      await home.care();
      const backlog = await home.backlog(backlogBytesMax);
      if (!backlog || backlog.bytes < backlogBytesMax) {
        if (full) this.#on.relay.noted.state("streaming");
        return;
      }
      await this.#store();
      this.#on.relay.noted.state(
        "waiting",
        `about ${backlog.bytes} bytes wait for consumer "${backlog.consumer}", and backlogBytesMax is ${backlogBytesMax}: start it, or remove it`,
      );
      await nodes.clock.sleep(lookMs, this.#on.relay.noted.signal());
    }
  }
}
