/**
 * The attempts that run in a process: each in a call of its own, each with an end, whatever its handler does.
 *
 * A handler can be told to stop (its time is up, the job was cancelled, the lease is lost, the process drains), but
 * not be made to. One that does not stop within the grace is given up: its attempt ends, its place goes to the next,
 * and what it still does is a stray's work that the store refuses to hear of. Strays are counted, because they take
 * memory and connections: with too many of them the process should end.
 *
 * One timer looks after all of them.
 */
import { Call, HoldfastError, inCall } from "../call/index.ts";
import type { Timer } from "../clock/index.ts";
import type { AttemptEnd, ClaimedJob } from "../parts/queue/index.ts";
import { OpenJob } from "../parts/worker/index.ts";
import { inWorld } from "../parts/world.ts";
import { heardSession, linkedTrace } from "./origin-call.ts";
import { endOfFailure, endOfResult } from "./work-attempt-end.ts";
import { type WorkErrorContext, type WorkOptions, workDefaults } from "./work-options.ts";

export interface AttemptsEnvironment<Value> extends WorkOptions<Value> {
  readonly report: (error: unknown, context: WorkErrorContext) => void;
  /** Told of each end. */
  readonly ended: (job: ClaimedJob, end: AttemptEnd) => void;
  /** Told when handlers were given up that had not stopped in time. */
  readonly gaveUp: () => void;
  readonly progress: (job: ClaimedJob, json: string) => Promise<void>;
}

interface Attempt {
  readonly job: ClaimedJob;
  readonly call: Call;
  readonly stop: AbortController;
  readonly deadlineAtMs: number;
  /** Why it was told to stop. */
  reason: HoldfastError | undefined;
  isCancelled: boolean;
  /** Its end was told, or nobody wants to know it. */
  isOver: boolean;
}

export class WorkAttempts<Value> {
  readonly #env: AttemptsEnvironment<Value>;
  /** In the order of their deadlines, because all get the same time. */
  readonly #running = new Map<string, Attempt>();
  /** Told to stop, with the moment at which they are given up. */
  readonly #stopping = new Map<Attempt, number>();
  readonly #sweepMs: number;
  #timer: Timer | undefined;
  #strays = 0;
  #quiet: (() => void)[] = [];

  constructor(env: AttemptsEnvironment<Value>) {
    this.#env = env;
    this.#sweepMs = Math.min(250, Math.max(5, env.worker.options.timeoutMs / 20));
  }

  get running(): number {
    return this.#running.size;
  }

  /** Handlers that have not returned though their attempts are over. */
  get strays(): number {
    return this.#strays;
  }

  start(job: ClaimedJob): void {
    const { clock, worker, world, handler } = this.#env;
    const { timeoutMs } = worker.options;
    const stop = new AbortController();
    const trace = linkedTrace(job.traceparent, clock.random);
    const call = new Call(clock, {
      timeoutMs,
      attempt: job.attempt,
      signal: stop.signal,
      ...(trace ? { trace } : {}),
      ...(job.session === undefined ? {} : { session: heardSession([job.session]) }),
    });
    const attempt: Attempt = {
      job,
      call,
      stop,
      deadlineAtMs: call.deadlineAtMs,
      reason: undefined,
      isCancelled: false,
      isOver: false,
    };
    this.#running.set(job.id, attempt);
    this.#timer ??= clock.timer(this.#sweepMs, () => this.#sweep());
    const open = new OpenJob<Value>({
      queue: worker.options.from.name,
      claimed: job,
      nowMs: () => clock.wallMs(),
      signal: () => stop.signal,
      progress: (json) => this.#env.progress(job, json),
    });
    let answer: unknown;
    try {
      answer = inCall(call, () => {
        if (!world) return handler(open);
        return inWorld(world, () =>
          world.seam.observed
            ? world.seam.operation("worker", worker.name, "job", call, async () => handler(open), {
                id: job.id,
                attempt: job.attempt,
              })
            : handler(open),
        );
      });
    } catch (error) {
      this.#failed(attempt, error);
      return;
    }
    if (!isThenable(answer)) this.#answered(attempt, answer);
    else
      answer.then(
        (result) => this.#answered(attempt, result),
        (error: unknown) => this.#failed(attempt, error),
      );
  }

  /** Tells those jobs' handlers that they were cancelled. */
  cancel(ids: readonly string[]): void {
    for (const id of ids) {
      const attempt = this.#running.get(id);
      if (!attempt || attempt.isCancelled) continue;
      attempt.isCancelled = true;
      this.#tellToStop(attempt, cancelledError(id));
    }
  }

