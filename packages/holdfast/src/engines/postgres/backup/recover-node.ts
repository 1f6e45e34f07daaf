/**
 * A server that replays a prepared node up to a target, stands still there, and is then promoted.
 *
 * It recovers as a standby: at its target, or at the end of the log, it waits, and can be asked what it has before
 * anything is decided. All nodes come to their targets before the first of them is promoted. It listens on a socket
 * in a private directory alone, so that it needs no password to be let in, and archives nothing yet: what promotion
 * adds to the log is archived at the next start, when the restore counts.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import { type Clock, isoTime } from "../../../clock/index.ts";
import type { PostgresBinaries } from "../embedded/binaries.ts";
import { logSince } from "../embedded/log-file.ts";
import type { OsUser } from "../embedded/os-user.ts";
import { forkOf } from "../embedded/promotion.ts";
import { withClient } from "../embedded/readiness.ts";
import type { RunningServer } from "../embedded/running-server.ts";
import { startServer } from "../embedded/server.ts";
import { superuser } from "../embedded/server-id.ts";
import { socketDirOf } from "../embedded/socket-dir.ts";
import { writeOwned } from "../embedded/standby.ts";
import { parseLsn } from "../timeline.ts";
import type { NodeManifest } from "./manifest.ts";
import { releaseSettings } from "./prepare-node.ts";
import { restoreCommand } from "./restore-command.ts";
import type { NodePlan } from "./restore-plan.ts";
import type { RestoreTarget } from "./restore-target.ts";
import { segmentBefore } from "./wal-name.ts";

export interface RecoverOptions {
  readonly node: NodeManifest;
  readonly plan: NodePlan;
  readonly target: RestoreTarget;
  readonly dataDir: string;
  readonly logFile: string;
  /** Of the socket; nobody listens on it otherwise. */
  readonly port: number;
  readonly user: OsUser;
  readonly binaries: PostgresBinaries;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

export interface Reached {
  readonly lsn: string;
  /** Of the last transaction that was restored, by the node's clock; null when the replayed log has none. */
  readonly lastCommitAtMs: number | null;
  /** Whether replay stopped at the target; otherwise the log ended before it. */
  readonly stoppedAt: "target" | "end of the log";
}

export interface Promoted {
  readonly timeline: number;
  /** Where the new timeline leaves the old one. */
  readonly fork: string;
  readonly prepared: readonly PreparedTransaction[];
}

export interface PreparedTransaction {
  readonly gid: string;
  readonly database: string;
  readonly preparedAtMs: number;
}

const hbaName = "restore_hba.conf";
const lookMs = 100;
/** Replay that has taken nothing for so many looks and says that it waits for more has come to the end. */
const restLooks = 4;
const readyMsMax = 7 * 86_400_000;
const promoteS = 3_600;

export class NodeRecovery {
  readonly #options: RecoverOptions;
  #server: RunningServer | undefined;

  constructor(options: RecoverOptions) {
    this.#options = options;
  }

