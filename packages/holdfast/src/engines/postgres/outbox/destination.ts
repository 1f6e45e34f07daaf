/**
 * What a destination of the outbox does: a topic, a queue, whatever has its home on the first node of a database.
 *
 * To plug one in:
 *
 * 1. Its handle takes `{ in: tx }`. With it, it hands what it was given to `appendIn` of `parts/outbox`, as a list of
 *    `OutboxEntry` (a key, JSON, options of its own as JSON); without, it calls `refuseInside` first.
 * 2. Its engine answers an `OutboxDestination`, whose `append` sends the statements that add the messages. They run in
 *    a READ WRITE transaction that the relay has begun on the home primary and commits, along with its cursor: so they
 *    must neither begin nor end one, and need not recognise what comes twice.
 * 3. `openWorld` hands it to `startOutboxRelay`, and the supervisor's `relaySystem` does.
 */
import type { OutboxTarget } from "../../../parts/outbox/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";

/** What was published, as its destination gets it. */
export interface OutboxMessage {
  readonly id: string;
  readonly key: string;
  readonly json: string;
  /** JSON, as `OutboxEntry.options` had it. */
  readonly options: string | undefined;
  readonly traceparent: string | undefined;
  /** What the publisher's session knew, and where the commit that published it is. */
  readonly session: string | undefined;
}

export interface OutboxDestination extends OutboxTarget {
  /** Its home is the first node of these. */
  readonly home: DatabaseNodes;
  /** Makes ready what `append` needs, in transactions of its own. Called before each batch: cheap when it is ready. */
  open(): Promise<void>;
  /**
   * Sends the statements that add the messages, in this order, inside an open transaction; whoever called commits.
   *
   * @returns when they are answered; a failure dooms the transaction
   */
  append(session: PgSession, messages: readonly OutboxMessage[]): Promise<unknown>;
  /** Told after the commit. */
  appended(): void;
}
