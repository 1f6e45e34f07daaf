/**
 * Reads the invalidation bus of one node, over one connection of its own: polls, listens for wake-ups, and
 * writes what this process publishes there.
 *
 * The cursor lives and dies with the connection. A server that crashed may hand out transaction ids again that
 * it had handed out before, so a snapshot from before the crash can hide a row from after it; and nothing but
 * an unbroken connection proves that there was no crash. A new connection therefore starts at the present
 * and reports a gap.
 */
import pg from "pg";
import { HoldfastError, type LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import {
  type BusReadRow,
  type BusStartRow,
  busChannel,
  busDeleteSql,
  busInsertSql,
  busMoveHorizonSql,
  busReadSql,
  busRowsMax,
  busStartSql,
} from "./bus-sql.ts";
import type { PostgresNodeConfig } from "./config.ts";
import { endsSession, isServerError } from "./session-error.ts";

export interface BusTimings {
  /** Longest pause between two reads when nobody wakes the reader, in milliseconds. */
  readonly pollMs: number;
  /** A statement without an answer for this long costs the connection, in milliseconds. */
  readonly answerMsMax: number;
  /** Rows are kept for at least this long, in milliseconds by the store's clock. */
  readonly retentionMs: number;
  /** Pause between two clean-ups, in milliseconds. */
  readonly sweepMs: number;
}

export interface BusWord {
  readonly cache: string;
  readonly keys: readonly string[];
}

export interface BusReaderOptions {
  readonly node: PostgresNodeConfig;
  readonly clock: Clock;
  readonly timings: BusTimings;
  /** Whether the row with this id was written by this process within a transaction: then others are woken. */
  readonly isOwn: (id: string) => boolean;
  readonly deliver: (words: readonly BusWord[], position: LogPosition) => void;
  /** Words may have been missed that committed at or before `position`. */
  readonly gap: (position: LogPosition) => void;
}

export interface BusReader {
  /** Up to when everything on this node has been heard; `undefined` before the first contact. */
  readonly lastSyncMs: number | undefined;
  /** Reads at once, and often for a while: something is about to commit. */
  hurry(): void;
  /** Commits `words` on this node and wakes the other readers. @throws {HoldfastError} with its outcome */
  publish(words: readonly BusWord[], deadlineAtMs: number): Promise<void>;
  close(): Promise<void>;
}

const reconnectMsMin = 50;
const reconnectMsMax = 1_000;
const hurryMsMin = 4;

export function startBusReader(options: BusReaderOptions): BusReader {
  const { node, clock, timings, isOwn, deliver, gap } = options;
  let closing = false;
  let lastSyncMs: number | undefined;
  let pauseMs = timings.pollMs;
  let client: pg.Client | undefined;
  /** Whether `client` is ready for statements. */
  let connected = false;
  let reconnectMs = reconnectMsMin;
  let woken = false;
  let sleeping: AbortController | undefined;
  const publishers = new Set<AbortController>();

  const wake = (): void => {
    woken = true;
    sleeping?.abort();
  };

  const pause = async (ms: number): Promise<void> => {
    sleeping = new AbortController();
    if (!woken && !closing) await clock.sleep(ms, sleeping.signal).catch(() => {});
    woken = false;
  };

  /** Runs a statement; when no answer comes in time the connection is given up, which fails the statement. */
  const ask = async <Row extends pg.QueryResultRow>(
    client: pg.Client,
    text: string,
    values: unknown[] = [],
    name?: string,
  ): Promise<Row[]> => {
    const timer = clock.timer(timings.answerMsMax, () => discard(client));
    try {
      return (await client.query<Row>({ text, values, ...(name ? { name } : {}) })).rows;
    } finally {
      timer.cancel();
    }
  };

  const follow = async (client: pg.Client): Promise<void> => {
    let atMs = clock.monotonicMs();
    await ask(client, `listen ${busChannel}`);
    const [start] = await ask<BusStartRow>(client, busStartSql);
    if (!start) return;
    let { snapshot } = start;
    const { system, timeline } = start;
    // Whatever was loaded before this snapshot may have missed a word that it already contains.
    gap({ system, timeline, lsn: BigInt(start.lsn) });
    lastSyncMs = atMs;
    reconnectMs = reconnectMsMin;
    connected = true;
    for (const publisher of publishers) publisher.abort();
    let sweepAtMs = atMs + timings.sweepMs * clock.random.next();
    for (;;) {
      await pause(pauseMs);
      if (closing) return;
      pauseMs = Math.min(timings.pollMs, pauseMs * 1.5);
      atMs = clock.monotonicMs();
      const [read] = await ask<BusReadRow>(
        client,
        busReadSql,
        [snapshot, busRowsMax + 1],
        "holdfast-bus-read",
      );
      if (!read) return;
      snapshot = read.snapshot;
      const unread = read.unread ?? [];
      const position = { system, timeline, lsn: BigInt(read.lsn) };
      if (read.missed || unread.length > busRowsMax) gap(position);
      if (unread.length > 0)
        deliver(
          unread.map(([, cache, keys]) => ({ cache, keys })),
          position,
        );
      lastSyncMs = atMs;
      // Outside every transaction, because transactions that contain a NOTIFY commit one by one.
      if (unread.filter(([id]) => isOwn(id)).length > 0) await ask(client, `notify ${busChannel}`);
      if (atMs >= sweepAtMs) {
        sweepAtMs = atMs + timings.sweepMs;
        await ask(client, busMoveHorizonSql, [timings.retentionMs]);
        await ask(client, busDeleteSql);
      }
    }
  };

  const run = async (): Promise<void> => {
    while (!closing) {
      client = new pg.Client({
        ...node.primary,
        application_name: "holdfast-bus",
        connectionTimeoutMillis: timings.answerMsMax,
        keepAlive: true,
      });
      // A lost connection is heard of by the statement that fails; without a listener it would end the process.
      client.on("error", wake);
      client.on("notification", wake);
      try {
        await client.connect();
        await follow(client);
      } catch {
        // Silence is the report: `lastSyncMs` stands still, and the caches act on that.
      }
      connected = false;
      discard(client);
      // Drawn, so that the processes of a system do not all come back at the same instant.
      await pause(reconnectMs * (0.5 + clock.random.next() / 2));
      reconnectMs = Math.min(reconnectMsMax, reconnectMs * 2);
    }
  };
  const running = run();

  /** The connection, waiting for one until `deadlineAtMs`. */
  const connection = async (deadlineAtMs: number): Promise<pg.Client | undefined> => {
    while (!connected && !closing) {
      const leftMs = deadlineAtMs - clock.monotonicMs();
      if (leftMs <= 0) return undefined;
      const waiting = new AbortController();
      publishers.add(waiting);
      await clock.sleep(leftMs, waiting.signal).catch(() => {});
      publishers.delete(waiting);
    }
    return closing ? undefined : client;
  };

  return {
    get lastSyncMs() {
      return lastSyncMs;
    },
    hurry() {
      pauseMs = Math.min(hurryMsMin, timings.pollMs);
      wake();
    },
    async publish(words, deadlineAtMs) {
      let sent = false;
      let cause: unknown;
      for (;;) {
        const writer = await connection(deadlineAtMs);
        if (!writer) throw unpublished(node.name, sent, cause);
        try {
          sent = true;
          await ask(writer, busInsertSql, [JSON.stringify(words)]);
          writer.query(`notify ${busChannel}`).catch(() => {});
          return;
        } catch (error) {
          cause = error;
          // The server refused. Only one that is going away will answer otherwise after a new connection.
          if (isServerError(error) && !endsSession(error)) throw unpublished(node.name, false, error);
          if (client === writer) connected = false;
          discard(writer);
          wake();
        }
      }
    },
    async close() {
      closing = true;
      wake();
      for (const publisher of publishers) publisher.abort();
      if (client) discard(client);
      await running;
    },
  };
}

/** Ends the connection; one that waits for an answer is cut. */
function discard(client: pg.Client): void {
  client.end().catch(() => {});
}

function unpublished(node: string, sent: boolean, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The invalidation could not be written to node "${node}". This process has forgotten the keys; the others do not trust theirs for longer than busBoundMs while they cannot reach the bus either. Repeat it: forgetting twice is harmless.`,
    { outcome: sent ? "unknown" : "not-applied", cause, data: { node } },
  );
}
