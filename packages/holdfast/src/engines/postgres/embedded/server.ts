/**
 * Starting one Postgres server as a child process, and proving that it answers.
 *
 * The postmaster leads a process group of its own, so that Ctrl-C in a terminal reaches the supervisor and
 * not the server: requests that are still being drained need their database.
 */
import { spawn } from "node:child_process";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { exitOf } from "./exit-of.ts";
import { sayingDiskFull } from "./files.ts";
import { boundLog, logSince, openLog } from "./log-file.ts";
import { asUser, giveTo, type OsUser } from "./os-user.ts";
import { processStartTime, stopOrphans } from "./processes.ts";
import { answers } from "./readiness.ts";
import { type RunningServer, runningServer, type ServerExit } from "./running-server.ts";
import { serverEnvironment } from "./server-environment.ts";
import { hbaConf, postgresConf, type ServerSettings } from "./settings.ts";
import { prepareSocketDir } from "./socket-dir.ts";
import { startFailure, wrongMajor } from "./start-failure.ts";

export interface StartServerOptions {
  /** For people and logs: `links/primary`. */
  readonly name: string;
  readonly role: "primary" | "replica";
  readonly dataDir: string;
  readonly logFile: string;
  readonly settings: ServerSettings;
  readonly superuser: string;
  readonly password: string;
  readonly binaries: PostgresBinaries;
  readonly user: OsUser;
  readonly clock: Clock;
  /** How long the server may take to answer its first query, recovery included, in milliseconds. Default 120_000. */
  readonly readyMs?: number;
  /** How long a clean shutdown may take before it is forced, in milliseconds. Default 15_000. */
  readonly stopMs?: number;
  /** Asked each second while the server does not answer: text says why it never will, and fails the start. */
  readonly hopeless?: () => Promise<string | undefined>;
  /** Gives the start up: then no process of the server is left. */
  readonly signal?: AbortSignal;
  /** Told each second that starting takes longer: `links/primary: recovering (3 s)`. */
  readonly onProgress?: (message: string) => void;
}

export const serverDefaults = { readyMs: 120_000, stopMs: 15_000 } as const;

/**
 * Starts the server on an existing data directory and waits until it answers a query. What a dead
 * predecessor left behind (processes, lock files) is cleared first.
 *
 * @throws {HoldfastError} HOLDFAST_POSTGRES_VERSION, _PORT_TAKEN, _SHARED_MEMORY, _BINARIES, _START,
 *   HOLDFAST_DISK_FULL, HOLDFAST_ABORTED; then no process is left
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { name, role, dataDir, logFile, settings, user, clock } = options;
  const { port, socketDir } = settings;
  await refuseOtherMajor(options);
  await stopOrphans(dataDir, clock);
  return sayingDiskFull(dataDir, async () => {
    // No process of this server runs, so its lock file is stale, even if its process id is in use again.
    await rm(join(dataDir, "postmaster.pid"), { force: true });
    await prepareSocketDir(socketDir, user);
    await writeSettings(dataDir, settings, user);
    await boundLog(logFile);
    const { child, logStart, exited } = await spawnPostmaster(options);
    const failure = async (ending: string) =>
      startFailure({ name, dataDir, port, log: await logSince(logFile, logStart), ending });
    if (child.pid === undefined) throw await failure(`${options.binaries.postgres} cannot be run`);
    const server = runningServer({
      name,
      role,
      host: "127.0.0.1",
      port,
      socketDir,
      dataDir,
      logFile,
      pid: child.pid,
      startTime: (await processStartTime(child.pid)) ?? "",
      exited,
      clock,
      stopMs: options.stopMs ?? serverDefaults.stopMs,
    });
    const ending = await untilReady(options, exited);
    if (ending === undefined) return server;
    await server.stop();
    if (options.signal?.aborted) {
      throw new HoldfastError("HOLDFAST_ABORTED", `The start of ${name} was given up.`, {
        outcome: "not-applied",
        cause: options.signal.reason,
      });
    }
    throw await failure(ending);
  });
}

async function spawnPostmaster({ logFile, binaries, dataDir, user }: StartServerOptions) {
  const log = await openLog(logFile);
  try {
    const logStart = (await log.stat()).size;
    const child = spawn(binaries.postgres, ["-D", dataDir], {
      ...asUser(user),
      cwd: dataDir,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: serverEnvironment(),
    });
    return { child, logStart, exited: exitOf(child) }; // before anything is awaited
  } finally {
    await log.close(); // the server has its own descriptor by now
  }
}

/** Files are replaced whole: a server that starts after a crash never reads half of one. */
export async function writeSettings(dataDir: string, settings: ServerSettings, user: OsUser): Promise<void> {
  const files = { "postgresql.conf": postgresConf(settings), "pg_hba.conf": hbaConf() };
  for (const [name, text] of Object.entries(files)) {
    const path = join(dataDir, name);
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await giveTo(user, `${path}.new`);
    await rename(`${path}.new`, path);
  }
}

/** Waits until the server answers. @returns undefined, or in words how the start ended without an answer */
async function untilReady(
  options: StartServerOptions,
  exited: Promise<ServerExit>,
): Promise<string | undefined> {
  const { name, clock, settings, superuser, password, signal } = options;
  const { readyMs = serverDefaults.readyMs } = options;
  const endpoint = {
    host: settings.socketDir,
    port: settings.port,
    database: "postgres",
    user: superuser,
    password,
  };
  let ending: string | undefined;
  void exited.then(({ code, signal }) => {
    ending = signal ?? `exit code ${code}`;
  });
  const startedMs = clock.monotonicMs();
  let toldSeconds = 0;
  while (ending === undefined) {
    const problem = await answers(endpoint, clock);
    if (problem === undefined) return undefined;
    if (signal?.aborted) return "given up";
    const waitedMs = clock.monotonicMs() - startedMs;
    if (waitedMs > readyMs) return `no answer in ${Math.round(readyMs / 1000)} s: ${problem}`;
    const seconds = Math.floor(waitedMs / 1000);
    if (seconds > toldSeconds) {
      toldSeconds = seconds;
      const why = await options.hopeless?.();
      if (why !== undefined) return why;
      options.onProgress?.(`${name}: ${problem} (${seconds} s)`);
    }
    await clock.sleep(waitedMs < 1_000 ? 15 : 100);
  }
  return ending;
}

async function refuseOtherMajor({ name, dataDir, binaries }: StartServerOptions): Promise<void> {
  const found = (await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => "")).trim();
  if (found !== "" && found !== String(binaries.major)) {
    throw wrongMajor(name, dataDir, found, String(binaries.major));
  }
}