  /**
   * Replays up to the target, or to the end of the log, and stands still there.
   *
   * @throws {HoldfastError} HOLDFAST_WAL_MISSING when the log ends before it should; HOLDFAST_POSTGRES_START with
   *   the server's words
   */
  async replay(): Promise<Reached> {
    const { target, node, plan } = this.#options;
    this.#server = await this.#start(targetSettings(target));
    const reached = await this.#untilStill();
    if (reached.stoppedAt === "target") return reached;
    const problem = this.#endProblem(reached);
    if (problem !== undefined) throw walMissing(node.name, problem, reached);
    if (target.kind !== "time") return reached;
    if (plan.gap !== undefined && !isLatest(target.atMs, reached))
      throw walMissing(node.name, plan.gap, reached);
    // Nothing was committed between the end of the log and the wanted time. Postgres promotes nobody who has not
    // reached his target, so it goes on without one.
    await this.#server.stop();
    this.#server = await this.#start({});
    return { ...(await this.#untilStill()), stoppedAt: "end of the log" };
  }

  /** Ends recovery, on a new timeline. */
  async promote(password: string): Promise<Promoted> {
    return this.#ask(async (client) => {
      await client.query(`select pg_promote(true, ${promoteS}) where pg_is_in_recovery()`);
      const { rows } = await client.query<{ timeline: number }>(
        "select ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int as timeline",
      );
      const timeline = rows[0]?.timeline ?? 0;
      // The password in the backup may be of another day, or another machine.
      await client.query(
        `alter role ${client.escapeIdentifier(superuser)} password ${client.escapeLiteral(password)}`,
      );
      const prepared = await client.query<PreparedTransaction>(
        `select gid, database, extract(epoch from prepared)::float8 * 1000 as "preparedAtMs"
         from pg_prepared_xacts order by prepared`,
      );
      await client.query("checkpoint");
      return { timeline, fork: await forkOf(this.#options.dataDir, timeline), prepared: prepared.rows };
    });
  }

  /** Asks the server, which stands still. */
  ask<T>(work: (client: pg.Client) => Promise<T>, database = "postgres"): Promise<T> {
    return this.#ask(work, database);
  }

  /** Stops the server. Its data can be started as a primary after a promotion. May be called again. */
  async stop(): Promise<void> {
    await this.#server?.stop();
    await rm(join(this.#options.dataDir, hbaName), { force: true });
    await releaseSettings(this.#options.dataDir);
  }

  async #start(target: Readonly<Record<string, string>>): Promise<RunningServer> {
    const { node, plan, dataDir, logFile, port, user, binaries, clock, signal, onProgress } = this.#options;
    const hba = join(dataDir, hbaName);
    await writeOwned(
      hba,
      "# For the time of a restore: the socket's directory is closed to others.\nlocal all all trust\n",
      user,
    );
    return startServer({
      name: `${node.name}/restore`,
      role: "replica",
      dataDir,
      logFile,
      settings: {
        port,
        socketDir: socketDirOf(dataDir),
        extra: {
          ...node.settings,
          listen_addresses: "",
          hba_file: hba,
          hot_standby: "on",
          // Nothing is archived before the restore counts, and nothing is forgotten.
          archive_mode: "on",
          archive_library: "",
          archive_command: "",
          restore_command: restoreCommand(plan.fetchDirs),
          recovery_target_timeline: String(plan.timeline),
          recovery_target_action: "pause",
          wal_retrieve_retry_interval: "200ms",
          max_slot_wal_keep_size: "-1",
          autovacuum: "off",
          ...target,
        },
      },
      superuser,
      password: "",
      binaries,
      user,
      clock,
      signal,
      readyMs: readyMsMax,
      ...(onProgress ? { onProgress } : {}),
    });
  }

  async #untilStill(): Promise<Reached> {
    const { clock, signal, target, logFile, node } = this.#options;
    let last = "";
    let rested = 0;
    for (;;) {
      signal.throwIfAborted();
      const now = await this.#ask(stateOf);
      const reached = { lsn: now.lsn, lastCommitAtMs: now.commit };
      if (now.paused) {
        if (target.kind !== "latest") return { ...reached, stoppedAt: "target" };
        const log = (await logSince(logFile, 0)).trimEnd().split("\n").slice(-8).join("\n");
        throw new HoldfastError(
          "HOLDFAST_POSTGRES_START",
          `${node.name} stopped replaying. Its last log lines:\n${log}`,
        );
      }
      rested = now.waits && now.lsn === last ? rested + 1 : 0;
      last = now.lsn;
      if (rested >= restLooks) return { ...reached, stoppedAt: "end of the log" };
      this.#options.onProgress?.(
        `${node.name}: replayed to ${now.lsn}${now.commit === null ? "" : `, ${isoTime(now.commit)}`}`,
      );
      await clock.sleep(lookMs, signal);
    }
  }

  /** Why the end of the log is not where it should be, if so. */
  #endProblem({ lsn }: Reached): string | undefined {
    const { target, plan, node } = this.#options;
    if (target.kind === "cut")
      return `the cut ${target.cut.name} is not in the log on timeline ${plan.timeline}`;
    const segment = segmentBefore(parseLsn(lsn), node.segmentBytes);
    return segment < plan.lastSegment
      ? "what follows in the archive cannot be read: it is damaged"
      : undefined;
  }

  async #ask<T>(work: (client: pg.Client) => Promise<T>, database = "postgres"): Promise<T> {
    const server = this.#server;
    if (!server) throw new Error("the recovery has not been started");
    const endpoint = { host: server.socketDir, port: server.port, database, user: superuser, password: "" };
    return withClient(endpoint, this.#options.clock, work).catch(async (error: unknown) => {
      const log = (await logSince(server.logFile, 0)).trimEnd().split("\n").slice(-8).join("\n");
      if (error instanceof HoldfastError) throw error;
      throw new HoldfastError(
        "HOLDFAST_POSTGRES_START",
        `${server.name} does not answer (${(error as Error).message}). Its last log lines:\n${log}`,
        { cause: error, data: { server: server.name } },
      );
    });
  }
}

async function stateOf(client: pg.Client) {
  const { rows } = await client.query<{
    paused: boolean;
    lsn: string | null;
    commit: number | null;
    waits: boolean;
  }>(
    `select pg_get_wal_replay_pause_state() = 'paused' as paused, pg_last_wal_replay_lsn()::text as lsn,
       extract(epoch from pg_last_xact_replay_timestamp())::float8 * 1000 as commit,
       exists (select from pg_stat_activity
               where backend_type = 'startup' and wait_event = 'RecoveryRetrieveRetryInterval') as waits`,
  );
  const [row] = rows;
  return {
    paused: row?.paused === true,
    lsn: row?.lsn ?? "0/0",
    commit: row?.commit ?? null,
    waits: row?.waits === true,
  };
}

function targetSettings(target: RestoreTarget): Record<string, string> {
  if (target.kind === "cut") return { recovery_target_name: target.cut.name };
  return target.kind === "time" ? { recovery_target_time: isoTime(target.atMs).replace("Z", "+00") } : {};
}

/** The time of the last commit before a gap, as it was told: rounded up, so that the commit is in it. */
function isLatest(atMs: number, { lastCommitAtMs }: Reached): boolean {
  return lastCommitAtMs !== null && atMs <= Math.ceil(lastCommitAtMs);
}

function walMissing(node: string, why: string, { lsn, lastCommitAtMs }: Reached): HoldfastError {
  const latest =
    lastCommitAtMs === null
      ? ""
      : ` The latest reachable time is ${isoTime(Math.ceil(lastCommitAtMs))}, its last commit.`;
  return new HoldfastError(
    "HOLDFAST_WAL_MISSING",
    `${node}: replay ended at ${lsn}, and ${why}.${latest} The present data was not touched.`,
    { data: { node, lsn, latestAtMs: lastCommitAtMs && Math.ceil(lastCommitAtMs) } },
  );
}
