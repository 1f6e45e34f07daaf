/**
 * Transactions as a stream tells them, gathered into what is appended together: messages, and the position behind
 * them. A pure step: it neither reads nor writes.
 *
 * A large transaction is appended in portions. The position then says which transaction and how many of its changes:
 * the server tells them again, in the same order, and those that are stored are passed over.
 */
import { isoTime } from "../../../clock/index.ts";
import type { AppendMessage } from "../log-append.ts";
import { formatLsn } from "../timeline.ts";
import { type ChangeContext, rowMessages, shardMessages } from "./change-message.ts";
import type { FeedCursor } from "./feed-home.ts";
import type { FeedRelation } from "./feed-relation.ts";
import type { PgoutputMessage } from "./pgoutput.ts";

type ChangeMessage = Extract<PgoutputMessage, { readonly kind: "insert" | "update" | "delete" | "truncate" }>;

interface OpenTransaction {
  readonly commitLsn: bigint;
  readonly context: ChangeContext;
  /** Brought by a subscription: told where it was committed first. */
  foreign: boolean;
  /** Changes of the feed seen so far, and how many of them are stored. */
  seen: number;
  readonly stored: number;
}

export class TransactionReader {
  readonly #node: string;
  readonly #partitions: number;
  #cursor: FeedCursor;
  #transaction: OpenTransaction | undefined;
  #messages: AppendMessage[] = [];
  #bytes = 0;
  #moved = false;

  constructor(node: string, partitions: number, cursor: FeedCursor) {
    this.#node = node;
    this.#partitions = partitions;
    this.#cursor = cursor;
  }

  /** Whether a transaction is being told. */
  get within(): boolean {
    return this.#transaction !== undefined;
  }

  /** Whether its changes count. */
  get counts(): boolean {
    return this.#transaction?.foreign === false;
  }

  /** What waits to be appended, in characters of JSON. */
  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#messages.length;
  }

  /** Behind everything that was taken. */
  get lsn(): bigint {
    return this.#cursor.lsn;
  }

  begin({ commitLsn, atMs, xid }: Extract<PgoutputMessage, { readonly kind: "begin" }>): void {
    const { part } = this.#cursor;
    this.#transaction = {
      commitLsn,
      context: {
        node: this.#node,
        lsn: formatLsn(commitLsn),
        at: isoTime(atMs),
        transaction: String(xid),
      },
      foreign: false,
      seen: 0,
      stored: part?.lsn === commitLsn ? part.count : 0,
    };
  }

  origin(): void {
    if (this.#transaction) this.#transaction.foreign = true;
  }

  /** One change of the feed's table, in `relation`; `covered` when rows that are told later have it in them. */
  change(relation: FeedRelation, change: ChangeMessage, covered = false): void {
    const transaction = this.#transaction;
    if (!transaction) throw new RangeError("a change was told outside of a transaction");
    transaction.seen++;
    if (transaction.seen <= transaction.stored || covered) return;
    const { context } = transaction;
    const messages =
      change.kind === "truncate"
        ? shardMessages(relation, context, { op: "truncate" }, this.#partitions)
        : rowMessages(relation, context, change, this.#partitions);
    for (const message of messages) {
      this.#messages.push(message);
      this.#bytes += message.json.length;
    }
  }

  commit({ endLsn }: Extract<PgoutputMessage, { readonly kind: "commit" }>): void {
    this.#transaction = undefined;
    this.#advance(endLsn);
  }

  /** Everything that was committed before `lsn` has been told. */
  reached(lsn: bigint): void {
    if (!this.#transaction && lsn > this.#cursor.lsn) this.#advance(lsn);
  }

  /** Whether there is anything to store: messages, or only a position. */
  get news(): boolean {
    return this.#moved || this.#messages.length > 0;
  }

  /** What is to be stored now. Behind it the reader goes on from there. */
  take(): { readonly cursor: FeedCursor; readonly messages: readonly AppendMessage[] } {
    const { system, timeline, lsn } = this.#cursor;
    const open = this.#transaction;
    const told = open && Math.max(open.seen, open.stored);
    const part = open && told ? { lsn: open.commitLsn, count: told } : undefined;
    const taken = { cursor: { system, timeline, lsn, part }, messages: this.#messages };
    this.#cursor = taken.cursor;
    this.#messages = [];
    this.#bytes = 0;
    this.#moved = false;
    return taken;
  }

  #advance(lsn: bigint): void {
    const { system, timeline, part } = this.#cursor;
    // The rest of a transaction that is stored in part is still to come, as long as its commit is.
    this.#cursor = { system, timeline, lsn, part: part && part.lsn >= lsn ? part : undefined };
    this.#moved = true;
  }
}
