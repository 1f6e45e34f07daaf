/**
 * Writing from one process to one log: what comes while a commit is under way goes together in the next.
 *
 * A lone write is sent at once; under load batches grow by themselves, because every commit's flush gives the next
 * batch time to gather. Nothing waits for company, and nothing is answered before its commit.
 *
 * A batch is shared work, so it is a call of its own: it goes on as long as anybody waits for it. Whoever leaves
 * before their items were sent takes them along (not applied); afterwards they are unknown to them.
 *
 * A commit without an answer is settled: what was not applied is sent again, so a write is unknown only when the
 * primary does not come back before the deadline.
 */
import { Call, currentCall, HoldfastError, inCall } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import { InFlight, type InFlightEntry } from "../../resilience/index.ts";
import type { AppendEnd } from "./commit-end.ts";
import type { UseSession } from "./log-session.ts";
import { overError, patienceDefaultMs } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

export interface GroupCommitOptions<Store> {
  /** For messages, such as `topic "clicks"`. */
  readonly what: string;
  /** In the plural, for messages, such as `messages`. */
  readonly items: string;
  /** Sessions of the home primary. */
  readonly use: UseSession;
  readonly clock: Clock;
  /** Opened on first use. */
  readonly store: () => Promise<Store>;
  /** Told after each commit. */
  readonly committed: (store: Store) => void;
}

/** Bounds. A batch holds at least one group, however large; what waits in memory is refused beyond the rest. */
export const groupCommitLimits = {
  batchItems: 512,
  batchBytes: 4 << 20,
  pendingItems: 16_384,
  pendingBytes: 64 << 20,
} as const;

/** How often deadlines of those who wait are looked at: one timer for all instead of one for each. */
const sweepMs = 20;
export const settleBackoff = { msMin: 20, msMax: 500 } as const;

/** What one caller wrote, and whoever waits for it. */
export interface Group<Item, Answer> extends InFlightEntry {
  readonly items: readonly Item[];
  readonly bytes: number;
  readonly call: Call | undefined;
  /** When a write without a deadline gives up, on the monotonic clock. */
  readonly untilMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  sent: boolean;
}

export abstract class GroupCommit<Item, Answer, Store> {
  protected readonly options: GroupCommitOptions<Store>;
  protected readonly clock: Clock;
  /** What batches run in: none of their writers' deadlines, signals or sessions. */
  readonly #own: Call;
  readonly #pending = new InFlight<Group<Item, Answer>>();
  #bytes = 0;
  #items = 0;
  protected queue: Group<Item, Answer>[] = [];
  #pumping = false;
  #sweeper: Timer | undefined;
  #closing = false;
  #drained: (() => void) | undefined;

  constructor(options: GroupCommitOptions<Store>) {
    this.options = options;
    this.clock = options.clock;
    this.#own = new Call(options.clock);
  }

  /** Sends the groups as one transaction. Never rejects. @returns for each group what its caller is answered */
  protected abstract append(
    session: PgSession,
    store: Store,
    groups: readonly Group<Item, Answer>[],
    id: string,
  ): Promise<AppendEnd<readonly Answer[]>>;

  /**
   * Whether the batch was committed, settled for good. @returns the answers, or that it never will be
   * @throws when the primary cannot say in time
   */
  protected abstract settle(
    session: PgSession,
    store: Store,
    groups: readonly Group<Item, Answer>[],
    id: string,
  ): Promise<readonly Answer[] | "refused">;

  /** The transaction did not get a lock in time (55P03). Not applied. */
  protected abstract locked(groups: readonly Group<Item, Answer>[], store: Store, error: HoldfastError): void;

  /** Takes a group that has just come out of the way of the others. @returns whether it did */
  protected divert(_group: Group<Item, Answer>): boolean {
    return false;
  }

