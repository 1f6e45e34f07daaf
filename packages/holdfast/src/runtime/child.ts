/**
 * One child process as its supervisor sees it: started in a session of its own (a Ctrl-C in the terminal
 * reaches only the supervisor), told what to do over its channel, watched by its heartbeat.
 */
import { spawn } from "node:child_process";
import type { Clock, Timer } from "../clock/index.ts";
import { beatMs, type FromChild, type StartMessage, type ToChild } from "./messages.ts";
import { readLines } from "./read-lines.ts";

/** Without a heartbeat for this long the event loop is taken to stand still. */
export const beatMissingMs = 10 * beatMs;

export interface ChildOptions {
  /** File of its program. */
  readonly entry: string;
  /** Shown by `ps`, and the name of its log. */
  readonly title: string;
  readonly start: StartMessage;
  readonly clock: Clock;
  /** Working directory: the project's root. */
  readonly cwd: string;
  /** Folder of compiled modules, which all processes of the project share. */
  readonly compileCache: string;
  /** A descriptor to inherit; the child finds it as `inheritedFd`. */
  readonly inherit?: number;
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  readonly onMessage?: (message: FromChild) => void;
}

/** Number of the inherited descriptor in the child: after stdin, stdout, stderr and the channel. */
export const inheritedFd = 4;

export interface ChildExit {
  /** In words: `exit code 1`, `SIGKILL`. */
  readonly how: string;
  /** The last thing it said of its failure, its last lines on stderr otherwise. */
  readonly lastError: string | undefined;
}

export interface Child {
  /** `undefined` when it could not be started at all. */
  readonly pid: number | undefined;
  /** What it said when it became ready; rejects when it ended before. */
  readonly ready: Promise<{ readonly port: number | undefined }>;
  readonly exited: Promise<ChildExit>;
  /** Resident memory at its last heartbeat, in bytes. */
  readonly memoryBytes: number;
  send(message: ToChild): void;
  /** Lets it finish within `graceMs`, then kills it. Resolves when it is gone. May be called again, to be less patient. */
  stop(graceMs: number): Promise<ChildExit>;
}

/** How much longer than its grace a child may take to be gone. */
const killSlackMs = 500;
const lastErrorLines = 12;

export function startChild(options: ChildOptions): Child {
  const { clock } = options;
  const child = spawn(process.execPath, [`--title=${options.title}`, options.entry], {
    cwd: options.cwd,
    detached: true,
    // Modules are compiled once per project, not once per process: less memory, and a faster restart.
    env: { NODE_COMPILE_CACHE: options.compileCache, ...process.env },
    stdio: ["ignore", "pipe", "pipe", "ipc", ...(options.inherit === undefined ? [] : [options.inherit])],
  });
  const stderrTail: string[] = [];
  let failure: string | undefined;
  let memoryBytes = 0;
  let collected = false;
  let silence: Timer | undefined;

  const kill = (signal: NodeJS.Signals) => {
    // Signalled only while it is our child and not collected: the pid cannot be somebody else's.
    if (!collected) child.kill(signal);
  };
  const heard = () => {
    silence?.cancel();
    // In two steps: after the supervisor itself was paused (Ctrl-Z) its timers fire before it reads the
    // heartbeats that have come meanwhile.
    silence = clock.timer(beatMissingMs - beatMs, () => {
      silence = clock.timer(beatMs, () => {
        failure = `no heartbeat for ${beatMissingMs / 1000} s: its event loop stands still, or it is paused`;
        kill("SIGKILL");
      });
    });
  };
  const lines = (stream: "stdout" | "stderr") => {
    const input = child[stream];
    if (!input) return;
    readLines(input, (line) => {
      if (stream === "stderr") {
        stderrTail.push(line);
        if (stderrTail.length > lastErrorLines) stderrTail.shift();
      }
      options.onLine?.(line, stream);
    });
  };
  lines("stdout");
  lines("stderr");

  const exited = new Promise<ChildExit>((resolve) => {
    const settle = (how: string) => {
      silence?.cancel();
      // Who is killed from outside has not said why; what it wrote before is not the reason.
      const said = how === "SIGKILL" || stderrTail.length === 0 ? undefined : stderrTail.join("\n");
      resolve({ how, lastError: failure ?? said });
    };
    child.once("error", (error) => {
      if (child.pid === undefined) settle(`not started: ${error.message}`);
    });
    child.once("exit", (code, signal) => {
      collected = true;
      const end = () => settle(signal ?? `exit code ${code}`);
      // `close` follows when its last output has been read; a grandchild that holds the pipe must not hold us.
      const patience = clock.timer(200, end);
      child.once("close", () => {
        patience.cancel();
        end();
      });
    });
  });
  const ready = new Promise<{ port: number | undefined }>((resolve, reject) => {
    child.on("message", (message: FromChild) => {
      heard();
      if (message.kind === "ready") resolve({ port: message.port });
      else if (message.kind === "failed") failure = message.message;
      else if (message.kind === "beat") memoryBytes = message.memoryBytes;
      options.onMessage?.(message);
    });
    void exited.then((exit) => reject(new Error(exit.lastError ?? exit.how)));
  });
  ready.catch(() => {});
  const send = (message: ToChild) => {
    // Once the channel is closed the child is ending, and its exit says so.
    if (child.connected) child.send(message, undefined, undefined, () => {});
  };
  heard();
  send(options.start);

  return {
    pid: child.pid,
    ready,
    exited,
    get memoryBytes() {
      return memoryBytes;
    },
    send,
    async stop(graceMs) {
      send({ kind: "drain", graceMs });
      const deadline = clock.timer(graceMs + killSlackMs, () => kill("SIGKILL"), { ref: true });
      const exit = await exited;
      deadline.cancel();
      return exit;
    },
  };
}
