/**
 * The acts of a promotion: choosing a standby, moving it into the lost primary's place, and ending its recovery.
 *
 * The standby is moved rather than its clients: it takes over the directory and the port of the old primary, so that
 * every pool, every replica and every record goes on where it was. All processes of the old primary are dead before,
 * and its data is set aside, never erased.
 */
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import { formatLsn, historyName, parseHistory, parseLsn } from "../timeline.ts";
import { exists, syncDirOf } from "./files.ts";
import { type StandbyAnswer, stepPromotion } from "./promotion-step.ts";
import { withClient } from "./readiness.ts";
import { renewSlot } from "./replica-slots.ts";

/** How long a standby may take to say how much of the log it has, in milliseconds. */
const standbyMsMax = 3_000;
const promoteS = 120;

/**
 * Asks the standbys which of them is to take over.
 *
 * @returns its index
 * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when too few of them answer
 */
export async function chooseStandby(
  node: string,
  standbys: readonly PostgresEndpoint[],
  quorum: number,
  clock: Clock,
): Promise<number> {
  const answers = await Promise.all(standbys.map((standby, index) => askStandby(standby, index, clock)));
  const verdict = stepPromotion(answers, quorum);
  if (verdict.kind === "promote") return verdict.index;
  const { reachable, needed } = verdict;
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `Node ${node}: ${reachable} of its replicas can be asked, and ${needed} have to be to know that no acknowledged commit is lost. Bring back a replica, or the primary's data.`,
    { data: { node, reachable, needed } },
  );
}

/** How much of the log a standby has, received or replayed. */
async function askStandby(endpoint: PostgresEndpoint, index: number, clock: Clock): Promise<StandbyAnswer> {
  const ask = async (client: pg.Client): Promise<StandbyAnswer> => {
    const { rows } = await client.query<{ lsn: string | null }>(
      `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn
         where pg_is_in_recovery()`,
    );
    const lsn = rows[0]?.lsn;
    return { index, lsn: lsn ? parseLsn(lsn) : undefined };
  };
  return withClient(endpoint, clock, ask, standbyMsMax).catch(() => ({ index, lsn: undefined }));
}

/** Sets the old primary's data aside and puts the standby's in its place. May be cut short, and run again. */
export async function moveIntoPlace(
  primaryDir: string,
  replicaDir: string,
  setAside: string | null,
): Promise<void> {
  // Not there: it lies in the primary's place already.
  if (!(await exists(replicaDir))) return;
  if (setAside !== null && !(await exists(setAside))) await rename(primaryDir, setAside);
  await rename(replicaDir, primaryDir);
  await syncDirOf(primaryDir);
}

/**
 * Ends recovery, if it has not ended yet, and makes the slots of those that will follow.
 *
 * @returns the timeline that has begun
 */
export async function promote(client: pg.Client, followers: readonly number[]): Promise<number> {
  await client.query(`select pg_promote(true, ${promoteS}) where pg_is_in_recovery()`);
  const { rows } = await client.query<{ timeline: number }>(
    "select ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int as timeline",
  );
  for (const index of followers) await renewSlot(client, index);
  return rows[0]?.timeline ?? 0;
}

/** Where a timeline left the one before it. */
export async function forkOf(dataDir: string, timeline: number): Promise<string> {
  const forks = parseHistory(await readFile(join(dataDir, "pg_wal", historyName(timeline)), "utf8"));
  return formatLsn([...forks.values()].at(-1) ?? 0n);
}
