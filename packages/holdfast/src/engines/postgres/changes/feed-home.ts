/**
 * A feed's topic at its home: messages are appended together with the position behind them, in one transaction, so
 * that a message is in the log once, wherever the relay is killed.
 *
 * A relay takes the position over under a new epoch. One that was only paused finds another epoch there, and what it
 * still has to append is rolled back.
 */
import { HoldfastError } from "../../../call/index.ts";
import { type AppendMessage, appendStatement } from "../log-append.ts";
import { readLag } from "../log-lag.ts";
import { rotateLog } from "../log-rotation.ts";
import { boundedSessions, type UseSession } from "../log-session.ts";
import { openTopicLog, type TopicLog } from "../log-tables.ts";
import { flushed, writeAtOnce } from "../log-transaction.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { formatLsn, parseLsn } from "../timeline.ts";
import { type TopicWakeup, topicWakeup } from "../topic-wakeup.ts";
import type { FeedPosition } from "./feed-step.ts";

export interface FeedCursor extends FeedPosition {
  /** A transaction of which only the first changes are appended: where its commit begins, and how many. */
  readonly part: { readonly lsn: bigint; readonly count: number } | undefined;
}

/** The right to append what comes from a node, until somebody else takes it. */
export interface FeedClaim {
  readonly node: string;
  readonly epoch: string;
  readonly cursor: FeedCursor | undefined;
}

/** Shards whose rows are to be told. */
export interface Wants {
  readonly shards: readonly number[];
  /** Why again; `null` for the first time. */
  readonly reason: string | null;
  /** Nothing of them has been told yet. Default false. */
  readonly initial?: boolean;
}

export interface WantedShard {
  readonly shard: number;
  readonly reason: string | null;
  readonly initial: boolean;
}

export interface FeedHomeOptions {
  readonly feed: string;
  readonly partitions: number;
  readonly retentionMs: number;
  readonly home: DatabaseNodes;
}

/** Most messages and bytes of one INSERT. */
export const appendMax = { messages: 512, bytes: 4 << 20 } as const;
const longStatementMs = 60_000;
/** A snapshot is recorded for slow readers after so many messages, or so long. */
const tickEvery = { messages: 4_096, ms: 1_000 } as const;

