/**
 * Publishing from one process to one topic: what comes while a commit is under way goes together in the next.
 *
 * A lone publish is sent at once; under load batches grow by themselves, because every commit's flush gives
 * the next batch time to gather. Nothing waits for company.
 *
 * A batch is shared work, so it is a call of its own: it goes on as long as anybody waits for it. Whoever
 * leaves before their message was sent takes it along (not applied); afterwards it is unknown to them.
 *
 * A commit without an answer is settled (`log-append.ts`): what was not applied is sent again, so a publish is
 * unknown only when the primary does not come back before the deadline. Messages whose keys another
 * transaction holds (one in doubt, say) step aside and hold up nobody with other keys.
 */
import { Call, currentCall, formatTraceparent, HoldfastError, inCall } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import type { OutgoingMessage } from "../../parts/topic/index.ts";
import { InFlight, type InFlightEntry } from "../../resilience/index.ts";
import {
  type AppendEnd,
  type AppendMessage,
  appendBatch,
  appendFree,
  lockSlotOf,
  settleBatch,
} from "./log-append.ts";
import type { UseSession } from "./log-session.ts";
import type { TopicLog } from "./log-tables.ts";
import { overError, patienceDefaultMs } from "./pool-lease.ts";
import { sqlStateOf } from "./session-error.ts";

export interface PublisherOptions {
  readonly name: string;
  /** Sessions of the home primary. */
  readonly use: UseSession;
  readonly clock: Clock;
  /** The topic's log, opened on first use. */
  readonly log: () => Promise<TopicLog>;
  /** Told after each commit. */
  readonly published: (log: TopicLog) => void;
}

/** Bounds. A batch holds at least one publish, however large; what waits in memory is refused beyond the rest. */
export const publisherLimits = {
  batchMessages: 512,
  batchBytes: 4 << 20,
  pendingMessages: 16_384,
  pendingBytes: 64 << 20,
} as const;

/** How often deadlines of those who wait are looked at: one timer for all instead of one for each. */
const sweepMs = 20;
/** A snapshot is recorded for slow readers after this long or this many messages, whichever is first. */
const tickEveryMs = 1_000;
const tickEveryMessages = 4_096;
const backoffMsMin = 20;
const backoffMsMax = 500;

/** One publish and whoever waits for it. */
interface Group extends InFlightEntry {
  readonly messages: readonly AppendMessage[];
  readonly bytes: number;
  readonly call: Call | undefined;
  /** When a publish without a deadline gives up, on the monotonic clock. */
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  sent: boolean;
}

