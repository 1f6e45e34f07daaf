/**
 * Emptying a segment of a ring: TRUNCATE, which takes no time and leaves nothing for vacuum, once nobody needs what is
 * in it.
 *
 * Whether that is so is asked twice: without a lock, because it mostly is not yet, and again under an exclusive one,
 * which keeps writers out. The lock is waited for only a moment, because whoever comes later queues behind it; where it
 * is not free, the segment is left for the next round.
 */
import type { PgSession, Statement } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

/** How long the exclusive lock is waited for, in milliseconds: writers wait behind it. */
const lockTimeoutMs = 50;

export interface RingSegment {
  /** SQL of a condition that takes the right to turn this ring, until the transaction ends; false: another has it. */
  readonly mine: string;
  /** Answers one row, `passed`: whether nobody needs the segment any more. */
  readonly passed: Statement;
  /** Names of its tables. */
  readonly tables: readonly string[];
  /** What goes with it, in the same transaction. */
  readonly alongside: readonly Statement[];
}

/** @returns whether it was emptied */
export async function emptySegment(session: PgSession, segment: RingSegment): Promise<boolean> {
  if (!(await isTrue(session, segment.passed, "passed"))) return false;
  await session.send({ text: `begin read write; set local lock_timeout = '${lockTimeoutMs}ms'` });
  try {
    if (!(await isTrue(session, { text: `select ${segment.mine} as mine` }, "mine")))
      return await rollback(session);
    const tables = segment.tables.join(", ");
    await session.send({ text: `lock table ${tables} in access exclusive mode` });
    if (!(await isTrue(session, segment.passed, "passed"))) return await rollback(session);
    await session.send({ text: `truncate ${tables}` });
    for (const statement of segment.alongside) await session.send(statement);
    await session.send({ text: "commit" });
    return true;
  } catch (error) {
    if (sqlStateOf(error) === undefined) throw error;
    await rollback(session);
    // 55P03: somebody writes to it or reads from it, so it is left for the next round.
    if (sqlStateOf(error) === "55P03") return false;
    throw error;
  }
}

async function isTrue(session: PgSession, statement: Statement, column: string): Promise<boolean> {
  const { rows } = await session.send<Record<string, boolean>>(statement);
  return rows[0]?.[column] === true;
}

async function rollback(session: PgSession): Promise<false> {
  await session.send({ text: "rollback" });
  return false;
}
