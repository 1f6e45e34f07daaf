/**
 * From a Kysely transaction that a user passes as `in` to the open transaction behind it.
 *
 * It is noted on the connection, and not on the `tx` object: `tx.withSchema()` and `tx.withPlugin()` make new objects
 * over the same connection, and work all the same.
 */
import type { Kysely, Transaction } from "kysely";
import { HoldfastError } from "../../call/index.ts";
import type { AnyTables } from "../database/port.ts";
import type { OpenTransaction, OutboxEntry, OutboxTarget } from "./port.ts";

/** What `in` takes: the `tx` of a write, of whatever tables. */
export type InTransaction = Transaction<AnyTables>;

const noted: unique symbol = Symbol("open transaction");

interface Noting {
  [noted]?: OpenTransaction | undefined;
}

/** For engines: notes on the connection of a transaction what it can do. */
export function noteTransaction(connection: object, open: OpenTransaction): void {
  (connection as Noting)[noted] = open;
}

/**
 * Adds entries to an open transaction.
 *
 * @param knows whether a database belongs to the world in which this runs
 * @throws {HoldfastError} HOLDFAST_TX_ENDED, and HOLDFAST_INPUT_INVALID for what is no transaction of the framework's
 */
export async function appendIn(
  tx: InTransaction,
  target: OutboxTarget,
  entries: readonly OutboxEntry[],
  knows: (database: OpenTransaction["database"]) => boolean,
): Promise<void> {
  const open = await transactionOf(tx, target);
  if (open.ended) throw endedError(target);
  if (!knows(open.database)) {
    throw refused(
      target,
      `it belongs to database "${open.database.name}", which this world does not have: nobody would move on what is published there`,
    );
  }
  open.append(target, entries);
}

async function transactionOf(tx: unknown, target: OutboxTarget): Promise<OpenTransaction> {
  if (!isKysely(tx)) throw refused(target, `it is ${shown(tx)}`);
  if (!tx.isTransaction) {
    throw refused(
      target,
      "it is the `sql` of a read, or a Kysely of your own, and no transaction of a write",
    );
  }
  // Answers at once for ours; a foreign transaction hands out its own connection, and has it back right away.
  const open = await tx.getExecutor().provideConnection(async (connection) => (connection as Noting)[noted]);
  if (!open) throw refused(target, "it is a transaction that the framework did not begin");
  return open;
}

function isKysely(value: unknown): value is Kysely<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { getExecutor?: unknown }).getExecutor === "function" &&
    typeof (value as { isTransaction?: unknown }).isTransaction === "boolean"
  );
}

function shown(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? "an object that is no transaction" : `a ${typeof value}`;
}

function refused({ kind, name }: OutboxTarget, why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `${kind} "${name}": \`in\` should be the \`tx\` that a database's write, together or batch.apply hands out; ${why}. Nothing was published.`,
    { data: { kind, name, field: "in" } },
  );
}

function endedError({ kind, name }: OutboxTarget): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_TX_ENDED",
    `${kind} "${name}": the transaction passed as \`in\` has ended, so nothing can commit with it any more. Await the publish inside the function that got \`tx\`.`,
    { data: { kind, name, field: "in" } },
  );
}