export class TopicPublisher {
  readonly #options: PublisherOptions;
  readonly #clock: Clock;
  /** What batches run in: none of their publishers' deadlines, signals or sessions. */
  readonly #own: Call;
  readonly #pending = new InFlight<Group>();
  #bytes = 0;
  #messages = 0;
  #queue: Group[] = [];
  #pumping = false;
  /** Groups with a key that another transaction holds, first come first. */
  #aside: Group[] = [];
  #retrying = false;
  #sweeper: Timer | undefined;
  #untickedMessages = 0;
  #tickedAtMs = Number.NEGATIVE_INFINITY;
  #closing = false;
  #drained: (() => void) | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#own = new Call(options.clock);
  }

  publish(messages: readonly OutgoingMessage[]): Promise<void> {
    const call = currentCall();
    call?.throwIfOver();
    const traceparent = call && formatTraceparent(call.trace);
    const session = call?.session.encode() || undefined;
    const outgoing = messages.map(({ partition, key, json, subject, version }) => ({
      partition,
      key,
      json,
      version,
      traceparent,
      session,
      subject,
    }));
    const bytes = outgoing.reduce((sum, message) => sum + message.json.length + message.key.length, 0);
    this.#admit(outgoing.length, bytes);
    return new Promise((resolve, reject) => {
      const group: Group = {
        messages: outgoing,
        bytes,
        call,
        untilMs: this.#clock.monotonicMs() + patienceDefaultMs,
        resolve,
        reject,
        sent: false,
        slot: -1,
      };
      this.#pending.add(group);
      this.#messages += outgoing.length;
      this.#bytes += bytes;
      this.#sweepLater();
      if (this.#aside.length > 0 && sharesSlot(group, this.#slotsAside())) this.#aside.push(group);
      else this.#queue.push(group);
      if (!this.#pumping) void inCall(this.#own, () => this.#pump());
    });
  }

  /** Refuses what comes, sends what waits (for five seconds at most), and answers the rest. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#pending.size === 0) return;
    const timer = this.#clock.timer(5_000, () => this.#drained?.(), { ref: true });
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    timer.cancel();
    for (const group of this.#pending) this.#leave(group, this.#closedError(group.sent));
  }

  #admit(messages: number, bytes: number): void {
    if (this.#closing) throw this.#closedError(false);
    const { pendingMessages, pendingBytes } = publisherLimits;
    const full = this.#messages + messages > pendingMessages || this.#bytes + bytes > pendingBytes;
    if (!full || this.#pending.size === 0) return;
    throw new HoldfastError(
      "HOLDFAST_OVERLOADED",
      `topic "${this.#options.name}": ${this.#messages} messages (${this.#bytes} bytes) wait to be committed, which is as many as fit. Publish more slowly, or from more processes.`,
      { data: { topic: this.#options.name, messages: this.#messages, bytes: this.#bytes } },
    );
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    await null; // everything that is published in this turn goes together
    try {
      while (this.#queue.length > 0) {
        const groups = this.#take();
        if (groups.length > 0) await this.#send(groups);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #take(): Group[] {
    const { batchMessages, batchBytes } = publisherLimits;
    let messages = 0;
    let bytes = 0;
    let count = 0;
    for (const group of this.#queue) {
      messages += group.messages.length;
      bytes += group.bytes;
      if (count > 0 && (messages > batchMessages || bytes > batchBytes)) break;
      count++;
    }
    return this.#queue.splice(0, count).filter((group) => this.#stillWanted(group));
  }

  async #send(groups: readonly Group[]): Promise<void> {
    const id = this.#newId();
    let log: TopicLog;
    let sent: readonly Group[] = [];
    let end: AppendEnd | undefined;
    try {
      log = await this.#options.log();
      end = await this.#options.use(async (session) => {
        sent = this.#sending(groups);
        if (sent.length === 0) return undefined;
        const messages = sent.flatMap((group) => group.messages);
        const tick = this.#tickIsDue(messages.length);
        return appendBatch(session, log, { id, messages, tick });
      }, this.#patience(groups));
    } catch (error) {
      // No session, so nothing was sent: whoever published decides whether to try again.
      for (const group of groups) this.#leave(group, error);
      return;
    }
    if (end) await this.#finish(sent, id, end, log);
  }

  /** Those who still want it when a session is there, and not only when one was asked for: from here on sent. */
  #sending(groups: readonly Group[]): Group[] {
    const wanted = groups.filter((group) => this.#stillWanted(group));
    for (const group of wanted) group.sent = true;
    return wanted;
  }

  async #finish(groups: readonly Group[], id: string, end: AppendEnd, log: TopicLog): Promise<void> {
    if (end.kind === "appended") {
      this.#options.published(log);
      for (const group of groups) this.#leave(group);
      return;
    }
    if (end.kind === "unknown") {
      void this.#settle(groups, id, end.error, log);
      return;
    }
    const state = sqlStateOf(end.error) ?? "";
    if (state === "55P03") {
      this.#stepAside(groups);
      if (!this.#retrying) void this.#retryAside(log);
    } else if (end.error.code === "HOLDFAST_SQL_RETRY") {
      this.#again(groups);
    } else if (groups.length > 1 && /^2[23]/.test(state)) {
      // One of them has a value that Postgres refuses: it fails alone.
      for (const group of groups) group.sent = false;
      for (const group of groups) await this.#send([group]);
    } else {
      for (const group of groups) this.#leave(group, end.error);
    }
  }

  /** Asks the primary, until it answers or nobody waits any more, whether the batch was committed. */
  async #settle(groups: readonly Group[], id: string, error: HoldfastError, log: TopicLog): Promise<void> {
    let backoffMs = backoffMsMin;
    for (;;) {
      const waiting = groups.filter((group) => this.#pending.has(group));
      if (waiting.length === 0) return;
      const patience = this.#patience(waiting);
      if (patience.untilMs <= this.#clock.monotonicMs()) {
        for (const group of waiting) this.#leave(group, error);
        return;
      }
      try {
        const settled = await this.#options.use((session) => settleBatch(session, id), patience);
        if (settled === "refused") return this.#again(waiting);
        return await this.#finish(waiting, id, { kind: "appended" }, log);
      } catch {
        // Away, or busy ending the transaction in question: ask again.
      }
      await this.#clock.sleep(backoffMs * (0.5 + this.#clock.random.next() / 2));
      backoffMs = Math.min(backoffMs * 2, backoffMsMax);
    }
  }

  /** Certainly not applied: first in the next batch. */
  #again(groups: readonly Group[]): void {
    for (const group of groups) group.sent = false;
    this.#queue.unshift(...groups.filter((group) => this.#pending.has(group)));
    if (!this.#pumping) void this.#pump();
  }

  /** Tries those that stepped aside, again and again, without ever waiting for a lock. */
  async #retryAside(log: TopicLog): Promise<void> {
    this.#retrying = true;
    let backoffMs = backoffMsMin;
    while (this.#aside.length > 0) {
      this.#aside = this.#aside.filter((group) => this.#stillWanted(group));
      const groups = this.#aside.slice(0, publisherLimits.batchMessages);
      if (groups.length === 0) break;
      const id = this.#newId();
      let sending: readonly Group[] = [];
      let tried: readonly number[] = [];
      try {
        const attempt = await this.#options.use((session) => {
          sending = this.#sending(groups);
          return appendFree(
            session,
            log,
            sending.map((group) => group.messages),
            id,
          );
        }, this.#patience(groups));
        tried = attempt.tried;
        const sent = tried.map((index) => sending[index] as Group);
        this.#aside = this.#aside.filter((group) => !sent.includes(group));
        for (const group of this.#aside) group.sent = false;
        if (sent.length > 0) await this.#finish(sent, id, attempt.end, log);
      } catch (error) {
        this.#aside = this.#aside.filter((group) => !groups.includes(group));
        for (const group of groups) this.#leave(group, error);
      }
      if (tried.length > 0) backoffMs = backoffMsMin;
      if (this.#aside.length === 0) break;
      await this.#clock.sleep(backoffMs * (0.5 + this.#clock.random.next() / 2));
      backoffMs = Math.min(backoffMs * 2, backoffMsMax);
    }
    this.#retrying = false;
  }

  /** With them go those of the queue that have a key of theirs: a key's messages do not overtake each other. */
  #stepAside(groups: readonly Group[]): void {
    for (const group of groups) group.sent = false;
    this.#aside.push(...groups);
    const slots = this.#slotsAside();
    const free: Group[] = [];
    for (const group of this.#queue) (sharesSlot(group, slots) ? this.#aside : free).push(group);
    this.#queue = free;
  }

  #slotsAside(): Set<number> {
    return new Set(this.#aside.flatMap((waiting) => waiting.messages.map(({ key }) => lockSlotOf(key))));
  }

  #patience(groups: readonly Group[]) {
    const untilMs = Math.max(...groups.map((group) => Math.min(group.untilMs, deadlineOf(group))));
    return { untilMs, call: undefined };
  }

  #tickIsDue(messages: number): boolean {
    this.#untickedMessages += messages;
    const nowMs = this.#clock.monotonicMs();
    if (this.#untickedMessages < tickEveryMessages && nowMs - this.#tickedAtMs < tickEveryMs) return false;
    this.#untickedMessages = 0;
    this.#tickedAtMs = nowMs;
    return true;
  }

  #sweepLater(): void {
    this.#sweeper ??= this.#clock.timer(sweepMs, () => {
      this.#sweeper = undefined;
      for (const group of this.#pending) this.#stillWanted(group);
      if (this.#pending.size > 0) this.#sweepLater();
    });
  }

  /** Lets a group go whose caller has given up or run out of time, or that has waited for its key too long. */
  #stillWanted(group: Group): boolean {
    if (!this.#pending.has(group)) return false;
    try {
      group.call?.throwIfOver();
      if (!group.sent && deadlineOf(group) === Infinity && this.#clock.monotonicMs() > group.untilMs) {
        throw this.#heldKeyError();
      }
      return true;
    } catch (error) {
      this.#leave(group, group.sent && group.call ? overError(group.call, "unknown") : error);
      if (!group.sent) this.#queue = this.#queue.filter((queued) => queued !== group);
      return false;
    }
  }

  #leave(group: Group, error?: unknown): void {
    if (!this.#pending.delete(group)) return;
    this.#messages -= group.messages.length;
    this.#bytes -= group.bytes;
    if (error === undefined) group.resolve();
    else group.reject(error);
    if (this.#pending.size === 0) this.#drained?.();
  }

  /** A random UUID (version 4). */
  #newId(): string {
    const bytes = this.#clock.random.bytes(16);
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  #heldKeyError(): HoldfastError {
    return new HoldfastError(
      "HOLDFAST_SQL_RETRY",
      `topic "${this.#options.name}": nothing was published in ${patienceDefaultMs} ms, because another transaction holds the key of a message, or the primary is too slow. See pg_locks and pg_prepared_xacts on the topic's home.`,
      { data: { topic: this.#options.name, waitedMs: patienceDefaultMs } },
    );
  }

  #closedError(sent: boolean): HoldfastError {
    return new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      sent
        ? `topic "${this.#options.name}" was closed while a commit had no answer.`
        : `topic "${this.#options.name}" is closed, because its world is closing. Nothing was sent.`,
      { outcome: sent ? "unknown" : "not-applied" },
    );
  }
}

function deadlineOf(group: Group): number {
  return group.call?.deadlineAtMs ?? Number.POSITIVE_INFINITY;
}

function sharesSlot(group: Group, slots: ReadonlySet<number>): boolean {
  return group.messages.some(({ key }) => slots.has(lockSlotOf(key)));
}
