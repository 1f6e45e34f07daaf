/**
 * One way of a connection: bytes from a source to a sink, as they come or as faults want it.
 *
 * With no fault set a piece goes straight on, and the source pauses while the sink is full: nothing is kept here.
 * With faults, pieces wait in a queue with the time at which each may go; the queue is bounded, and a full one
 * pauses the source as well. Order is always kept.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../clock/index.ts";
import type { DirectionSettings } from "./settings.ts";

interface Waiting {
  /** Undefined is the end of the stream. */
  readonly piece: Buffer | undefined;
  readonly dueMs: number;
}

/** So much may wait here: a link of 100 MB/s and 80 ms holds as much. */
const waitingBytesMax = 8 << 20;
/** With a bound on bandwidth a piece is cut so that about this many go in a second. */
const piecesPerSecond = 100;

export interface OneWayEvents {
  /** The connection has to be reset. */
  reset(): void;
  /** The connection has to be closed in order. */
  close(): void;
  passed(bytes: number): void;
}

export class OneWay {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #clock: Clock;
  readonly #events: OneWayEvents;
  #settings: DirectionSettings;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** Bytes that passed since the settings were set: resets and closes count from there. */
  #passedBytes = 0;
  /** Nothing goes before what went in before it. */
  #lastDueMs = 0;
  /** When the bandwidth allows the next byte. */
  #freeAtMs = 0;
  #timer: Timer | undefined;
  #lost = false;
  #closed = false;

  constructor(source: Socket, sink: Socket, clock: Clock, settings: DirectionSettings, events: OneWayEvents) {
    this.#source = source;
    this.#sink = sink;
    this.#clock = clock;
    this.#settings = settings;
    this.#events = events;
    source.on("data", (piece: Buffer) => this.#take(piece));
    source.on("end", () => this.#take(undefined));
    sink.on("drain", () => this.#drain());
    if (settings.hold) source.pause();
  }

  set(settings: DirectionSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    this.#passedBytes = 0;
    if (before.swallow && !settings.swallow && this.#lost) {
      this.#events.reset();
      return;
    }
    if (settings.resetAfterBytes === 0) {
      this.#events.reset();
      return;
    }
    if (settings.closeAfterBytes === 0) {
      this.#events.close();
      return;
    }
    if (!settings.delayMs && !settings.bytesPerSecond) {
      // What waited for an old delay has waited long enough.
      this.#lastDueMs = 0;
      this.#freeAtMs = 0;
      this.#waiting = this.#waiting.map(({ piece }) => ({ piece, dueMs: 0 }));
    }
    this.#drain();
  }

  /** Nothing goes any more; timers are given back. */
  stop(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#waiting = [];
  }

  #take(piece: Buffer | undefined): void {
    if (this.#closed) return;
    const { swallow, hold, delayMs, jitterMs, bytesPerSecond, closeDelayMs } = this.#settings;
    if (swallow) {
      this.#lost = true;
      return;
    }
    if (
      this.#waiting.length === 0 &&
      !hold &&
      !delayMs &&
      !bytesPerSecond &&
      !(piece === undefined && closeDelayMs)
    ) {
      this.#pass(piece);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    const jitter = jitterMs ? (this.#clock.random.next() * 2 - 1) * jitterMs : 0;
    let dueMs = Math.max(this.#lastDueMs, nowMs + Math.max(0, (delayMs ?? 0) + jitter));
    if (piece === undefined) dueMs += closeDelayMs ?? 0;
    for (const part of bytesPerSecond && piece ? cut(piece, bytesPerSecond) : [piece]) {
      if (bytesPerSecond && part) {
        this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (part.length / bytesPerSecond) * 1_000;
        dueMs = Math.max(dueMs, this.#freeAtMs);
      }
      this.#waiting.push({ piece: part, dueMs });
      this.#waitingBytes += part?.length ?? 0;
    }
    this.#lastDueMs = dueMs;
    if (this.#waitingBytes >= waitingBytesMax) this.#source.pause();
    this.#drain();
  }

  #drain(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#closed) return;
    if (this.#settings.hold) {
      this.#source.pause(); // the kernel's buffers fill up, and the sender notices, as it would
      return;
    }
    let passed = 0;
    while (passed < this.#waiting.length && !this.#sink.writableNeedDrain) {
      const { piece, dueMs } = this.#waiting[passed] as Waiting;
      const waitMs = dueMs - this.#clock.monotonicMs();
      if (waitMs > 0) {
        this.#timer = this.#clock.timer(waitMs, () => this.#drain(), { ref: true });
        break;
      }
      passed++;
      this.#waitingBytes -= piece?.length ?? 0;
      this.#pass(piece);
      if (this.#closed) return;
    }
    if (passed > 0) this.#waiting.splice(0, passed);
    if (this.#waitingBytes < waitingBytesMax && !this.#sink.writableNeedDrain) this.#source.resume();
  }

  #pass(piece: Buffer | undefined): void {
    if (piece === undefined) {
      this.#sink.end();
      return;
    }
    const { resetAfterBytes, resetShare, closeAfterBytes } = this.#settings;
    if (resetShare !== undefined && this.#clock.random.next() < resetShare) {
      this.#events.reset();
      return;
    }
    const limit = Math.min(resetAfterBytes ?? Infinity, closeAfterBytes ?? Infinity);
    const part =
      this.#passedBytes + piece.length > limit ? piece.subarray(0, limit - this.#passedBytes) : piece;
    this.#passedBytes += part.length;
    this.#events.passed(part.length);
    const more = this.#sink.write(part);
    if (this.#passedBytes >= limit) {
      // What may pass has to be out before the connection breaks.
      this.#source.pause();
      this.#closed = true;
      this.#sink.write("", () => (limit === resetAfterBytes ? this.#events.reset() : this.#events.close()));
      return;
    }
    if (!more) this.#source.pause();
  }
}

function cut(piece: Buffer, bytesPerSecond: number): Buffer[] {
  const size = Math.max(1, Math.floor(bytesPerSecond / piecesPerSecond));
  const parts: Buffer[] = [];
  for (let at = 0; at < piece.length; at += size) parts.push(piece.subarray(at, at + size));
  return parts;
}
