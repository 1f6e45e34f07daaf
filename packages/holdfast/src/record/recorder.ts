/**
 * Writes down what clients do and see, as JSON lines. Recording must not lie, even when its process is killed: what
 * an operation may have done is only explicable if its invocation is in the record. So an invocation, with all that
 * was recorded before it, is handed to the operating system before the operation begins, where a `kill -9` cannot
 * reach it. Ends may wait a moment: an operation whose end is missing counts as unknown, which is true.
 *
 * Writing is synchronous: a slow disk slows the clients down (backpressure), and nothing is dropped.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { HoldfastError } from "../call/index.ts";
import type { EventType, HistoryEvent } from "../check/history/event.ts";
import { formatEvent } from "../check/history/write-history.ts";
import { type Clock, hostMonotonicNs, systemClock, type Timer } from "../clock/index.ts";
import { type EventRecord, RecordedClient } from "./client.ts";

export interface RecorderOptions {
  /** File that is written. It must not exist yet: two recordings in one would use the same process numbers. */
  readonly file: string;
  /**
   * When invocations are handed to the operating system. `each` (the default): before the operation begins. `batch`:
   * with the next 64 KiB or after `flushMs`; cheaper, and good enough when no recording process is killed.
   */
  readonly invocations?: "each" | "batch";
  /** Longest time that an event waits in memory, in milliseconds. Default 100. */
  readonly flushMs?: number;
  /** Nanoseconds that all recording processes share. Default: the host's monotonic clock, which no fault bends. */
  readonly nowNs?: () => bigint;
  /** For the timer of `flushMs`. Default: the system's. */
  readonly clock?: Clock;
}

export const recorderDefaults = { invocations: "each", flushMs: 100 } as const;

const bufferCharsMax = 64 << 10;

export class Recorder implements EventRecord {
  readonly file: string;
  readonly #descriptor: number;
  readonly #eachInvocation: boolean;
  readonly #flushMs: number;
  readonly #nowNs: () => bigint;
  readonly #clock: Clock;
  #buffer = "";
  #timer: Timer | undefined;
  #events = 0;
  #processes = 0;
  #closed = false;
  #failure: unknown;

  constructor(options: RecorderOptions) {
    this.file = options.file;
    this.#eachInvocation = (options.invocations ?? recorderDefaults.invocations) === "each";
    this.#flushMs = options.flushMs ?? recorderDefaults.flushMs;
    this.#nowNs = options.nowNs ?? hostMonotonicNs;
    this.#clock = options.clock ?? systemClock;
    this.#descriptor = openNew(options.file);
    // Whatever ends the process in an orderly way, an uncaught exception included, comes by here.
    process.once("exit", this.#flushAtExit);
  }

  /** Events recorded so far. */
  get events(): number {
    return this.#events;
  }

  /** A client: one operation at a time. As many as there are at once. */
  client(): RecordedClient {
    return new RecordedClient(this);
  }

  /** A process number that nobody has had. */
  newProcess(): number {
    return this.#processes++;
  }

  /** Writes one event down, stamped now. Of a witness of faults, `process` is a name such as `nemesis`. */
  record(event: Pick<HistoryEvent, "type" | "process" | "f" | "value" | "key" | "error">): void {
    if (this.#closed) throw new Error(`${this.file} is closed: nothing more can be recorded in it`);
    const stamped: HistoryEvent = { ...event, index: this.#events++, timeNs: Number(this.#nowNs()) };
    this.#buffer += `${formatEvent(stamped)}\n`;
    if (this.#buffer.length > bufferCharsMax || (this.#eachInvocation && isStart(event.type))) this.flush();
    else this.#timer ??= this.#clock.timer(this.#flushMs, () => this.flush());
  }

  /** Hands everything to the operating system. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#buffer === "" || this.#closed) return;
    const bytes = Buffer.from(this.#buffer);
    this.#buffer = "";
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#descriptor, bytes, written);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  /**
   * May be called twice. Throws what went wrong while writing, which whoever records through a seam would not have
   * heard of: what is missing then are the last events, so what the file has is true, though not all.
   */
  close(): void {
    if (this.#closed) return;
    if (this.#failure === undefined) this.flush();
    this.#closed = true;
    process.off("exit", this.#flushAtExit);
    closeSync(this.#descriptor);
    if (this.#failure !== undefined) throw this.#failure;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #flushAtExit = () => this.flush();
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it exists */
function openNew(file: string): number {
  try {
    return openSync(file, "wx", 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const message = `There is a recording ${file} already. Give each recorder a file of its own; mergeHistories makes one history of several.`;
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", message, { data: { file }, cause: error });
  }
}

function isStart(type: EventType): boolean {
  return type === "invoke";
}
