/**
 * The supervisor of a system on one machine: everything `holdfast up` does between its arguments and its
 * terminal.
 *
 * It starts things in the order of what they need, and has for each a way to undo it, pushed before it can be
 * needed: a start that fails, or is interrupted, runs them backwards, so that nothing is left half-started.
 * A stop runs the same list.
 */
import { resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { type Clock, isoTime } from "../clock/index.ts";
import { bindListeningSocket } from "../edge/listening-socket.ts";
import { formatLogLine } from "../observe/index.ts";
import { archiveNotice, archiveStatuses, switchArchives, watchArchives } from "./archive-watch.ts";
import { relayChanges } from "./change-relay.ts";
import { watchClaim } from "./claim-watch.ts";
import { type ControlRequests, makeControlSocket, serveControl } from "./control.ts";
import type { SystemDescription } from "./describe.ts";
import { describeInProcess } from "./describe-process.ts";
import { failoverNotice } from "./failover-notice.ts";
import { recoverSystem } from "./in-doubt.ts";
import { stopLeftChildren, stopLeftServers } from "./leftovers.ts";
import { openLogFiles } from "./log-files.ts";
import type { WorldConfig } from "./messages.ts";
import { reportMigration } from "./migrate-events.ts";
import type { MigrateRun } from "./migrate-request.ts";
import { migrateSystem, planSystem } from "./migrate-system.ts";
import { watchOutbox } from "./outbox-watch.ts";
import { grantPartRoles, partRoles, worldAs } from "./part-roles.ts";
import { startPostgresNodes } from "./postgres-nodes.ts";
import { makeSystemFolders, type Project, systemPaths } from "./project.ts";
import { reloadOnChange } from "./reload.ts";
import { replicationNotice } from "./replication-watch.ts";
import type { Reporter } from "./reporter.ts";
import { watchMoves } from "./reshard-watch.ts";
import { type RunningDatabases, runningDatabases } from "./running-databases.ts";
import { startInstances } from "./running-parts.ts";
import { sessionSecret } from "./session-secret.ts";
import { shardStatusReader } from "./shard-status.ts";
import { startError } from "./start-error.ts";
import { makeStateFolders } from "./state-folder.ts";
import type { ArchiveStatus, SystemState, SystemStatus } from "./status.ts";
import { alreadyRunning, claimProject, runningSupervisor } from "./supervisor-file.ts";
import { teardown } from "./teardown.ts";
import { warningBoard } from "./warning-board.ts";
import { worldConfig } from "./world-config.ts";

export interface SupervisorOptions {
  readonly project: Project;
  readonly systemFile: string;
  /** Overrides the port that the gateway declares. */
  readonly port?: number;
  /** Restart instances whose source changes, and warn of what will not bear more rows or users. */
  readonly watch: boolean;
  /** Send gentle traffic, as the system's load.ts describes it, once the system is up. */
  readonly traffic: boolean;
  readonly clock: Clock;
  readonly reporter: Reporter;
}

export interface Supervisor {
  /** Resolves when the system is up; rejects when it could not be started, and everything is stopped again. */
  readonly up: Promise<SystemStatus>;
  /**
   * Settles when everything is stopped, for whatever reason: rejects with HOLDFAST_FENCED when it was because
   * the project is no longer this supervisor's.
   */
  readonly stopped: Promise<void>;
  status(): Promise<SystemStatus>;
  /** `drain` lets finish what is under way, within `drainMsMax`; `at-once`, also after it, waits for nothing. */
  stop(how: StopHow): void;
}

export type StopHow = "drain" | "at-once";

/** How long everything together may take to drain before it is killed. */
export const drainMsMax = 10_000;

export function startSupervisor(options: SupervisorOptions): Supervisor {
  const { clock } = options;
  let logNotice: Reporter["notice"] = () => {};
  const reporter: Reporter = {
    ...options.reporter,
    notice(level, text) {
      logNotice(level, text);
      options.reporter.notice(level, text);
    },
  };
  const startedAtMs = clock.monotonicMs();
  const stopping = new AbortController();
  const undo = teardown({
    clock,
    drainMs: drainMsMax,
    failed: (error) => reporter.notice("error", `While stopping: ${(error as Error).message}`),
  });
  let state: SystemState = "starting";
  let step: string | undefined;
  let lost: HoldfastError | undefined;
  let description: SystemDescription | undefined;
  let url: string | undefined;
  let running: WorldConfig | undefined;
  let instances: () => SystemStatus["instances"] = () => [];
  let servers: () => Promise<SystemStatus["servers"]> = async () => [];
  let failovers: () => SystemStatus["failovers"] = () => [];
  let replication: () => SystemStatus["replication"] = () => [];
  let archives: () => Promise<SystemStatus["archives"]> = async () => [];
  let switchArchive: NonNullable<ControlRequests["archive"]> = async () => {};
  let inDoubt: () => SystemStatus["inDoubt"] = () => [];
  let outbox: () => SystemStatus["outbox"] = () => [];
  let shards: () => Promise<SystemStatus["shards"]> = async () => [];
  let changes: () => Promise<SystemStatus["changes"]> = async () => [];
  let databases: RunningDatabases = [];

  const warnings = warningBoard();

  const progress = (text: string) => {
    if (state === "starting") step = text;
    reporter.step(text);
  };
  const enter = (text: string) => {
    stopping.signal.throwIfAborted();
    progress(text);
  };

  const status = async (): Promise<SystemStatus> => ({
    system: description?.name ?? "",
    state,
    step,
    pid: process.pid,
    upMs: clock.monotonicMs() - startedAtMs,
    url,
    instances: instances(),
    servers: await servers(),
    failovers: failovers(),
    replication: replication(),
    archives: await archives(),
    outbox: outbox(),
    inDoubt: inDoubt(),
    shards: await shards(),
    changes: await changes(),
    warnings: warnings.list(),
  });

  /** With the files that are there now: the system is described anew. */
  const migrate: MigrateRun = async ({ check, systemFile: meant }, tell) => {
    if (state !== "running" || !running) throw notRunningYet(state);
    const { project, systemFile } = options;
    if (meant !== undefined && resolve(meant) !== resolve(systemFile)) throw otherSystem(systemFile, meant);
    const described = await describeInProcess({ systemFile, project, clock, signal: stopping.signal });
    const known = described.databases.filter(({ name }) => running?.databases[name]);
    await (check ? planSystem : migrateSystem)({ ...described, databases: known }, running, { clock, tell });
  };

  const start = async () => {
    const { project, systemFile } = options;
    const other = await runningSupervisor(project);
    if (other) throw alreadyRunning(other);
    enter("Checking the system and its modules");
    makeStateFolders(project);
    description = await describeInProcess({ systemFile, project, clock, signal: stopping.signal });
    stopping.signal.throwIfAborted();
    process.title = `holdfast ${description.name}`;

    const control = makeControlSocket();
    undo.push(() => control.remove());
    const claim = await claimProject(project, description.name, control.path);
    undo.push(() => claim.release());
    const watch = watchClaim(claim, clock, (why) => {
      lost = why;
      stop("at-once", why);
    });
    undo.push(() => watch.stop());
    if (claim.stale) {
      enter(`Clearing what supervisor ${claim.stale.supervisor.pid} left`);
      await stopLeftChildren(claim.stale, clock);
      // The servers of this system are found when they are started.
      if (claim.stale.system !== description.name) await stopLeftServers(project, claim.stale.system, clock);
    }

    const { edge } = description;
    const socket = edge && bindListeningSocket({ host: edge.host, port: options.port ?? edge.port });
    if (socket) {
      undo.push(() => socket.close());
      url = `http://${socket.host.includes(":") ? `[${socket.host}]` : socket.host}:${socket.port}`;
    }
    const server = await serveControl(control.path, {
      status,
      down: () => stop("drain"),
      databases: () => databases,
      archive: (how) => switchArchive(how),
      migrate,
    });
    undo.push(() => server.close());

    const files = systemPaths(project, description.name);
    makeSystemFolders(files);
    const logs = openLogFiles(files.logs);
    undo.push(() => logs.close());
    logNotice = (level, msg) =>
      logs.append("supervisor", formatLogLine({ time: isoTime(clock.wallMs()), level, msg }));

    let postgres: Awaited<ReturnType<typeof startPostgresNodes>> | undefined;
    if (description.databases.length > 0) {
      enter("Starting Postgres");
      const nodes = await startPostgresNodes({
        databases: description.databases,
        changeFeeds: description.topics.some(({ feed }) => feed !== undefined),
        dir: files.postgres,
        clock,
        progress,
        mayRestart: watch.holds,
        failed: (name, how, waitMs) =>
          reporter.notice("warn", `Postgres ${name} ended (${how}); starting it again${inMs(waitMs)}`),
        restarted: (name, pid) => reporter.notice("info", `Postgres ${name} is back, process ${pid}`),
        failedOver: (failover) => reporter.notice("error", failoverNotice(failover)),
        replicationChanged: (status) => reporter.notice(...replicationNotice(status)),
      });
      postgres = nodes;
      servers = () => nodes.status();
      failovers = () => nodes.failovers();
      replication = () => nodes.replication();
      archives = () => archiveStatuses(nodes.nodes);
      const system = description.name;
      switchArchive = (how) => switchArchives(nodes.nodes, system, how);
      const changed = (status: ArchiveStatus) => reporter.notice(...archiveNotice(status));
      const archiveWatch = new AbortController();
      undo.push(() => archiveWatch.abort());
      watchArchives({ nodes: nodes.nodes, clock, changed, stop: archiveWatch.signal });
      const stopNodes = () =>
        nodes.stop(watch.holds() ? (undo.atOnce.aborted ? "at-once" : "clean") : "abandon");
      undo.push(stopNodes);
      undo.atOnce.addEventListener("abort", () => void stopNodes(), { once: true });
    }
    const world = worldConfig(description, postgres, options.watch);
    const roles = partRoles(description, clock.random);
    running = world;
    if (postgres) {
      enter("Preparing the databases");
      await migrateSystem(description, world, {
        clock,
        tell: reportMigration({ ...reporter, step: progress }),
      });
      await grantPartRoles(world, roles, clock);
      const warn = (text: string) => reporter.notice("warn", text);
      const recovery = recoverSystem(description, world, { clock, warn });
      inDoubt = () => recovery.status();
      undo.push(() => recovery.stop());
      const outboxes = watchOutbox(description, world, { clock, warn });
      outbox = () => outboxes.status();
      undo.push(() => outboxes.stop());
      databases = runningDatabases(description, world);
      const reader = shardStatusReader(databases, clock);
      undo.push(() => reader.close());
      shards = () => reader.read();
      enter("Finding where change feeds go on");
      const relay = await relayChanges(description, world, {
        clock,
        notice: (level, text) => reporter.notice(level, text),
        signal: stopping.signal,
      });
      undo.push(() => relay.stop());
      changes = () => relay.status();
      undo.push(
        watchMoves({ databases, read: shards, clock, notice: (level, text) => reporter.notice(level, text) }),
      );
    }

    enter("Starting the parts");
    const parts = startInstances({
      project,
      systemFile,
      description,
      worldOf: (part) => worldAs(world, roles, part),
      clock,
      reporter,
      logs,
      sessionSecret: sessionSecret(project, clock.random),
      socketFd: socket?.fd,
      recordChildren: (pids) => claim.update(pids),
      warnings,
    });
    instances = () => parts.status();
    undo.push((drainMs) => {
      // From now on a new connection is refused at once, instead of waiting for somebody who never accepts it.
      socket?.close();
      return parts.stop(drainMs);
    });
    const stopParts = () => void parts.stop(() => 0);
    undo.atOnce.addEventListener("abort", stopParts, { once: true });
    // While they start there is nothing to drain, and one that hangs must not hold up the stop.
    stopping.signal.addEventListener("abort", stopParts, { once: true });
    await parts.begin();
    stopping.signal.removeEventListener("abort", stopParts);
    stopping.signal.throwIfAborted();
    if (options.traffic && url) await parts.startTraffic(url);
    if (options.watch) {
      const stopWatching = reloadOnChange({
        systemFile,
        project,
        description,
        places: () => parts.places,
        migrate: async (described) => {
          await migrateSystem(described, world, {
            clock,
            tell: reportMigration({ ...reporter, step: () => {} }),
          });
          parts.warnAgain();
        },
        clock,
        reporter,
        drainMs: drainMsMax,
      });
      undo.push(stopWatching);
    }
    state = "running";
    step = undefined;
    return status();
  };

  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => {});
  const end = async () => {
    state = "stopping";
    await undo.run();
    if (lost) ended.reject(lost);
    else ended.resolve();
  };

  const stop = (how: StopHow, reason = stoppedEarly()) => {
    if (how === "at-once") undo.hurry();
    if (stopping.signal.aborted) return;
    stopping.abort(reason);
    // A start that is under way ends at its next step, and undoes what it did.
    if (state === "running") void end();
  };

  const up = start().then(
    (status) => {
      // The stop may have come after the last step had looked.
      if (stopping.signal.aborted) void end();
      return status;
    },
    async (error: unknown) => {
      await end();
      throw stopping.signal.aborted ? stopping.signal.reason : startError(error, options.project);
    },
  );
  up.catch(() => {});
  return { up, stopped: ended.promise, status, stop: (how) => stop(how) };
}

function stoppedEarly(): HoldfastError {
  return new HoldfastError("HOLDFAST_ABORTED", "Stopped before the system was up.", {
    outcome: "not-applied",
  });
}

function otherSystem(systemFile: string, meant: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ALREADY_RUNNING",
    `${systemFile} runs in this project, and ${meant} is another system. Leave the name out to migrate the one that runs, or \`holdfast down\` first.`,
  );
}

function notRunningYet(state: SystemState): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The system is ${state}, and migrates its databases itself when it starts. Ask again when \`holdfast status\` says that it runs.`,
  );
}

function inMs(ms: number): string {
  return ms < 1_000 ? "" : ` in ${Math.round(ms / 1_000)} s`;
}
