/**
 * Workers as processes of their own, which are killed without warning and stand still beyond their leases for as long
 * as a run lasts. Each start records into a file of its own, which is part of the run's history.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { randomInt, systemClock } from "../../clock/index.ts";
import { type FakeClock, openFakeClock } from "../../faults/index.ts";
import { until } from "../wait.ts";
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
  /** Their wall clocks jump as well, by up to a day either way. Takes libfaketime. Default false. */
  readonly wrongClocks?: boolean;
}

const dayMs = 86_400_000;
/** So long a worker is waited for that finds nothing to do. */
const worksMs = 5_000;

export class WorkerFleet {
  /** What was done so far. */
  readonly done = { kills: 0, pauses: 0, jumps: 0 };
  readonly #options: FleetOptions;
  readonly #calm = new AbortController();
  #clocks: readonly FakeClock[] = [];
  #said = "";

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** From now on nothing goes wrong any more; but first one was killed, and one stood still. */
  async calm(): Promise<void> {
    const { kills, pauses } = this.done;
    if (kills === 0 || pauses === 0)
      await until(() => this.done.kills > 0 && this.done.pauses > 0, { timeoutMs: 60_000 });
    this.#calm.abort();
  }

  /** Runs until `signal` aborts; then they drain. @throws when one of them ended by itself */
  async run(signal: AbortSignal, beside: Beside): Promise<void> {
    const { members, pauseMs, restMs, wrongClocks = false } = this.#options;
    const still = AbortSignal.any([signal, this.#calm.signal]);
    const dir = tmpdir();
    if (wrongClocks)
      this.#clocks = await Promise.all(
        Array.from({ length: members }, () => openFakeClock({ dir, clock: systemClock })),
      );
    const running = Array.from({ length: members }, (_, index) => this.#start(index, beside));
    try {
      while (!still.aborted) {
        await systemClock.sleep(restMs, still).catch(() => {});
        if (still.aborted) break;
        const index = randomInt(beside.random, members);
        const { child, works } = running[index] as Member;
        // One that has not begun to work loses nothing.
        await until(() => still.aborted || works(), { timeoutMs: worksMs }).catch(() => {});
        await this.#jump(index, beside);
        const { kills, pauses } = this.done;
        if (kills === 0 || (pauses > 0 && beside.random.next() < 0.5)) {
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
      await Promise.all(running.map(({ child }) => drained(child)));
    } finally {
      await Promise.all(running.map(({ child }) => killed(child)));
      await Promise.all(this.#clocks.map((clock) => clock.close()));
    }
    if (this.#said !== "") throw new Error(`a worker ended by itself: ${this.#said}`);
  }

  /** Sets the clock of a worker wrong while it runs; whoever is started with that clock sees it. */
  async #jump(index: number, beside: Beside): Promise<void> {
    const clock = this.#clocks[index];
    if (!clock) return;
    const offsetMs = randomInt(beside.random, 2 * dayMs) - dayMs;
    await clock.set(offsetMs);
    const seen = spawnSync(process.execPath, ["-p", "Date.now()"], { env: { ...process.env, ...clock.env } });
    if (Math.abs(Number(seen.stdout) - systemClock.wallMs() - offsetMs) > 60_000)
      throw new Error(`the clock of worker-${index} did not jump by ${offsetMs} ms`);
    beside.note("clock", `worker-${index} ${offsetMs} ms`);
    this.done.jumps++;
  }

  #start(index: number, beside: Beside): Member {
    const { program, task } = this.#options;
    const env = { ...process.env, ...this.#clocks[index]?.env };
    const child = spawn(process.execPath, [program], { env, stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (data: Buffer) => {
      said = (said + data).slice(-2_000);
    });
    child.stdin.on("error", () => {}); // it is gone already
    const recording = beside.recording();
    child.stdin.write(`${JSON.stringify(task(`worker-${index}`, recording))}\n`);
    child.once("exit", (code) => {
      if (code !== null && code !== 0) this.#said ||= `code ${code}: ${said}`;
    });
    return { child, works: () => existsSync(recording) && statSync(recording).size > 0 };
  }
}

interface Member {
  readonly child: ChildProcess;
  /** Whether it has begun an attempt. */
  readonly works: () => boolean;
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
