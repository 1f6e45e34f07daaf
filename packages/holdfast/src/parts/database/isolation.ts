/**
 * What transactions on one shard see of each other while they run.
 *
 * - `read-committed` (the default): each statement sees what was committed when it began.
 * - `repeatable-read`: all statements see one snapshot. A write that would change what another has changed since is
 *   run again. Postgres's snapshot isolation: two writes that read the same and change different rows both commit.
 * - `serializable`: as if one after the other. A write that would not fit any order is run again. Writes only:
 *   standbys cannot run it, and it holds among writes that ask for it.
 *
 * Shards are apart: no level says anything about two of them.
 */
export type Isolation = (typeof isolations)[number];

export const isolations = ["read-committed", "repeatable-read", "serializable"] as const;

export type ReadIsolation = Exclude<Isolation, "serializable">;

/** @returns what is wrong with the isolation of a write, if anything */
export function writeIsolationProblem(isolation: unknown): string | undefined {
  if (isolation === undefined || isolations.includes(isolation as Isolation)) return undefined;
  return `isolation should be one of ${isolations.join(", ")}, got ${shown(isolation)}`;
}

/** @returns what is wrong with the isolation of a read, if anything */
export function readIsolationProblem(isolation: unknown): string | undefined {
  if (isolation === "serializable")
    return 'isolation "serializable" is for writes: standbys cannot run it; use "repeatable-read" for one snapshot, or a write';
  if (isolation === undefined || isolations.includes(isolation as Isolation)) return undefined;
  return `isolation should be one of read-committed, repeatable-read, got ${shown(isolation)}`;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}