export class FeedHome {
  readonly feed: string;
  readonly partitions: number;
  readonly #options: FeedHomeOptions;
  readonly #use: UseSession;
  readonly #wakeup: TopicWakeup;
  #log: TopicLog | undefined;
  #unticked: number = tickEvery.messages;
  #tickedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FeedHomeOptions) {
    const { home, feed, partitions } = options;
    this.feed = feed;
    this.partitions = partitions;
    this.#options = options;
    this.#use = boundedSessions(home.primary(home.home), home.clock);
    this.#wakeup = topicWakeup(home, home.clock);
  }

  async open(): Promise<TopicLog> {
    this.#log ??= await this.#use((session) => openTopicLog(session, this.feed, this.partitions));
    return this.#log;
  }

  /** Takes the position over: whoever had it can append nothing any more once this is answered. */
  async claim(node: string): Promise<FeedClaim> {
    await this.open();
    const [{ rows }] = await this.#use((session) =>
      writeAtOnce<[CursorRow]>(
        session,
        [
          {
            text: `insert into holdfast.change_cursor as c (feed, node, epoch) values ($1, $2, 1)
              on conflict (feed, node) do update set epoch = c.epoch + 1
              returning epoch::text, system, timeline, lsn::text, part_lsn::text as "partLsn",
                part_count::text as "partCount"`,
            values: [this.feed, node],
          },
        ],
        flushed,
      ),
    );
    const row = rows[0] as CursorRow;
    return { node, epoch: row.epoch, cursor: cursorOf(row) };
  }

  /** Where a node's log has been appended up to. */
  async cursor(node: string): Promise<FeedCursor | undefined> {
    const { rows } = await this.#use((session) =>
      session.send<CursorRow>({
        text: `select epoch::text, system, timeline, lsn::text, part_lsn::text as "partLsn",
            part_count::text as "partCount" from holdfast.change_cursor where feed = $1 and node = $2`,
        values: [this.feed, node],
      }),
    );
    return rows[0] && cursorOf(rows[0]);
  }

  /**
   * Appends, and moves the position.
   *
   * @param wants shards whose rows are to be told from now on, with the reason
   * @throws {HoldfastError} HOLDFAST_FENCED when another relay has taken over. After any other failure it is not known
   *   whether it happened: claim again, and go on from the position that is found
   */
  append(
    claim: FeedClaim,
    cursor: FeedCursor,
    messages: readonly AppendMessage[],
    wants?: Wants,
  ): Promise<void> {
    return this.transaction(claim, cursor, async (write) => {
      await Promise.all([write(messages), wants && this.#want(write.session, wants)]);
    });
  }

  /** Has the rows of shards told by whichever relay reads the node that they are on. */
  want(wants: Wants): Promise<void> {
    return this.#use(async (session) => {
      await session.send({ text: `begin read write; ${flushed}` });
      await this.#want(session, wants);
      await session.send({ text: "commit" });
    });
  }

  async #want(session: PgSession, { shards, reason, initial = false }: Wants): Promise<void> {
    await session.send({
      text: `insert into holdfast.change_want as w (feed, shard, reason, initial)
          select $1, shard, $3, $4::bool from unnest($2::int[]) shard
        on conflict (feed, shard) do update set reason = coalesce(w.reason, excluded.reason)`,
      values: [this.feed, shards, reason, initial],
    });
  }

  /** Shards whose rows are to be told. */
  async wanted(): Promise<readonly WantedShard[]> {
    const { rows } = await this.#use((session) =>
      session.send<WantedShard>({
        text: "select shard, reason, initial from holdfast.change_want where feed = $1 order by shard",
        values: [this.feed],
      }),
    );
    return rows;
  }

  /**
   * A transaction of the holder of `claim`, as long as `run` takes; its appends are in order.
   *
   * @param cursor where it moves to; `undefined` to stay
   * @param long whether it takes as long as it takes: then only each of its statements is bounded
   */
  async transaction(
    claim: FeedClaim,
    cursor: FeedCursor | undefined,
    run: (write: FeedWriter) => Promise<void>,
    long = false,
  ): Promise<void> {
    const log = await this.open();
    const { home } = this.#options;
    const use: UseSession = long ? (work) => home.primary(home.home).use(work) : this.#use;
    await use(async (session) => {
      if (long) session.limitStatements(longStatementMs);
      try {
        const begun = session.send({ text: `begin read write; ${flushed}` });
        const held = session.send<{ held: boolean }>(cursorStatement(this.feed, claim, cursor));
        held.catch(() => {}); // awaited below, behind what may fail first
        const write = Object.assign(
          (messages: readonly AppendMessage[]) => this.#append(session, log, messages),
          { session },
        );
        await Promise.all([begun, run(write)]);
        if ((await held).rowCount !== 1) throw fencedError(this.feed, claim.node);
        const committed = await session.send({ text: "commit" });
        if (committed.command !== "COMMIT") throw fencedError(this.feed, claim.node);
      } catch (error) {
        session.push({ text: "rollback" });
        session.taint();
        throw error;
      }
    });
    this.#wakeup.published(log.id);
  }

  async #append(session: PgSession, log: TopicLog, messages: readonly AppendMessage[]): Promise<void> {
    const sent: Promise<unknown>[] = [];
    for (const part of inParts(messages)) {
      this.#unticked += part.length;
      const tick = this.#tickIsDue();
      sent.push(session.send(appendStatement(log, { id: this.#newId(), messages: part, tick })));
    }
    await Promise.all(sent);
  }

  #tickIsDue(): boolean {
    const nowMs = this.#options.home.clock.monotonicMs();
    if (this.#unticked < tickEvery.messages && nowMs - this.#tickedAtMs < tickEvery.ms) return false;
    this.#unticked = 0;
    this.#tickedAtMs = nowMs;
    return true;
  }

  /** A random UUID (version 4). */
  #newId(): string {
    const bytes = this.#options.home.clock.random.bytes(16);
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  /** Empties what nobody needs any more. */
  async care(): Promise<void> {
    const log = await this.open();
    await this.#use((session) => rotateLog(session, log, this.#options.retentionMs));
  }

  /**
   * The consumer for whom most of the log is kept, with about how many bytes of it.
   *
   * @param bytesMin a log that is smaller is not looked into
   */
  async backlog(
    bytesMin: number,
  ): Promise<{ readonly consumer: string; readonly bytes: number } | undefined> {
    const log = await this.open();
    const bytes = await this.#bytes(log);
    if (bytes < bytesMin) return undefined;
    return this.#use(async (session) => {
      const { rows: total } = await session.send<{ count: string }>({
        text: `select count(*)::text as count from ${log.table}`,
      });
      const { rows: consumers } = await session.send<{ id: number; name: string }>({
        text: "select id, name from holdfast.topic_consumer where topic = $1",
        values: [log.id],
      });
      let most: { readonly consumer: string; readonly bytes: number } | undefined;
      for (const { id, name } of consumers) {
        const waiting = Number(await readLag(session, log, id)) / Math.max(1, Number(total[0]?.count ?? 0));
        if (waiting * bytes > (most?.bytes ?? 0))
          most = { consumer: name, bytes: Math.round(waiting * bytes) };
      }
      return most;
    });
  }

  #bytes(log: TopicLog): Promise<number> {
    return this.#use(async (session) => {
      const { rows } = await session.send<{ bytes: string }>({
        text: `select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::text as bytes from pg_inherits
          where inhparent = $1::regclass`,
        values: [log.table],
      });
      return Number(rows[0]?.bytes ?? 0);
    });
  }

  async close(): Promise<void> {
    await this.#wakeup.release();
  }
}

