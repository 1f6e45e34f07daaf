/**
 * What a migration says when it did not get through: which file, on which shard, why, and what is left as it was.
 */
import { HoldfastError } from "../../call/index.ts";
import { type Blocker, blockerText } from "./migrate-blockers.ts";
import type { MigrationFile } from "./migrate-files.ts";
import { isServerError, sqlStateOf } from "./session-error.ts";

export function changedError(shard: number, name: string, what: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_MIGRATION_CHANGED",
    `${name} was applied to shard ${shard} before, and now it ${what}. Put it back as it was, and write the change as a further file.`,
    { data: { shard, file: name } },
  );
}

export function failedError(shard: number, file: MigrationFile, error: HoldfastError): HoldfastError {
  const server = isServerError(error.cause) ? error.cause : undefined;
  if (!server || error.code === "HOLDFAST_UNAVAILABLE") return goneError(shard, file, error);
  const at = server.position === undefined ? undefined : lineAt(file.sql, Number(server.position));
  const where = at ? `, line ${at.line}: ${at.text.trim()}` : "";
  const left = file.outside
    ? "It runs outside a transaction; what it may have left half made is taken away when it runs again."
    : "Nothing of this file was applied to this shard.";
  return new HoldfastError(
    "HOLDFAST_MIGRATION_FAILED",
    `${file.name} failed on shard ${shard}${where}\n${server.message}\n${left} Correct it and migrate again.`,
    {
      data: {
        shard,
        file: file.name,
        sqlstate: server.code,
        ...(at ? { position: Number(server.position), line: at.line } : {}),
      },
      cause: error,
    },
  );
}

/** The server went away, or the caller gave up: COMMIT may have been under way. */
function goneError(shard: number, file: MigrationFile, error: HoldfastError): HoldfastError {
  return new HoldfastError(
    error.code === "HOLDFAST_CONNECTION_LOST" ? "HOLDFAST_UNAVAILABLE" : error.code,
    `${file.name} was under way on shard ${shard} when this happened: ${error.message}\nThe file was applied there as a whole or not at all. Migrate again: that finds out, and goes on.`,
    { outcome: "unknown", data: { ...error.data, shard, file: file.name }, cause: error },
  );
}

/** A lock was not had in time, or somebody's deadlock was resolved at our cost: it may pass. */
export function isLockTrouble(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === "55P03" || state === "40P01" || state === "40001";
}

export function blockedError(
  shard: number,
  file: MigrationFile,
  tries: { readonly attempts: number; readonly lockTimeoutMs: number; readonly blockers: readonly Blocker[] },
  cause: unknown,
): HoldfastError {
  const { attempts, lockTimeoutMs, blockers } = tries;
  const who =
    blockers.length > 0
      ? blockers.map((blocker) => `\n  - ${blockerText(blocker)}`).join("")
      : " nobody who was still there when it was asked";
  return new HoldfastError(
    "HOLDFAST_MIGRATION_BLOCKED",
    `${file.name} did not get its locks on shard ${shard} in ${attempts} tries of ${lockTimeoutMs} ms. Blocked by:${who}\nNothing of this file was applied to this shard. End or wait for what blocks it and migrate again; \`select pg_terminate_backend(pid)\` ends a process.`,
    { data: { shard, file: file.name, attempts, lockTimeoutMs, blockers }, cause },
  );
}

export interface NodeEnd {
  readonly node: string;
  /** Files applied now, over its shards. */
  readonly applied: number;
  readonly error: HoldfastError | undefined;
}

/** What to throw when nodes ended differently: the one error as it is when there is only one node. */
export function nodesError(ends: readonly NodeEnd[]): HoldfastError | undefined {
  const failed = ends.filter(({ error }) => error);
  const [first] = failed;
  if (!first?.error) return undefined;
  // What is wrong with the files is the same everywhere, and is said best by itself.
  const ours = failed.find(({ error }) => error?.permanent)?.error;
  if (ends.length === 1 || ours) return ours ?? first.error;
  const done = ends.filter(({ error }) => !error);
  const lines = [
    ...failed.map(({ node, error }) => `\n  - ${node}: ${error?.message}`),
    ...done.map(
      ({ node, applied }) => `\n  - ${node}: done, ${applied} ${applied === 1 ? "file" : "files"} applied`,
    ),
  ];
  return new HoldfastError(
    "HOLDFAST_MIGRATION_INCOMPLETE",
    `${failed.length} of ${ends.length} nodes were not migrated to the end:${lines.join("")}\nMigrate again when they are back: what is done stays done, and the rest is gone on with.`,
    {
      data: {
        failed: failed.map(({ node, applied, error }) => ({ node, applied, code: error?.code })),
        done: done.map(({ node, applied }) => ({ node, applied })),
      },
      cause: first.error,
    },
  );
}

/** @param position characters from 1, as Postgres counts them */
function lineAt(sql: string, position: number): { line: number; text: string } {
  const before = [...sql].slice(0, position - 1).join("");
  const line = before.split("\n").length;
  return { line, text: sql.split("\n")[line - 1] ?? "" };
}
