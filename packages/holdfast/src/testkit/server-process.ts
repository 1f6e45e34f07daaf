/**
 * One server of a test cluster: a process that is started on a directory and ports of its own, signalled by its
 * process id, started again on the same data.
 *
 * Each method returns when what it says has been seen to be so: the process is gone, stands still, answers.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { processStartTime } from "../engines/postgres/embedded/index.ts";
import { isStopped } from "./process-state.ts";
import { until } from "./wait.ts";

export interface TestServer {
  /** Unique in its cluster: `redis-1`. */
  readonly name: string;
  readonly host: string;
  /** The port for clients. Stays the same over restarts. */
  readonly port: number;
  /** Of the process that was started last. */
  readonly pid: number;
  /** Whether that process has not ended; a paused one runs. */
  readonly running: boolean;
  /** Sends a signal, by default SIGKILL, and then returns when the process has ended. Others are only sent. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Stops the process where it is. It keeps its connections and answers nothing. */
  pause(): Promise<void>;
  /** Lets a paused process go on. */
  resume(): Promise<void>;
  /** Ends the process if it runs, starts it again on the same data and port, and waits until it answers. */
  restart(): Promise<void>;
  /** Starts it when it does not run, and waits until it answers; nothing when it runs. */
  start(): Promise<void>;
  /** Ids of all its processes now, the first one's first; empty when it does not run. */
  pids(): Promise<readonly number[]>;
  /** Asks the process to end cleanly, and kills it when it has not after 5 seconds. Can run twice. */
  stop(): Promise<void>;
}

export interface ServerProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Its working directory: the watchdog finds the process by it. */
  readonly dir: string;
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the process answers: it alone, not its cluster. An error counts as no. */
  readonly answers: (server: ServerProcess) => Promise<boolean>;
  /** Bound for the first answer, in milliseconds. Default 30_000. */
  readonly readyMs?: number;
}

/** The server ended because another program had one of its ports. */
export class PortTakenError extends Error {}

const stopMs = 5_000;

export class ServerProcess implements TestServer {
  readonly name: string;
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly #options: ServerProcessOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ServerProcessOptions) {
    this.name = options.name;
    this.port = options.port;
    this.#options = options;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} was not started`);
    return pid;
  }

  get running(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get logFile(): string {
    return join(this.#options.dir, "server.log");
  }

  /** Starts the process without waiting for an answer: members of a cluster wait for each other. */
  async launch(): Promise<void> {
    const { command, args, dir, env = {} } = this.#options;
    const log = await open(this.logFile, "a", 0o600);
    try {
      const child = spawn(command, args, {
        cwd: dir,
        // A Ctrl-C is for the test, which then stops its servers in its own way.
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
        env: { PATH: process.env.PATH, LC_ALL: "C", ...env },
      });
      this.#child = child;
      this.#ended = new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.once("error", () => resolve()); // it never started
      });
    } finally {
      await log.close();
    }
  }

  /**
   * @throws {PortTakenError} when another program has its port
   * @throws {Error} with the last lines of its log, when it ended or did not answer in time
   */
  async ready(): Promise<void> {
    const { answers, readyMs = 30_000 } = this.#options;
    const answered = until(async () => !this.running || (await answers(this)), {
      timeoutMs: readyMs,
      what: `an answer of ${this.name}`,
    });
    try {
      // A stranger on its port may never answer: its own end is enough.
      await Promise.race([answered, this.#ended]);
    } catch (cause) {
      throw new Error(`${(cause as Error).message}. ${await this.lastLines()}`, { cause });
    }
    answered.catch(() => {});
    if (this.running) return;
    const ending = this.#child?.signalCode ?? `exit code ${this.#child?.exitCode}`;
    const message = `${this.name} did not start (${ending}). ${await this.lastLines()}`;
    const taken = /address already in use/i.test((await this.#log()).slice(-4_000));
    throw taken ? new PortTakenError(message) : new Error(message);
  }

  async start(): Promise<void> {
    if ((await this.pids()).length > 0) return;
    await this.#ended; // of a process that was killed a moment ago
    await this.launch();
    await this.ready();
  }

  async pids(): Promise<readonly number[]> {
    const pid = this.#child?.pid;
    // A process that has ended is still ours, and not running, until its end has been told.
    return pid !== undefined && (await processStartTime(pid)) !== undefined && this.running ? [pid] : [];
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    // Only our own child that was not reaped yet is signalled, so its id cannot be somebody else's.
    if (!this.running) return;
    this.#child?.kill(signal);
    if (signal === "SIGKILL") await this.#ended;
  }

  async pause(): Promise<void> {
    if (!this.running)
      throw new Error(`${this.name} does not run, so it cannot be paused. Restart it first.`);
    await this.kill("SIGSTOP");
    await until(() => isStopped(this.pid), { what: `standstill of ${this.name}` });
  }

  async resume(): Promise<void> {
    await this.kill("SIGCONT");
    await until(async () => !(await isStopped(this.pid)), { what: `the end of the pause of ${this.name}` });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    this.#child?.kill("SIGTERM");
    this.#child?.kill("SIGCONT"); // a paused process hears nothing else
    const late = setTimeout(() => this.#child?.kill("SIGKILL"), stopMs);
    await this.#ended;
    clearTimeout(late);
  }

  async lastLines(): Promise<string> {
    const lines = (await this.#log()).trimEnd().split("\n").slice(-12).join("\n");
    return lines === "" ? "It logged nothing." : `Its last log lines:\n${lines}`;
  }

  #log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }
}
