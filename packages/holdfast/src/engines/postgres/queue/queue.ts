/**
 * `queue` on Postgres: on the first node of the queue's home database.
 *
 * Two kinds of store behind one port, because what they have to do differs. Jobs that go in the order in which they
 * came need no row that is changed (`ring-queue.ts`); jobs that are chosen by group, priority or limit do
 * (`selective/`). Which one a queue has follows from its declaration, and is fixed when it is first used.
 */
import type { Clock } from "../../../clock/index.ts";
import { isSelective, type Queue, type ResolvedQueueOptions } from "../../../parts/queue/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { openQueueRow, openQueueStore } from "./queue-tables.ts";
import { type PostgresQueue, ringQueue } from "./ring-queue.ts";
import { selectiveQueue } from "./selective/selective-queue.ts";

export type { PostgresQueue } from "./ring-queue.ts";

/** @param home nodes of the queue's home database; connections are made when first needed */
export function postgresQueue(declaration: Queue<never>, home: DatabaseNodes, clock: Clock): PostgresQueue {
  return isSelective(declaration.options)
    ? selectiveQueue(declaration, home, clock)
    : ringQueue(declaration, home, clock);
}

/** Makes the queue's tables, for parts whose roles may make none. Idempotent. */
export async function makeQueue(
  session: PgSession,
  name: string,
  options: Pick<ResolvedQueueOptions, "group" | "priority" | "concurrencyMax" | "rate">,
): Promise<void> {
  if (isSelective(options)) await openQueueRow(session, name, true, () => "");
  else await openQueueStore(session, name);
}