  protected write(items: readonly Item[], bytes: number): Promise<Answer> {
    const call = currentCall();
    call?.throwIfOver();
    this.#admit(items.length, bytes);
    return new Promise((resolve, reject) => {
      const group: Group<Item, Answer> = {
        items,
        bytes,
        call,
        untilMs: this.clock.monotonicMs() + patienceDefaultMs,
        resolve,
        reject,
        sent: false,
        slot: -1,
      };
      this.#pending.add(group);
      this.#items += items.length;
      this.#bytes += bytes;
      this.#sweepLater();
      if (!this.divert(group)) this.queue.push(group);
      if (!this.#pumping) void inCall(this.#own, () => this.#pump());
    });
  }

  /** Refuses what comes, sends what waits (for five seconds at most), and answers the rest. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#pending.size === 0) return;
    const timer = this.clock.timer(5_000, () => this.#drained?.(), { ref: true });
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    timer.cancel();
    for (const group of this.#pending) this.leave(group, this.#closedError(group.sent));
  }

  #admit(items: number, bytes: number): void {
    if (this.#closing) throw this.#closedError(false);
    const { pendingItems, pendingBytes } = groupCommitLimits;
    const full = this.#items + items > pendingItems || this.#bytes + bytes > pendingBytes;
    if (!full || this.#pending.size === 0) return;
    const { what, items: noun } = this.options;
    throw new HoldfastError(
      "HOLDFAST_OVERLOADED",
      `${what}: ${this.#items} ${noun} (${this.#bytes} bytes) wait to be committed, which is as many as fit. Send them more slowly, or from more processes.`,
      { data: { what, waiting: this.#items, bytes: this.#bytes } },
    );
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    await null; // everything that is written in this turn goes together
    try {
      while (this.queue.length > 0) {
        const groups = this.#take();
        if (groups.length > 0) await this.#send(groups);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #take(): Group<Item, Answer>[] {
    const { batchItems, batchBytes } = groupCommitLimits;
    let items = 0;
    let bytes = 0;
    let count = 0;
    for (const group of this.queue) {
      items += group.items.length;
      bytes += group.bytes;
      if (count > 0 && (items > batchItems || bytes > batchBytes)) break;
      count++;
    }
    return this.queue.splice(0, count).filter((group) => this.stillWanted(group));
  }

  async #send(groups: readonly Group<Item, Answer>[]): Promise<void> {
    const id = this.newId();
    let store: Store;
    let sent: readonly Group<Item, Answer>[] = [];
    let end: AppendEnd<readonly Answer[]> | undefined;
    try {
      store = await this.options.store();
      end = await this.options.use(async (session) => {
        sent = this.sending(groups);
        return sent.length === 0 ? undefined : this.append(session, store, sent, id);
      }, this.patience(groups));
    } catch (error) {
      // No session, so nothing was sent: whoever wrote decides whether to try again.
      for (const group of groups) this.leave(group, error);
      return;
    }
    if (end) await this.finish(sent, id, end, store);
  }

  /** Those who still want it when a session is there, and not only when one was asked for: from here on sent. */
  protected sending(groups: readonly Group<Item, Answer>[]): Group<Item, Answer>[] {
    const wanted = groups.filter((group) => this.stillWanted(group));
    for (const group of wanted) group.sent = true;
    return wanted;
  }

  protected async finish(
    groups: readonly Group<Item, Answer>[],
    id: string,
    end: AppendEnd<readonly Answer[]>,
    store: Store,
  ): Promise<void> {
    if (end.kind === "appended") {
      this.options.committed(store);
      for (const [index, group] of groups.entries()) this.#answer(group, end.answer[index] as Answer);
      return;
    }
    if (end.kind === "unknown") {
      void this.#settle(groups, id, end.error, store);
      return;
    }
    const state = sqlStateOf(end.error) ?? "";
    if (state === "55P03") {
      this.locked(groups, store, end.error);
    } else if (end.error.code === "HOLDFAST_SQL_RETRY") {
      this.again(groups);
    } else if (groups.length > 1 && /^2[23]/.test(state)) {
      // One of them has a value that Postgres refuses: it fails alone.
      for (const group of groups) group.sent = false;
      for (const group of groups) await this.#send([group]);
    } else {
      for (const group of groups) this.leave(group, end.error);
    }
  }

  /** Asks the primary, until it answers or nobody waits any more, whether the batch was committed. */
  async #settle(
    groups: readonly Group<Item, Answer>[],
    id: string,
    error: HoldfastError,
    store: Store,
  ): Promise<void> {
    let backoffMs: number = settleBackoff.msMin;
    for (;;) {
      const waiting = groups.filter((group) => this.#pending.has(group));
      if (waiting.length === 0) return;
      const patience = this.patience(waiting);
      if (patience.untilMs <= this.clock.monotonicMs()) {
        for (const group of waiting) this.leave(group, error);
        return;
      }
      try {
        const settled = await this.options.use(
          (session) => this.settle(session, store, waiting, id),
          patience,
        );
        if (settled === "refused") return this.again(waiting);
        return await this.finish(waiting, id, { kind: "appended", answer: settled }, store);
      } catch {
        // Away, or busy ending the transaction in question: ask again.
      }
      await this.clock.sleep(backoffMs * (0.5 + this.clock.random.next() / 2));
      backoffMs = Math.min(backoffMs * 2, settleBackoff.msMax);
    }
  }

  /** Certainly not applied: first in the next batch. */
  protected again(groups: readonly Group<Item, Answer>[]): void {
    for (const group of groups) group.sent = false;
    this.queue.unshift(...groups.filter((group) => this.#pending.has(group)));
    if (!this.#pumping) void this.#pump();
  }

  protected patience(groups: readonly Group<Item, Answer>[]) {
    const untilMs = Math.max(...groups.map((group) => Math.min(group.untilMs, deadlineOf(group))));
    return { untilMs, call: undefined };
  }

  #sweepLater(): void {
    this.#sweeper ??= this.clock.timer(sweepMs, () => {
      this.#sweeper = undefined;
      for (const group of this.#pending) this.stillWanted(group);
      if (this.#pending.size > 0) this.#sweepLater();
    });
  }

  /** Lets a group go whose caller has given up or run out of time, or that has waited too long. */
  protected stillWanted(group: Group<Item, Answer>): boolean {
    if (!this.#pending.has(group)) return false;
    try {
      group.call?.throwIfOver();
      if (!group.sent && deadlineOf(group) === Infinity && this.clock.monotonicMs() > group.untilMs) {
        throw this.waitedError(patienceDefaultMs);
      }
      return true;
    } catch (error) {
      this.leave(group, group.sent && group.call ? overError(group.call, "unknown") : error);
      if (!group.sent) this.queue = this.queue.filter((queued) => queued !== group);
      return false;
    }
  }

  /** Why a group was not sent in so long. */
  protected abstract waitedError(waitedMs: number): HoldfastError;

  protected leave(group: Group<Item, Answer>, error: unknown): void {
    if (this.#gone(group)) group.reject(error);
  }

  #answer(group: Group<Item, Answer>, answer: Answer): void {
    if (this.#gone(group)) group.resolve(answer);
  }

  #gone(group: Group<Item, Answer>): boolean {
    if (!this.#pending.delete(group)) return false;
    this.#items -= group.items.length;
    this.#bytes -= group.bytes;
    if (this.#pending.size === 0) this.#drained?.();
    return true;
  }

  /** A random UUID (version 4). */
  protected newId(): string {
    const bytes = this.clock.random.bytes(16);
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  #closedError(sent: boolean): HoldfastError {
    const { what } = this.options;
    return new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      sent
        ? `${what} was closed while a commit had no answer.`
        : `${what} is closed, because its world is closing. Nothing was sent.`,
      { outcome: sent ? "unknown" : "not-applied" },
    );
  }
}

function deadlineOf(group: { readonly call: Call | undefined }): number {
  return group.call?.deadlineAtMs ?? Number.POSITIVE_INFINITY;
}
