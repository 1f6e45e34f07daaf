/**
 * One instance of a part: a place in the system (`api-1`) that a process fills. When the process ends without
 * having been told to, the next one takes the place, by the restart rule; a replacement takes it only when it
 * is ready, so that a broken new version never costs the one that works.
 */
import type { Clock } from "../clock/index.ts";
import type { Child, ChildExit } from "./child.ts";
import type { Endpoint } from "./messages.ts";
import { initialRestartState, type RestartState, stepRestart } from "./restart-step.ts";

export type InstanceState = "starting" | "ready" | "restarting" | "crash-looping" | "draining" | "stopped";

export interface InstanceStatus {
  readonly name: string;
  readonly state: InstanceState;
  readonly pid: number | undefined;
  readonly port: number | undefined;
  readonly restarts: number;
  readonly upMs: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly lastError: string | undefined;
}

export interface InstanceEvents {
  /** Its endpoint came or went, or its state changed. Called at once. */
  changed(): void;
  /** Resolves when whoever sends it requests knows of the latest change: then the old process may drain. */
  settled(): Promise<void>;
  /** Its process ended without having been told to. `waitMs` is the time until the next one starts. */
  failed(exit: ChildExit, waitMs: number, crashLoop: boolean): void;
  /** After a failure it is ready again. */
  recovered(pid: number | undefined): void;
}

/** A process that is not ready by then is taken to hang. */
export const readyMsMax = 60_000;

export class Instance {
  readonly name: string;
  readonly #start: () => Child;
  readonly #clock: Clock;
  readonly #events: InstanceEvents;
  readonly #stopping = new AbortController();
  #state: InstanceState = "starting";
  #child: Child | undefined;
  #port: number | undefined;
  #readyAtMs: number | undefined;
  #restart: RestartState = initialRestartState;
  #restarts = 0;
  #lastError: string | undefined;
  #replacing: Promise<void> | undefined;
  /** The process that is to take the place, while it is not ready. */
  #fresh: Child | undefined;

  /** @param start starts one process for this place */
  constructor(name: string, start: () => Child, clock: Clock, events: InstanceEvents) {
    this.name = name;
    this.#start = start;
    this.#clock = clock;
    this.#events = events;
  }

  status(): InstanceStatus {
    const child = this.#child;
    return {
      name: this.name,
      state: this.#state,
      pid: child?.pid,
      port: this.#port,
      restarts: this.#restarts,
      upMs: this.#readyAtMs === undefined ? undefined : this.#clock.monotonicMs() - this.#readyAtMs,
      memoryBytes: child?.memoryBytes,
      lastError: this.#lastError,
    };
  }

  /** Where it takes requests now; `undefined` while nothing there is ready. */
  get endpoint(): Endpoint | undefined {
    const pid = this.#child?.pid;
    if (this.#state !== "ready" || this.#port === undefined || pid === undefined) return undefined;
    return { id: `${this.name}/${pid}`, host: "127.0.0.1", port: this.#port };
  }

  get child(): Child | undefined {
    return this.#child;
  }

  /**
   * Starts the first process. A first start that fails is not tried again: nothing has worked yet, so the
   * person who started the system should read why.
   *
   * @throws {Error} with the process's last words when it does not become ready
   */
  async begin(): Promise<void> {
    const child = this.#start();
    this.#child = child;
    const ready = await this.#whenReady(child);
    if (this.#stopping.signal.aborted) return;
    this.#take(child, ready.port);
  }

  /**
   * Fills the place with a new process, then lets the old one drain for `graceMs`.
   *
   * @throws {Error} with the new process's last words when it does not become ready; the old one stays
   */
  replace(graceMs: number): Promise<void> {
    const run = async () => {
      if (this.#stopping.signal.aborted) return;
      const fresh = this.#start();
      this.#fresh = fresh;
      const ready = await this.#whenReady(fresh).finally(() => {
        this.#fresh = undefined;
      });
      if (this.#stopping.signal.aborted) {
        await fresh.stop(graceMs);
        return;
      }
      const old = this.#child;
      // What a former version did says nothing about this one.
      this.#restart = initialRestartState;
      this.#lastError = undefined;
      this.#take(fresh, ready.port);
      await this.#events.settled();
      await old?.stop(graceMs);
    };
    // One replacement after another: two at once would fight for the place.
    const before = this.#replacing?.catch(() => {}) ?? Promise.resolve();
    this.#replacing = before.then(run);
    return this.#replacing;
  }

  /** Its process drains without having been told to: no request goes there any more, and the next one follows. */
  left(child: Child): void {
    if (child === this.#child && this.#state === "ready") this.#enter("draining");
  }

  /** Drains within `graceMs`, then kills. May be called again, to be less patient. Resolves when nothing is left. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#enter("draining");
    await this.#events.settled();
    await Promise.all([this.#child?.stop(graceMs), this.#fresh?.stop(graceMs)]);
    await this.#replacing?.catch(() => {});
    this.#enter("stopped");
  }

  /** Resolves when ready; a process that hangs instead is killed, which rejects. */
  async #whenReady(child: Child): Promise<{ readonly port: number | undefined }> {
    const hanging = this.#clock.timer(readyMsMax, () => void child.stop(0));
    try {
      return await child.ready;
    } finally {
      hanging.cancel();
    }
  }

  #take(child: Child, port: number | undefined): void {
    this.#child = child;
    this.#port = port;
    this.#readyAtMs = this.#clock.monotonicMs();
    this.#enter("ready");
    void child.exited.then((exit) => this.#ended(child, exit));
  }

  #ended(child: Child, exit: ChildExit): void {
    if (child !== this.#child || this.#stopping.signal.aborted) return;
    const atMs = this.#clock.monotonicMs();
    const readyForMs = this.#readyAtMs === undefined ? undefined : atMs - this.#readyAtMs;
    const { state, delayMs } = stepRestart(this.#restart, { atMs, readyForMs }, this.#clock.random);
    this.#restart = state;
    this.#child = undefined;
    this.#port = undefined;
    this.#readyAtMs = undefined;
    this.#lastError = exit.lastError ? `${exit.how}: ${exit.lastError}` : exit.how;
    this.#enter(state.crashLoop ? "crash-looping" : "restarting");
    this.#events.failed(exit, delayMs, state.crashLoop);
    void this.#again(delayMs);
  }

  async #again(delayMs: number): Promise<void> {
    try {
      await this.#clock.sleep(delayMs, this.#stopping.signal);
    } catch {
      return;
    }
    // A replacement may have taken the place while this one waited.
    if (this.#child) return;
    this.#restarts++;
    const child = this.#start();
    this.#child = child;
    this.#events.changed();
    try {
      const ready = await this.#whenReady(child);
      if (child !== this.#child || this.#stopping.signal.aborted) return;
      this.#take(child, ready.port);
      this.#events.recovered(child.pid);
    } catch {
      this.#ended(child, await child.exited);
    }
  }

  #enter(state: InstanceState): void {
    this.#state = state;
    this.#events.changed();
  }
}
