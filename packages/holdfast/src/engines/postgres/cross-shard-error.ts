/** What a transaction across shards says when it cannot be had, or was not. */
import { HoldfastError } from "../../call/index.ts";
import { gidBytesMax } from "./cross-shard-gid.ts";

export type RefusalReason =
  | "asynchronous"
  | "waits-for-nobody"
  | "commits-do-not-wait"
  | "no-prepared-transactions"
  | "node-name";

function refused(reason: RefusalReason, where: string, why: string): HoldfastError {
  return new HoldfastError("HOLDFAST_CROSS_SHARD_REFUSED", `${where}: ${why}`, { data: { reason, where } });
}

export function asynchronousError(database: string, nodes: readonly string[]): HoldfastError {
  return refused(
    "asynchronous",
    `database "${database}"`,
    `the keys are on several nodes (${nodes.join(", ")}), and it is replicated asynchronously: a failover could lose one part of a transaction and keep the other. Declare replication: { mode: "synchronous" }, or give what must change together keys of one shard.`,
  );
}

export function waitsForNobodyError(where: string): HoldfastError {
  return refused(
    "waits-for-nobody",
    where,
    "the database is declared synchronous, and this server waits for nobody: synchronous_standby_names is empty. A failover could lose one part of a transaction and keep the other. Set it, or declare the replication as it is.",
  );
}

export function doesNotWaitError(where: string, setting: string): HoldfastError {
  return refused(
    "commits-do-not-wait",
    where,
    `synchronous_commit is "${setting}" for this role and database, so that its commits wait for no standby. Set it to on: ALTER DATABASE … SET synchronous_commit = on.`,
  );
}

export function noSlotsError(where: string): HoldfastError {
  return refused(
    "no-prepared-transactions",
    where,
    "max_prepared_transactions is 0, so this server cannot prepare a part of a transaction across nodes. Set it to the most such transactions at a time (64, say) on the standbys first, then on the primary, and restart them.",
  );
}

export function nodeNameError(node: string): HoldfastError {
  return refused(
    "node-name",
    `node "${node.slice(0, 60)}"`,
    `its name is too long to be part of a prepared transaction's name, which has ${gidBytesMax} bytes at most. Give it a shorter one, of letters, digits and dashes.`,
  );
}

/** Fewer standbys than declared: for now a part could be lost. */
export function degradedError(where: string, quorum: number, declared: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: its commits wait for ${quorum} of the ${declared} replicas that were declared, so a transaction across nodes is not safe now. Nothing was begun; try again when the replicas are back.`,
    { data: { where, quorum, declared } },
  );
}

export function slotsFullError(where: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_OVERLOADED",
    `${where}: as many transactions are prepared as max_prepared_transactions allows. Nothing was committed. Raise it, or send fewer transactions across nodes at a time; \`holdfast status\` shows those that are left over.`,
    { data: { where }, cause },
  );
}

/** A part could not be prepared; nobody has committed anything, nor will. */
export function notPreparedError(where: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_CONNECTION_LOST",
    `${where}: its part of the transaction could not be prepared for certain, so all parts are rolled back. It can be run again.`,
    { outcome: "not-applied", cause },
  );
}