/** Appends messages in the transaction that it belongs to. */
export type FeedWriter = ((messages: readonly AppendMessage[]) => Promise<void>) & {
  readonly session: PgSession;
};

interface CursorRow {
  readonly epoch: string;
  readonly system: string | null;
  readonly timeline: number | null;
  readonly lsn: string | null;
  readonly partLsn: string | null;
  readonly partCount: string;
}

function cursorOf(row: CursorRow): FeedCursor | undefined {
  if (row.system === null || row.timeline === null || row.lsn === null) return undefined;
  const part =
    row.partLsn === null ? undefined : { lsn: parseLsn(row.partLsn), count: Number(row.partCount) };
  return { system: row.system, timeline: row.timeline, lsn: parseLsn(row.lsn), part };
}

/** First in its transaction, so that whoever claims next waits for the end of it. */
function cursorStatement(feed: string, { node, epoch }: FeedClaim, cursor: FeedCursor | undefined) {
  if (!cursor)
    return {
      text: `select from holdfast.change_cursor where feed = $1 and node = $2 and epoch = $3::bigint for update`,
      values: [feed, node, epoch],
    };
  const { system, timeline, lsn, part } = cursor;
  return {
    text: `update holdfast.change_cursor set system = $4, timeline = $5::int, lsn = $6::pg_lsn, part_lsn = $7::pg_lsn,
        part_count = $8::bigint, at = clock_timestamp()
      where feed = $1 and node = $2 and epoch = $3::bigint`,
    prepare: true,
    values: [
      feed,
      node,
      epoch,
      system,
      timeline,
      formatLsn(lsn),
      part ? formatLsn(part.lsn) : null,
      part?.count ?? 0,
    ],
  };
}

function* inParts(messages: readonly AppendMessage[]): Generator<AppendMessage[]> {
  let part: AppendMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (part.length > 0 && (part.length >= appendMax.messages || bytes > appendMax.bytes)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(message);
    bytes += message.json.length;
  }
  if (part.length > 0) yield part;
}

export function fencedError(feed: string, node: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Another relay has taken over feed "${feed}" of ${node}. This one appends nothing any more.`,
    { data: { feed, node } },
  );
}
