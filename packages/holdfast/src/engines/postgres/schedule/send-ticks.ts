/**
 * Sends what is due to one destination: the schedules' rows are moved and the messages appended in one transaction at
 * home, so each tick is sent once, by whoever commits first.
 *
 * | what went wrong                        | then                                                            |
 * |----------------------------------------|-----------------------------------------------------------------|
 * | the process dies anywhere              | nothing, or all of it; another process finds the rest due       |
 * | COMMIT without an answer               | the rows are read again, and say what happened                  |
 * | two processes at once                  | the second finds the rows moved or locked, and leaves them      |
 * | the home fails over, losing the newest | rows and messages are lost together; the ticks are due again    |
 */
import type { OutboxEntry } from "../../../parts/outbox/index.ts";
import type { UseSession } from "../log-session.ts";
import { flushed } from "../log-transaction.ts";
import type { OutboxDestination } from "../outbox/index.ts";
import type { PgSession } from "../session.ts";
import { moveStatement, type ScheduleMove } from "./schedule-sql.ts";

/** How long the transaction waits for the keys of publishers, in milliseconds. They are short. */
const lockTimeoutMs = 2_000;

/** Of one schedule: its ticks' messages, in order, and its row as it is once they are sent. */
export interface DueSchedule {
  readonly move: ScheduleMove;
  readonly entries: readonly (OutboxEntry & { readonly id: string })[];
}

/** @returns names of the schedules that this call has moved; the others were somebody else's */
export async function sendTicks(
  use: UseSession,
  destination: OutboxDestination,
  due: readonly DueSchedule[],
): Promise<ReadonlySet<string>> {
  await destination.open();
  const moved = await use(async (session) => {
    session.push({ text: `begin read write; set local lock_timeout = ${lockTimeoutMs}; ${flushed}` });
    try {
      const { rows } = await session.send<{ name: string }>(moveStatement(due.map(({ move }) => move)));
      const names = new Set(rows.map(({ name }) => name));
      if (names.size === 0) return await rollback(session, names);
      const messages = due.flatMap(({ move, entries }) => (names.has(move.name) ? entries : []));
      if (messages.length > 0) await destination.append(session, messages.map(withOptions));
      await session.send({ text: "commit" });
      return names;
    } catch (error) {
      session.push({ text: "rollback" });
      session.taint();
      throw error;
    }
  });
  if (moved.size > 0) destination.appended();
  return moved;
}

function withOptions(entry: DueSchedule["entries"][number]) {
  return { ...entry, options: entry.options };
}

async function rollback<T>(session: PgSession, answer: T): Promise<T> {
  await session.send({ text: "rollback" });
  return answer;
}
