/**
 * A stream of a slot's messages, read as fast as they are taken and no faster.
 *
 * - What was not taken yet is bounded in bytes: beyond it the socket is paused, and the server waits.
 * - The server is told what may be forgotten (`confirm`) only by who has stored it. Between that it hears that
 *   somebody is there, also while the socket is paused, so that it does not take a slow reader for a dead one.
 */
import type { Clock, Timer } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import { takenForDriversOwn } from "../query-answer.ts";
import { formatLsn } from "../timeline.ts";
import { readStreamMessage, type StreamMessage } from "./pgoutput.ts";
import { connectReplication, cutOff } from "./replication-client.ts";

export interface StreamOptions {
  readonly endpoint: PostgresEndpoint;
  readonly slot: string;
  readonly publication: string;
  /** Transactions whose commit begins here or behind. */
  readonly from: bigint;
  /** Major version of the server. */
  readonly major: number;
  readonly clock: Clock;
  readonly applicationName: string;
  /** Bytes that may wait to be taken. Default 8 MiB; one message is taken whatever its size. */
  readonly bytesMax?: number;
}

export interface ReplicationStream {
  /** The next message. One caller at a time. @throws when the stream has ended, with why */
  next(): Promise<StreamMessage>;
  /** Whether a message is there already. */
  readonly ready: boolean;
  /** Everything before it is stored, and may be forgotten by the server. */
  confirm(lsn: bigint): void;
  /** Asks the server how far it is: a keepalive follows soon. */
  ask(): void;
  close(): void;
}

/** How often the server hears of this side; it gives a silent one up after `wal_sender_timeout`, of seconds. */
const statusMs = 1_000;
const bytesMaxDefault = 8 << 20;

export async function openReplicationStream(options: StreamOptions): Promise<ReplicationStream> {
  const { endpoint, slot, publication, from, major, clock, bytesMax = bytesMaxDefault } = options;
  const client = await connectReplication(endpoint, options.applicationName, clock);
  const { stream } = client.connection;
  const queue: StreamMessage[] = [];
  let head = 0;
  let bytes = 0;
  let paused = false;
  let confirmed = from;
  let failure: Error | undefined;
  let waiter: { resolve(message: StreamMessage): void; reject(error: Error): void } | undefined;

  const fail = (error: Error) => {
    failure ??= error;
    timer?.cancel();
    cutOff(client);
    waiter?.reject(failure);
    waiter = undefined;
  };
  const say = (reply: boolean) => {
    if (!failure) client.connection.sendCopyFromChunk(statusMessage(confirmed, clock.wallMs(), reply));
  };
  const take = (chunk: Buffer) => {
    if (failure) return;
    let message: StreamMessage;
    try {
      // Now: the bytes are the driver's, and the next packet overwrites them.
      message = readStreamMessage(chunk);
    } catch (error) {
      fail(error as Error);
      return;
    }
    if (message.kind === "keepalive" && message.reply) say(false);
    if (waiter) {
      waiter.resolve(message);
      waiter = undefined;
      return;
    }
    queue.push(message);
    bytes += chunk.length;
    if (bytes > bytesMax && !paused) {
      paused = true;
      stream.pause();
    }
  };
  const query = new StreamQuery(startCommand(slot, publication, from, major), take, fail);
  client.on("end", () => fail(new Error("the server closed the connection")));
  client.on("error", (error: Error) => fail(error));
  let timer: Timer | undefined;
  const tick = () => {
    say(false);
    timer = clock.timer(statusMs, tick);
  };
  client.query(query);
  await query.started.catch((error: Error) => {
    fail(error);
    throw error;
  });
  tick();

  return {
    get ready() {
      return head < queue.length;
    },
    async next() {
      const message = queue[head];
      if (message === undefined) {
        if (failure) throw failure;
        return new Promise((resolve, reject) => {
          waiter = { resolve, reject };
        });
      }
      head++;
      bytes -= message.kind === "data" ? message.bytes : keepaliveBytes;
      if (head === queue.length) {
        queue.length = 0;
        head = 0;
        bytes = 0;
      } else if (head > 1_024) {
        queue.splice(0, head);
        head = 0;
      }
      if (paused && bytes < bytesMax / 2) {
        paused = false;
        stream.resume();
      }
      return message;
    },
    confirm(lsn) {
      if (lsn > confirmed) confirmed = lsn;
    },
    ask: () => say(true),
    close() {
      if (!failure) say(false);
      fail(new Error("the stream was closed"));
    },
  };
}

const keepaliveBytes = 18;

function startCommand(slot: string, publication: string, from: bigint, major: number): string {
  // From 16 on the server leaves out what a subscription brought; before, the transaction says so (`origin`).
  const origin = major >= 16 ? ", origin 'none'" : "";
  return `START_REPLICATION SLOT "${slot}" LOGICAL ${formatLsn(from)} (proto_version '1', publication_names '"${publication}"'${origin})`;
}

/** `r`: written, flushed and applied up to `lsn`. @see PostgreSQL documentation, "Standby status update" */
function statusMessage(lsn: bigint, wallMs: number, reply: boolean): Buffer {
  const message = Buffer.alloc(34);
  message.write("r", 0, "latin1");
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(lsn, at);
  message.writeBigInt64BE(BigInt(Math.round((wallMs - 946_684_800_000) * 1_000)), 25);
  message.writeUInt8(reply ? 1 : 0, 33);
  return message;
}

/** The command that never ends, as the driver's queue takes it. */
class StreamQuery {
  readonly text: string;
  /** Resolves when the server has begun to send, or has nothing to send yet. */
  readonly started: Promise<void>;
  readonly #take: (chunk: Buffer) => void;
  readonly #fail: (error: Error) => void;
  #begun: { resolve(): void; reject(error: Error): void };

  constructor(text: string, take: (chunk: Buffer) => void, fail: (error: Error) => void) {
    this.text = text;
    this.#take = take;
    this.#fail = fail;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.started = promise;
    this.#begun = { resolve, reject };
  }

  submit(connection: {
    query(text: string): void;
    once(event: "replicationStart", run: () => void): void;
  }): null {
    connection.once("replicationStart", () => this.#begun.resolve());
    connection.query(this.text);
    return null;
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.#take(chunk);
  }

  handleError(error: Error): void {
    this.#begun.reject(error);
    this.#fail(error);
  }

  handleCommandComplete(): void {
    this.#fail(new Error("the server ended the stream"));
  }

  handleReadyForQuery(): void {}
  handleEmptyQuery(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
}

takenForDriversOwn(StreamQuery);
