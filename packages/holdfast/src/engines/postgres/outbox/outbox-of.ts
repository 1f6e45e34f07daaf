/** The outbox of a database, for its writes: what each attempt gathers, and who is told once something has committed. */
import type { Clock } from "../../../clock/index.ts";
import type { Part } from "../../../parts/part.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { wakeListeners } from "../topic-wakeup.ts";
import { TransactionOutbox } from "./transaction-outbox.ts";

export interface DatabaseOutbox {
  /** For one attempt of a transaction on the node. */
  readonly open: (node: string) => TransactionOutbox;
  /** Something was published there, and has committed: relays are told. */
  readonly published: (node: string) => void;
}

/** Number by which wake-ups of the outbox go, among those of topics. There is no topic 0. */
export const outboxWakeupId = 0;

/** A snapshot is recorded for relays that are behind after this long or so many messages, whichever is first. */
const tickEveryMs = 1_000;
const tickEveryMessages = 1_000;

export function outboxOf(database: Part, nodes: DatabaseNodes, clock: Clock): DatabaseOutbox {
  const ticks = new Map<string, { atMs: number; messages: number }>();
  const tickIsDue = (node: string, messages: number): boolean => {
    const since = ticks.get(node) ?? { atMs: Number.NEGATIVE_INFINITY, messages: 0 };
    since.messages += messages;
    const nowMs = clock.monotonicMs();
    const due = since.messages >= tickEveryMessages || nowMs - since.atMs >= tickEveryMs;
    ticks.set(node, due ? { atMs: nowMs, messages: 0 } : since);
    return due;
  };
  return {
    open: (node) =>
      new TransactionOutbox({ database, clock, tickIsDue: (messages) => tickIsDue(node, messages) }),
    published: (node) => wakeListeners(nodes, node, outboxWakeupId),
  };
}
