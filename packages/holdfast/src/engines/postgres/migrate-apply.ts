/**
 * One file on one shard: a transaction together with the row that records it, under a short `lock_timeout`.
 *
 * Whoever waits for a strong lock makes everybody wait behind it. So a file waits briefly, lets go of everything,
 * and tries again after a pause with full jitter: between two tries traffic goes on.
 *
 * @see M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
import { currentCall, type HoldfastError } from "../../call/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import { joinFeedsSql } from "./changes/feed-sql.ts";
import { type Blocker, watchBlockers } from "./migrate-blockers.ts";
import { blockedError, failedError, isLockTrouble } from "./migrate-error.ts";
import type { MigrationFile } from "./migrate-files.ts";
import type { ResolvedMigrate } from "./migrate-options.ts";
import { applyOutside } from "./migrate-outside.ts";
import { recordSql } from "./migrate-record.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { searchPath } from "./search-path.ts";
import type { PgSession } from "./session.ts";

export interface ApplyWork {
  readonly nodes: DatabaseNodes;
  readonly node: string;
  readonly options: ResolvedMigrate;
}

const backoff = { baseMs: 100, capMs: 5_000 } as const;

/** @throws {HoldfastError} HOLDFAST_MIGRATION_FAILED or HOLDFAST_MIGRATION_BLOCKED; then nothing of it was applied */
export async function applyFile(
  session: PgSession,
  { shard, schema }: { readonly shard: number; readonly schema: string },
  file: MigrationFile,
  { nodes, node, options }: ApplyWork,
): Promise<void> {
  const { clock } = nodes;
  const { lockTimeoutMs, lockRetriesMax } = options;
  if (file.outside) {
    const work = { shard, schema, file, statement: file.outside, clock, retriesMax: lockRetriesMax };
    await applyOutside(session, work);
    return;
  }
  let blockers: readonly Blocker[] = [];
  for (let attempt = 1; ; attempt++) {
    const seen = watchBlockers(nodes.primary(node), clock, session.serverPid, lockTimeoutMs / 2);
    try {
      await applyOnce(session, schema, file, lockTimeoutMs);
      await seen();
      return;
    } catch (error) {
      const now = await seen();
      if (now.length > 0) blockers = now;
      if (!isLockTrouble(error)) throw failedError(shard, file, error as HoldfastError);
      await session.send({ text: "rollback" });
      if (attempt > lockRetriesMax)
        throw blockedError(shard, file, { attempts: attempt, lockTimeoutMs, blockers }, error);
      options.onBlocked?.({ node, shard, file: file.name, attempt, blockers });
      await clock.sleep(fullJitterMs(attempt, clock.random.next(), backoff), currentCall()?.signal);
    }
  }
}

async function applyOnce(
  session: PgSession,
  schema: string,
  file: MigrationFile,
  lockTimeoutMs: number,
): Promise<void> {
  const begun = session.push({ text: "begin read write" });
  // For this file only, so that one that sets another path does not mislead the next.
  const placed = session.push({
    text: `set local search_path to ${searchPath(schema)}; set local lock_timeout to ${lockTimeoutMs}`,
  });
  await session.send({ text: file.sql });
  await placed;
  await begun;
  // A table of a change feed is in it from its first row on that others can see.
  const joined = session.push({ text: joinFeedsSql, values: [schema] });
  const recorded = session.push(recordSql(schema, file));
  const committed = session.push({ text: "commit" });
  await joined;
  await recorded;
  await committed;
}