  /** Tells all that run to stop; those that do not are given up after the grace. */
  stopAll(reason: HoldfastError): void {
    for (const attempt of this.#running.values()) this.#tellToStop(attempt, reason);
  }

  /** The lease is lost: nobody wants to know how they end. */
  abandonAll(reason: HoldfastError): void {
    for (const attempt of [...this.#running.values()]) {
      attempt.stop.abort(reason);
      this.#giveUp(attempt);
    }
  }

  /** Lets go of the timer: nobody waits for what still runs. */
  close(): void {
    this.#timer?.cancel();
  }

  /** Resolves when none runs, strays not counted. */
  quiet(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#quiet.push(resolve));
  }

  #answered(attempt: Attempt, result: unknown): void {
    if (this.#isStray(attempt)) return;
    const end = endOfResult(attempt.job, result);
    if (end.kind === "dead")
      this.#report(attempt, new HoldfastError("HOLDFAST_INPUT_INVALID", end.failure.message), end);
    this.#end(attempt, end);
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (this.#isStray(attempt)) return;
    // What it threw because it was told to stop is no news; why it was told is.
    const reason = attempt.reason ?? this.#lateFor(attempt, error) ?? error;
    this.#end(attempt, this.#endOf(attempt, reason));
  }

  /** A part that the handler used may notice that the attempt's time is up before the sweep does. */
  #lateFor({ job, deadlineAtMs }: Attempt, error: unknown): HoldfastError | undefined {
    const { clock, worker } = this.#env;
    const isDeadline = error instanceof HoldfastError && error.code === "HOLDFAST_DEADLINE";
    if (!isDeadline || clock.monotonicMs() < deadlineAtMs) return undefined;
    return timeoutError(job, worker.options.timeoutMs, error);
  }

  #endOf(attempt: Attempt, error: unknown): AttemptEnd {
    const { clock, worker } = this.#env;
    const { retry } = worker.options.from.options;
    const end = endOfFailure(attempt.job, error, attempt.isCancelled, clock.random.next(), retry);
    if (!attempt.isCancelled) this.#report(attempt, error, end);
    return end;
  }

  #isStray(attempt: Attempt): boolean {
    if (attempt.isOver) this.#strays--;
    return attempt.isOver;
  }

  #end(attempt: Attempt, end: AttemptEnd): void {
    this.#remove(attempt);
    this.#env.ended(attempt.job, end);
    this.#noteQuiet();
  }

  #giveUp(attempt: Attempt): void {
    this.#remove(attempt);
    this.#strays++;
    this.#noteQuiet();
  }

  #remove(attempt: Attempt): void {
    attempt.isOver = true;
    attempt.call.end();
    this.#running.delete(attempt.job.id);
    if (this.#stopping.size > 0) this.#stopping.delete(attempt);
  }

  #tellToStop(attempt: Attempt, reason: HoldfastError): void {
    if (attempt.reason) return;
    attempt.reason = reason;
    this.#stopping.set(attempt, this.#env.clock.monotonicMs() + workDefaults.graceMs);
    attempt.stop.abort(reason);
  }

  #sweep(): void {
    const { clock, worker } = this.#env;
    this.#timer = undefined;
    const nowMs = clock.monotonicMs();
    for (const attempt of this.#running.values()) {
      if (attempt.deadlineAtMs > nowMs) break;
      this.#tellToStop(attempt, timeoutError(attempt.job, worker.options.timeoutMs));
    }
    const late = [...this.#stopping].filter(([, atMs]) => atMs <= nowMs);
    for (const [attempt] of late) {
      const end = this.#endOf(attempt, attempt.reason);
      this.#giveUp(attempt);
      this.#env.ended(attempt.job, end);
    }
    if (late.length > 0) this.#env.gaveUp();
    if (this.#running.size > 0) this.#timer = clock.timer(this.#sweepMs, () => this.#sweep());
  }

  #report({ job }: Attempt, error: unknown, end: AttemptEnd): void {
    const context = { stage: "handle", id: job.id, attempt: job.attempt } as const;
    this.#env.report(error, end.kind === "dead" ? { ...context, isDead: true } : context);
  }

  #noteQuiet(): void {
    if (this.#running.size > 0 || this.#quiet.length === 0) return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return (
    typeof answer === "object" && answer !== null && "then" in answer && typeof answer.then === "function"
  );
}

function timeoutError({ id, attempt }: ClaimedJob, timeoutMs: number, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ATTEMPT_TIMEOUT",
    `Attempt ${attempt} of job ${id} took longer than the worker's timeoutMs (${timeoutMs}). Give it more time, or do less in one job; a handler should stop when job.signal aborts.`,
    { data: { id, attempt, timeoutMs }, cause },
  );
}

function cancelledError(id: string): HoldfastError {
  return new HoldfastError("HOLDFAST_ABORTED", `Job ${id} was cancelled.`, { data: { id } });
}
