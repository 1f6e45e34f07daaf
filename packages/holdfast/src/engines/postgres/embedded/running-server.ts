/**
 * A Postgres server that runs: watched, signalled, stopped.
 *
 * `stop` shuts down cleanly first, then harder, and returns only when every process of the server is gone:
 * a postmaster that was killed leaves backends that can go on acknowledging commits for another second.
 */
import { rm } from "node:fs/promises";
import type { Clock } from "../../../clock/index.ts";
import { boundLog } from "./log-file.ts";
import { findServerProcesses, signalProcess, stopOrphans } from "./processes.ts";

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningServer {
  /** For people and logs: `links/primary`, `links/replica-1`. */
  readonly name: string;
  readonly role: "primary" | "replica";
  readonly host: string;
  readonly port: number;
  /** Directory of its Unix socket: a `host` for clients of the server's own user, and of root. */
  readonly socketDir: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** The postmaster. */
  readonly pid: number;
  /** Its start time: with the pid it names this very process (see processes.ts). */
  readonly startTime: string;
  /** Resolves when the postmaster has ended, for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
  /** Shuts down cleanly within bounds, then kills. Returns when no process of the server is left. Can run twice. */
  stop(): Promise<void>;
  /** Sends a signal to the postmaster alone: for fault injection. Nothing happens when it has ended. */
  kill(signal: NodeJS.Signals): void;
}

export interface WatchedServer extends Omit<RunningServer, "stop" | "kill"> {
  readonly clock: Clock;
  /** How long a clean shutdown may take, in milliseconds; then it is forced. */
  readonly stopMs: number;
}

/** An immediate shutdown has nothing to write: it takes this long only when the machine is in trouble. */
const quitMs = 5_000;
const logCheckMs = 60_000;

export function runningServer({ clock, stopMs, ...facts }: WatchedServer): RunningServer {
  const { pid, exited, dataDir, socketDir, logFile } = facts;
  let ended = false;
  let stopping: Promise<void> | undefined;
  let logCheck = clock.timer(logCheckMs, checkLog);
  void exited.then(() => {
    ended = true;
    logCheck.cancel();
  });

  function checkLog(): void {
    void boundLog(logFile)
      .catch(() => {}) // a log that cannot be shortened is no reason to disturb the server
      .then(() => {
        if (!ended) logCheck = clock.timer(logCheckMs, checkLog);
      });
  }

  // The pid is signalled only while the process is our unreaped child, so it cannot be somebody else's.
  const kill = (signal: NodeJS.Signals) => {
    if (!ended) signalProcess(pid, signal);
  };

  const endedWithin = async (ms: number): Promise<boolean> => {
    const limit = new AbortController();
    const late = clock.sleep(ms, limit.signal).then(
      () => false,
      () => true, // the limit was lifted because the server ended
    );
    const inTime = await Promise.race([exited.then(() => true), late]);
    limit.abort();
    return inTime;
  };

  const stop = async () => {
    // A paused process hears no signal but the one to go on.
    for (const paused of await findServerProcesses(dataDir)) signalProcess(paused, "SIGCONT");
    // Fast shutdown: ends sessions, writes a checkpoint. Immediate: ends now, recovers at the next start.
    kill("SIGINT");
    if (!(await endedWithin(stopMs))) {
      kill("SIGQUIT");
      if (!(await endedWithin(quitMs))) kill("SIGKILL");
      await exited;
    }
    await stopOrphans(dataDir, clock);
    await rm(socketDir, { recursive: true, force: true });
  };

  return {
    ...facts,
    kill,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
