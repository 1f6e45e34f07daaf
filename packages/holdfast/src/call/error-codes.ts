/**
 * Every error code of Holdfast, in one table: the outcome it usually stands for, whether trying again can
 * ever help, and what it means. `docs/errors.md` lists the same codes; a test keeps the two equal.
 *
 * Codes are stable: programs match on them. A code is never reused for another meaning.
 */
import type { Outcome } from "./outcome.ts";

export interface ErrorCodeFacts {
  readonly outcome: Outcome;
  /** The same call would fail the same way: never retried. */
  readonly permanent: boolean;
  readonly summary: string;
}

export const errorCodes = {
  HOLDFAST_UNBOUND: {
    outcome: "not-applied",
    permanent: true,
    summary: "A handle was used outside a running system.",
  },
  HOLDFAST_OPTIONS_INVALID: {
    outcome: "not-applied",
    permanent: true,
    summary: "Options of a declaration are wrong; all problems are listed.",
  },
  HOLDFAST_SYSTEM_INVALID: {
    outcome: "not-applied",
    permanent: true,
    summary: "The system cannot start as declared; all problems are listed.",
  },
  HOLDFAST_REQUIREMENTS_INVALID: {
    outcome: "not-applied",
    permanent: true,
    summary: "Requirements of a system are wrong; all problems are listed, each with its field.",
  },
  HOLDFAST_INPUT_INVALID: {
    outcome: "not-applied",
    permanent: true,
    summary: "A value given by a caller does not fit; the field is named.",
  },
  HOLDFAST_SCHEMA_INCOMPATIBLE: {
    outcome: "not-applied",
    permanent: true,
    summary: "Versions of a message are not compatible as declared; every place is listed with what to do.",
  },
  HOLDFAST_SCHEMA_MISMATCH: {
    outcome: "not-applied",
    permanent: true,
    summary: "A stored message does not fit the schema that it is to be read with.",
  },
  HOLDFAST_DEADLINE: { outcome: "unknown", permanent: true, summary: "The call's deadline passed." },
  HOLDFAST_ABORTED: { outcome: "unknown", permanent: true, summary: "The caller gave the call up." },
  HOLDFAST_OVERLOADED: {
    outcome: "not-applied",
    permanent: false,
    summary: "A bounded queue or pool is full; the call was refused before it began.",
  },
  HOLDFAST_UNAVAILABLE: {
    outcome: "not-applied",
    permanent: false,
    summary: "What the call needs cannot be reached; nothing was sent.",
  },
  HOLDFAST_CONNECTION_LOST: {
    outcome: "unknown",
    permanent: false,
    summary: "The connection broke after the call was sent.",
  },
  HOLDFAST_HANDLER_FAILED: {
    outcome: "unknown",
    permanent: false,
    summary: "The handler of a service threw; it may have applied something before.",
  },
  HOLDFAST_ATTEMPT_TIMEOUT: {
    outcome: "unknown",
    permanent: false,
    summary: "One attempt took longer than an attempt may; the call itself still has time.",
  },
  HOLDFAST_RETRIES_EXHAUSTED: {
    outcome: "unknown",
    permanent: true,
    summary: "Trying again would have been safe, but attempts, budget or time had run out.",
  },
  HOLDFAST_CLOCK_ROLLBACK: {
    outcome: "not-applied",
    permanent: false,
    summary: "The wall clock went back further than a Snowflake generator may wait for.",
  },
  HOLDFAST_CLOCK_SKEW: {
    outcome: "not-applied",
    permanent: true,
    summary: "A peer's timestamp is too far ahead of the local clock; it was not taken over.",
  },
  HOLDFAST_USAGE: {
    outcome: "not-applied",
    permanent: true,
    summary: "The command was called with an unknown verb, flag or value.",
  },
  HOLDFAST_ALREADY_RUNNING: {
    outcome: "not-applied",
    permanent: true,
    summary: "A supervisor of this project is running already; its process id is named.",
  },
  HOLDFAST_NOT_RUNNING: {
    outcome: "not-applied",
    permanent: true,
    summary: "No supervisor of this project is running.",
  },
  HOLDFAST_PORT_IN_USE: {
    outcome: "not-applied",
    permanent: true,
    summary: "Another program listens on the port that the gateway should have.",
  },
  HOLDFAST_HOSTS_CONFLICT: {
    outcome: "not-applied",
    permanent: true,
    summary:
      "Two hosts of a node both claim to be what only one can be; nobody is believed until that is put right.",
  },
  HOLDFAST_POOLER: {
    outcome: "not-applied",
    permanent: true,
    summary: "A pooler stands between this process and Postgres that does not keep a server for each client.",
  },
  HOLDFAST_SQL_PERMISSION: {
    outcome: "not-applied",
    permanent: true,
    summary: "The database role of this program may not do what the statement does; nothing was committed.",
  },
  HOLDFAST_ROLE_TAKEN: {
    outcome: "not-applied",
    permanent: true,
    summary: "A database role of that name exists and was not made by Holdfast; it was left as it is.",
  },
  HOLDFAST_CONNECTION_BUDGET: {
    outcome: "not-applied",
    permanent: true,
    summary: "The processes of the system need more Postgres connections than the servers allow.",
  },
  HOLDFAST_START_FAILED: {
    outcome: "not-applied",
    permanent: true,
    summary: "The system could not be started; everything that had been started was stopped again.",
  },
  HOLDFAST_POSTGRES_BINARIES: {
    outcome: "not-applied",
    permanent: true,
    summary: "The embedded Postgres binaries are missing, cannot run here or cannot be made reachable.",
  },
  HOLDFAST_POSTGRES_OS_USER: {
    outcome: "not-applied",
    permanent: true,
    summary: "Postgres refuses to run as root, and no ordinary operating-system user could be found or made.",
  },
  HOLDFAST_POSTGRES_START: {
    outcome: "not-applied",
    permanent: true,
    summary: "An embedded Postgres server did not start; its last log lines are in the message.",
  },
  HOLDFAST_POSTGRES_PORT_TAKEN: {
    outcome: "not-applied",
    permanent: true,
    summary: "An embedded Postgres server's port is used by another program.",
  },
  HOLDFAST_POSTGRES_SHARED_MEMORY: {
    outcome: "not-applied",
    permanent: true,
    summary: "The operating system gave an embedded Postgres server no shared memory or semaphores.",
  },
  HOLDFAST_POSTGRES_VERSION: {
    outcome: "not-applied",
    permanent: true,
    summary: "A data directory was made by another major version of Postgres.",
  },
  HOLDFAST_POSTGRES_IN_USE: {
    outcome: "not-applied",
    permanent: true,
    summary: "Another living process runs the embedded Postgres servers of this directory.",
  },
  HOLDFAST_DISK_FULL: {
    outcome: "not-applied",
    permanent: true,
    summary: "No space is left on the disk that a server's data lies on.",
  },
  HOLDFAST_BACKUP_NOT_FOUND: {
    outcome: "not-applied",
    permanent: true,
    summary: "There is no backup of that name or at that place, or none from before the wanted time.",
  },
  HOLDFAST_BACKUP_DAMAGED: {
    outcome: "not-applied",
    permanent: true,
    summary: "Files of a backup are missing or differ from their checksums; each is named.",
  },
  HOLDFAST_RESTORE_REFUSED: {
    outcome: "not-applied",
    permanent: true,
    summary:
      "A backup does not fit what it should be restored to; every reason is listed, and nothing was touched.",
  },
  HOLDFAST_WAL_MISSING: {
    outcome: "not-applied",
    permanent: true,
    summary: "A part of the log that a backup or a restore needs is not there; its range is named.",
  },
  HOLDFAST_SQL_CONFLICT: {
    outcome: "not-applied",
    permanent: true,
    summary:
      "A constraint refused the statement (unique, foreign key, check …); `data.sqlstate` and `data.constraint` say which.",
  },
  HOLDFAST_SQL_ERROR: {
    outcome: "not-applied",
    permanent: true,
    summary: "Postgres refused a statement; `data.sqlstate` says why, and its transaction was rolled back.",
  },
  HOLDFAST_SQL_RETRY: {
    outcome: "not-applied",
    permanent: false,
    summary:
      "Postgres gave a transaction up for another (serialization failure, deadlock, recovery conflict).",
  },
  HOLDFAST_TX_ENDED: {
    outcome: "not-applied",
    permanent: true,
    summary: "The `sql` or `tx` of a read or write was used after that read or write had ended.",
  },
  HOLDFAST_TX_OPEN: {
    outcome: "not-applied",
    permanent: true,
    summary: "Something was published inside an open transaction without being told to commit with it.",
  },
  HOLDFAST_TX_CONTROL: {
    outcome: "not-applied",
    permanent: true,
    summary: "A statement tried to begin or end a transaction inside one that the framework holds.",
  },
  HOLDFAST_OUTCOME_UNKNOWN: {
    outcome: "unknown",
    permanent: false,
    summary: "A COMMIT had no answer and could not be settled in time; it may have been applied.",
  },
  HOLDFAST_CROSS_SHARD_REFUSED: {
    outcome: "not-applied",
    permanent: true,
    summary:
      "A transaction across nodes cannot be had safely: asynchronous replication, or a server's settings.",
  },
  HOLDFAST_IN_DOUBT: {
    outcome: "unknown",
    permanent: false,
    summary: "A prepared transaction is older than it may be: it holds locks until somebody finishes it.",
  },
  HOLDFAST_WRITE_LOST: {
    outcome: "not-applied",
    permanent: true,
    summary: "A failover lost what this session had written, read or heard of; this call was not begun.",
  },
  HOLDFAST_UNROUTABLE: {
    outcome: "not-applied",
    permanent: true,
    summary:
      "A query does not say which shard it belongs to; the table, the column and the reason are named.",
  },
  HOLDFAST_KEY_UNASSIGNED: {
    outcome: "not-applied",
    permanent: true,
    summary: "A key is not in the directory of a database, so that it has no shard.",
  },
  HOLDFAST_KEY_ASSIGNED: {
    outcome: "not-applied",
    permanent: true,
    summary: "A key was to be assigned to a shard, and is on another one for ever.",
  },
  HOLDFAST_LOOKUP_TAKEN: {
    outcome: "not-applied",
    permanent: true,
    summary: "Another key has the value of a unique lookup; nothing was written.",
  },
  HOLDFAST_LOOKUP_BUSY: {
    outcome: "not-applied",
    permanent: false,
    summary: "Another write is about to take or give up the same value of a lookup, and did not end in time.",
  },
  HOLDFAST_LOOKUP_CONTESTED: {
    outcome: "applied",
    permanent: true,
    summary:
      "A failover lost the record that values were taken, and two keys have each of them now; `data.contested` names them.",
  },
  HOLDFAST_REFERENCE_TOO_LARGE: {
    outcome: "not-applied",
    permanent: true,
    summary: "Reference tables would have more rows or bytes than declared; nothing was written.",
  },
  HOLDFAST_VERSION_CONFLICT: {
    outcome: "not-applied",
    permanent: true,
    summary: "A change was made for a version that is no longer the current one; `data.current` has that.",
  },
  HOLDFAST_SHARD_MOVED: {
    outcome: "not-applied",
    permanent: false,
    summary: "The shard is being handed over to another node, or has left this one; nothing was applied.",
  },
  HOLDFAST_RESHARD_REFUSED: {
    outcome: "not-applied",
    permanent: true,
    summary: "A shard cannot be moved, or a move not be taken back; every reason is listed.",
  },
  HOLDFAST_RESHARD_FAILED: {
    outcome: "not-applied",
    permanent: false,
    summary: "A move of a shard stopped; it can be gone on with or given up, and data.step says where it is.",
  },
  HOLDFAST_CHANGES_REFUSED: {
    outcome: "not-applied",
    permanent: false,
    summary: "A change feed cannot be read from a server; every reason is listed, and it is looked at again.",
  },
  HOLDFAST_CHANGES_GAP: {
    outcome: "not-applied",
    permanent: false,
    summary: "Changes of a table cannot be had any more; every row that is there is told anew.",
  },
  HOLDFAST_IDEMPOTENCY_MISMATCH: {
    outcome: "not-applied",
    permanent: true,
    summary: "An idempotency key came again with a different request.",
  },
  HOLDFAST_IDEMPOTENCY_RESULT: {
    outcome: "not-applied",
    permanent: true,
    summary: "The result of a write with an idempotency key cannot be kept: not JSON, or too large.",
  },
  HOLDFAST_MIGRATION_INVALID: {
    outcome: "not-applied",
    permanent: true,
    summary: "The migrations folder is wrong (names, gaps, duplicates); all problems are listed.",
  },
  HOLDFAST_MIGRATION_CHANGED: {
    outcome: "not-applied",
    permanent: true,
    summary: "A migration file that was applied before has changed or is gone.",
  },
  HOLDFAST_MIGRATION_FAILED: {
    outcome: "not-applied",
    permanent: true,
    summary: "The SQL of a migration failed on a shard; nothing of that file was applied there.",
  },
  HOLDFAST_MIGRATION_BLOCKED: {
    outcome: "not-applied",
    permanent: false,
    summary: "A migration did not get its locks, however often it tried; who holds them is named.",
  },
  HOLDFAST_MIGRATION_INCOMPLETE: {
    outcome: "unknown",
    permanent: false,
    summary: "Some nodes were migrated and others were not; each is named with its reason.",
  },
  HOLDFAST_INSTALL_NEWER: {
    outcome: "not-applied",
    permanent: true,
    summary: "A newer library has changed the framework's tables so that this one must not run beside it.",
  },
  HOLDFAST_FENCED: {
    outcome: "not-applied",
    permanent: true,
    summary: "The holder's claim has passed to another: its epoch or fencing token is too old.",
  },
  HOLDFAST_DEAD_LETTER: {
    outcome: "unknown",
    permanent: true,
    summary: "A message failed however often it was tried, and was put aside so that the others go on.",
  },
  HOLDFAST_HISTORY_UNREADABLE: {
    outcome: "not-applied",
    permanent: true,
    summary: "A recorded history cannot be read or makes no sense; the lines that are wrong are named.",
  },
  HOLDFAST_FAULT_REFUSED: {
    outcome: "not-applied",
    permanent: true,
    summary: "A fault cannot be injected on this machine or into this target; every reason is named.",
  },
  HOLDFAST_FAULT_NO_EFFECT: {
    outcome: "not-applied",
    permanent: false,
    summary: "A fault was injected, its probe saw no effect, and it was undone: it does not count.",
  },
  HOLDFAST_FAULT_NOT_UNDONE: {
    outcome: "unknown",
    permanent: false,
    summary: "A fault was undone, but its probe still sees it.",
  },
  HOLDFAST_QUEUE_FULL: {
    outcome: "not-applied",
    permanent: false,
    summary: "A queue has as many jobs as it may hold, and no room came up in time.",
  },
  HOLDFAST_JOB_LOST: {
    outcome: "unknown",
    permanent: false,
    summary: "The worker that held a job stopped renewing its lease; the attempt counts as failed.",
  },
  HOLDFAST_JOB_DEAD: {
    outcome: "unknown",
    permanent: true,
    summary: "A job whose result was asked for ended as a dead letter; `data.failure` says why.",
  },
  HOLDFAST_JOB_CANCELLED: {
    outcome: "unknown",
    permanent: true,
    summary: "A job whose result was asked for was cancelled; an attempt may have been under way.",
  },
  HOLDFAST_HANDLERS_STUCK: {
    outcome: "unknown",
    permanent: false,
    summary: "Too many handlers of a worker did not return when their time was up; the process ends.",
  },
  HOLDFAST_JOB_UNKNOWN: {
    outcome: "not-applied",
    permanent: true,
    summary: "A queue has no job with this id, or has it no more.",
  },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof errorCodes;
