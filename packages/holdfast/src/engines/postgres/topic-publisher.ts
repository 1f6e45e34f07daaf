/**
 * Publishing from one process to one topic: concurrent publishes share a commit (`group-commit.ts`).
 *
 * Messages whose keys another transaction holds (one in doubt, say) step aside and hold up nobody with other keys.
 */
import { currentCall, formatTraceparent, HoldfastError } from "../../call/index.ts";
import type { OutgoingMessage } from "../../parts/topic/index.ts";
import type { AppendEnd } from "./commit-end.ts";
import { type Group, GroupCommit, groupCommitLimits, settleBackoff } from "./group-commit.ts";
import { type AppendMessage, appendBatch, appendFree, lockSlotOf, settleBatch } from "./log-append.ts";
import type { TopicLog } from "./log-tables.ts";
import { patienceDefaultMs } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";

/** A snapshot is recorded for slow readers after this long or this many messages, whichever is first. */
const tickEveryMs = 1_000;
const tickEveryMessages = 4_096;

type MessageGroup = Group<AppendMessage, undefined>;

export class TopicPublisher extends GroupCommit<AppendMessage, undefined, TopicLog> {
  /** Groups with a key that another transaction holds, first come first. */
  #aside: MessageGroup[] = [];
  #retrying = false;
  #untickedMessages = 0;
  #tickedAtMs = Number.NEGATIVE_INFINITY;

  publish(messages: readonly OutgoingMessage[]): Promise<undefined> {
    const call = currentCall();
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
    return this.write(outgoing, bytes);
  }

  protected override async append(
    session: PgSession,
    log: TopicLog,
    groups: readonly MessageGroup[],
    id: string,
  ): Promise<AppendEnd<readonly undefined[]>> {
    const messages = groups.flatMap((group) => group.items);
    return answered(
      await appendBatch(session, log, { id, messages, tick: this.#tickIsDue(messages.length) }),
    );
  }

  protected override async settle(
    session: PgSession,
    _log: TopicLog,
    _groups: readonly MessageGroup[],
    id: string,
  ): Promise<readonly undefined[] | "refused"> {
    return (await settleBatch(session, id)) === "refused" ? "refused" : [];
  }

  /** With them go those of the queue that have a key of theirs: a key's messages do not overtake each other. */
  protected override locked(groups: readonly MessageGroup[], log: TopicLog): void {
    for (const group of groups) group.sent = false;
    this.#aside.push(...groups);
    const slots = this.#slotsAside();
    const free: MessageGroup[] = [];
    for (const group of this.queue) (sharesSlot(group, slots) ? this.#aside : free).push(group);
    this.queue = free;
    if (!this.#retrying) void this.#retryAside(log);
  }

  protected override divert(group: MessageGroup): boolean {
    if (this.#aside.length === 0 || !sharesSlot(group, this.#slotsAside())) return false;
    this.#aside.push(group);
    return true;
  }

  /** Tries those that stepped aside, again and again, without ever waiting for a lock. */
  async #retryAside(log: TopicLog): Promise<void> {
    this.#retrying = true;
    let backoffMs: number = settleBackoff.msMin;
    while (this.#aside.length > 0) {
      this.#aside = this.#aside.filter((group) => this.stillWanted(group));
      const groups = this.#aside.slice(0, groupCommitLimits.batchItems);
      if (groups.length === 0) break;
      const id = this.newId();
      let sending: readonly MessageGroup[] = [];
      let tried: readonly number[] = [];
      try {
        const attempt = await this.options.use((session) => {
          sending = this.sending(groups);
          return appendFree(
            session,
            log,
            sending.map((group) => group.items),
            id,
          );
        }, this.patience(groups));
        tried = attempt.tried;
        const sent = tried.map((index) => sending[index] as MessageGroup);
        this.#aside = this.#aside.filter((group) => !sent.includes(group));
        for (const group of this.#aside) group.sent = false;
        if (sent.length > 0) await this.finish(sent, id, answered(attempt.end), log);
      } catch (error) {
        this.#aside = this.#aside.filter((group) => !groups.includes(group));
        for (const group of groups) this.leave(group, error);
      }
      if (tried.length > 0) backoffMs = settleBackoff.msMin;
      if (this.#aside.length === 0) break;
      await this.clock.sleep(backoffMs * (0.5 + this.clock.random.next() / 2));
      backoffMs = Math.min(backoffMs * 2, settleBackoff.msMax);
    }
    this.#retrying = false;
  }

  #slotsAside(): Set<number> {
    return new Set(this.#aside.flatMap((waiting) => waiting.items.map(({ key }) => lockSlotOf(key))));
  }

  #tickIsDue(messages: number): boolean {
    this.#untickedMessages += messages;
    const nowMs = this.clock.monotonicMs();
    if (this.#untickedMessages < tickEveryMessages && nowMs - this.#tickedAtMs < tickEveryMs) return false;
    this.#untickedMessages = 0;
    this.#tickedAtMs = nowMs;
    return true;
  }

  protected override waitedError(): HoldfastError {
    const { what } = this.options;
    return new HoldfastError(
      "HOLDFAST_SQL_RETRY",
      `${what}: nothing was published in ${patienceDefaultMs} ms, because another transaction holds the key of a message, or the primary is too slow. See pg_locks and pg_prepared_xacts on the topic's home.`,
      { data: { topic: what, waitedMs: patienceDefaultMs } },
    );
  }
}

/** A publish is answered with nothing. */
function answered(end: AppendEnd): AppendEnd<readonly undefined[]> {
  return end.kind === "appended" ? { kind: "appended", answer: [] } : end;
}

function sharesSlot(group: MessageGroup, slots: ReadonlySet<number>): boolean {
  return group.items.some(({ key }) => slots.has(lockSlotOf(key)));
}
