/**
 * Workers as processes of their own, which are killed without warning and stand still beyond their leases for as long
 * as a run lasts. Each start records into a file of its own, which is part of the run's history.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { randomInt, systemClock } from "../../clock/index.ts";
import type { Beside } from "./workload.ts";

export interface FleetOptions {
  /** Module that works; its task comes as one line of JSON on its standard input. */
  readonly program: string;
  /** @param recording file for its recorder */
  readonly task: (member: string, recording: string) => unknown;
  readonly members: number;
  /** How long one stands still, in milliseconds: beyond its lease. */
  readonly pauseMs: number;
  /** Pause between two faults, in milliseconds. */
  readonly restMs: number;
}

export class WorkerFleet {
  /** What was done so far. */
  readonly done = { kills: 0, pauses: 0 };
  readonly #options: FleetOptions;
  readonly #calm = new AbortController();
  #said = "";

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** From now on nothing goes wrong any more. */
  calm(): void {
    this.#calm.abort();
  }

  /** Runs until `signal` aborts; then they drain. @throws when one of them ended by itself */
  async run(signal: AbortSignal, beside: Beside): Promise<void> {
    const { members, pauseMs, restMs } = this.#options;
    const still = AbortSignal.any([signal, this.#calm.signal]);
    const running = Array.from({ length: members }, (_, index) => this.#start(index, beside));
    try {
      while (!still.aborted) {
        await systemClock.sleep(restMs, still).catch(() => {});
        if (still.aborted) break;
        const index = randomInt(beside.random, members);
        const child = running[index] as ChildProcess;
        if (beside.random.next() < 0.5) {
          beside.note("kill -9", `worker-${index}`);
          await killed(child);
          this.done.kills++;
          running[index] = this.#start(index, beside);
        } else {
          beside.note("pause", `worker-${index}`);
          child.kill("SIGSTOP");
          await systemClock.sleep(pauseMs, still).catch(() => {});
          child.kill("SIGCONT");
          beside.note("resume", `worker-${index}`);
          this.done.pauses++;
        }
      }
      await aborted(signal);
      await Promise.all(running.map((child) => drained(child)));
    } finally {
      await Promise.all(running.map((child) => killed(child)));
    }
    if (this.#said !== "") throw new Error(`a worker ended by itself: ${this.#said}`);
  }

  #start(index: number, beside: Beside): ChildProcess {
    const { program, task } = this.#options;
    const child = spawn(process.execPath, [program], { stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (data: Buffer) => {
      said = (said + data).slice(-2_000);
    });
    child.stdin.on("error", () => {}); // it is gone already
    child.stdin.write(`${JSON.stringify(task(`worker-${index}`, beside.recording()))}\n`);
    child.once("exit", (code) => {
      if (code !== null && code !== 0) this.#said ||= `code ${code}: ${said}`;
    });
    return child;
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** Its standard input ends: that is how it knows. */
async function drained(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.stdin?.end();
  await exit;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
