/**
 * One membership of a queue, from joining to leaving or to the loss of the lease: what it has claimed and not begun,
 * what it has ended and not told, and its heartbeats.
 */
import { HoldfastError } from "../call/index.ts";
import type { Timer } from "../clock/index.ts";
import { type AttemptEnd, type ClaimedJob, isSelective, type QueueMember } from "../parts/queue/index.ts";
import { backoffMs } from "./consume-wait.ts";
import { Nudge } from "./nudge.ts";
import type { WorkAttempts } from "./work-attempts.ts";
import { claimStep, paceStep } from "./work-claim-step.ts";
import { type EndedAttempt, WorkEnds } from "./work-ends.ts";
import { type WorkErrorContext, type WorkOptions, workDefaults } from "./work-options.ts";

export interface WorkEnvironment<Value> extends WorkOptions<Value> {
  readonly member: QueueMember;
  readonly attempts: WorkAttempts<Value>;
  readonly report: (error: unknown, context: WorkErrorContext) => void;
  /** Claim no more. */
  readonly stop: AbortSignal;
}

export interface LostLease {
  readonly error: HoldfastError;
  /** The store took it away, though it cannot have run out. */
  readonly wasAlive: boolean;
}

/** While nothing comes, the store is asked from every 10 ms down to every 250 ms; its wake-up usually ends the wait. */
const idleMs = { first: 10, max: 250 };

export class WorkMembership<Value> {
  readonly #env: WorkEnvironment<Value>;
  readonly #ends: WorkEnds;
  readonly #lost = Promise.withResolvers<LostLease>();
  readonly #beat: Nudge;
  readonly #isSelective: boolean;
  #isLost = false;
  #isOver = false;
  #aliveUntilMs: number;
  #expiry: Timer | undefined;
  /** Claimed and not begun; those before `#begun` have been. */
  #ahead: readonly ClaimedJob[] = [];
  #begun = 0;
  #claiming = false;
  #pumping = false;
  /** Ends a wait for something to claim. */
  #idle: AbortController | undefined;
  #idleMs = idleMs.first;
  #perMs = 0;
  #endedSince = 0;
  #sinceMs: number;

  /** @param aliveUntilMs until when the lease holds at least, on the monotonic clock */
  constructor(env: WorkEnvironment<Value>, aliveUntilMs: number) {
    this.#env = env;
    this.#aliveUntilMs = aliveUntilMs;
    this.#sinceMs = env.clock.monotonicMs();
    this.#beat = new Nudge(env.clock);
    this.#isSelective = isSelective(env.worker.options.from.options);
    this.#ends = new WorkEnds({
      queue: env.queue,
      member: env.member,
      clock: env.clock,
      isBusy: () => env.attempts.running > 0 || this.#waiting > 0,
      told: (ended) => this.#told(ended),
      fenced: (error) => this.#lose(error),
      report: env.report,
    });
    void this.#beats();
    this.#pump();
  }

  /** Resolves when the lease is lost. */
  lost(): Promise<LostLease> {
    return this.#lost.promise;
  }

  ended(job: ClaimedJob, end: AttemptEnd): void {
    this.#endedSince++;
    this.#ends.add(job, end);
    this.#pump();
  }

  async progress(job: ClaimedJob, json: string): Promise<void> {
    if (!this.#isLost) await this.#env.queue.progress(this.#env.member, job, json);
  }

  /** Gives back what has not begun, lets what runs end, and leaves. */
  async drain(drainMs: number): Promise<void> {
    const { attempts, clock, queue, member, worker, report } = this.#env;
    this.#idle?.abort();
    for (const job of this.#takeAhead()) this.#ends.add(job, { kind: "released" });
    const within = async (ms: number, what: Promise<void>) => {
      const over = new Nudge(clock);
      void what.then(() => over.now());
      await Promise.race([over.wait(ms), this.#lost.promise]);
      over.now();
    };
    await within(drainMs, attempts.quiet());
    attempts.stopAll(drainError(worker.name, drainMs));
    await within(2 * workDefaults.graceMs, attempts.quiet());
    await within(drainMs, this.#ends.flushed());
    this.close();
    if (this.#isLost) return;
    await queue.leave(member).catch((error: unknown) => report(error, { stage: "leave", attempt: 1 }));
  }

  /** Ends heartbeats and waiting. */
  close(): void {
    this.#isOver = true;
    this.#expiry?.cancel();
    this.#idle?.abort();
    this.#ends.drop();
    this.#beat.now();
  }

  get #waiting(): number {
    return this.#ahead.length - this.#begun;
  }

  #takeAhead(): readonly ClaimedJob[] {
    const rest = this.#ahead.slice(this.#begun);
    this.#ahead = [];
    this.#begun = 0;
    return rest;
  }

  /** Begins what there are places for, and claims what is missing. */
  #pump(): void {
    const { attempts, worker, stop, clock } = this.#env;
    const { concurrency } = worker.options;
    // A handler that answers at once ends within the loop below, which goes on by itself.
    if (this.#isLost || stop.aborted || this.#pumping) return;
    this.#pumping = true;
    const untoldMax = 2 * Math.max(workDefaults.prefetchMax, concurrency);
    while (this.#waiting > 0 && attempts.running < concurrency && this.#ends.untold < untoldMax) {
      // Looked at before each job: one that blocks the process may have outlasted the lease.
      if (clock.monotonicMs() >= this.#aliveUntilMs) this.#lose(undefined);
      else attempts.start(this.#ahead[this.#begun++] as ClaimedJob);
    }
    this.#pumping = false;
    if (!this.#claiming && !this.#isLost) void this.#claims();
  }

  #wanted(): number {
    const { attempts, worker } = this.#env;
    const need = {
      concurrency: worker.options.concurrency,
      running: attempts.running,
      ahead: this.#waiting,
      untold: this.#ends.untold,
      perMs: this.#perMs,
    };
    return claimStep(need, workDefaults);
  }

  /** Claims until nothing is wanted; one claim at a time. */
  async #claims(): Promise<void> {
    const { queue, member, clock, report, stop } = this.#env;
    this.#claiming = true;
    let failures = 0;
    while (!this.#isLost && !stop.aborted) {
      const count = this.#wanted();
      if (count === 0) break;
      this.#measure();
      try {
        const jobs = await queue.claim(member, count, workDefaults.claimBytesMax);
        failures = 0;
        if (jobs.length === 0) await this.#waitForWork();
        else this.#take(jobs);
      } catch (error) {
        if (error instanceof HoldfastError && error.code === "HOLDFAST_FENCED") {
          this.#lose(error);
          break;
        }
        report(error, { stage: "claim", attempt: ++failures });
        await clock.sleep(backoffMs(clock, failures), stop).catch(() => {});
      }
    }
    this.#claiming = false;
  }

  #take(jobs: readonly ClaimedJob[]): void {
    const { stop } = this.#env;
    this.#idleMs = idleMs.first;
    if (this.#isLost) return;
    if (stop.aborted) {
      // Claimed while draining began: nobody is to wait for the lease.
      for (const job of jobs) this.#ends.add(job, { kind: "released" });
      return;
    }
    this.#ahead = this.#waiting === 0 ? jobs : [...this.#takeAhead(), ...jobs];
    this.#begun = 0;
    this.#pump();
  }

  async #waitForWork(): Promise<void> {
    const { queue } = this.#env;
    if (this.#isOver) return;
    this.#idle = new AbortController();
    await queue.wait(this.#idleMs, this.#idle.signal).catch(() => {});
    this.#idle = undefined;
    this.#idleMs = Math.min(this.#idleMs * 2, idleMs.max);
  }

  #measure(): void {
    const nowMs = this.#env.clock.monotonicMs();
    const passedMs = nowMs - this.#sinceMs;
    if (passedMs < 1) return;
    this.#perMs = paceStep(this.#perMs, this.#endedSince, passedMs);
    this.#endedSince = 0;
    this.#sinceMs = nowMs;
  }

  #told(ended: readonly EndedAttempt[]): void {
    const { onJob } = this.#env;
    if (onJob) for (const { job, end } of ended) onJob(job, end);
    // Ends of this member free places of groups and of the queue: ask now, not when the pause is over.
    if (this.#isSelective && ended.length > 0) {
      this.#idleMs = idleMs.first;
      this.#idle?.abort();
    }
    this.#pump();
  }

  async #beats(): Promise<void> {
    const { queue, member, worker, clock, report, attempts } = this.#env;
    const { leaseMs } = worker.options;
    let failures = 0;
    while (!this.#isOver && !this.#isLost) {
      // Also while a heartbeat has no answer at all, and while the first one is not due.
      this.#expiry?.cancel();
      this.#expiry = clock.timer(Math.max(0, this.#aliveUntilMs - clock.monotonicMs()), () =>
        this.#lose(undefined),
      );
      const pauseMs = leaseMs / 3;
      await this.#beat.wait(failures > 0 ? Math.min(pauseMs, backoffMs(clock, failures)) : pauseMs);
      if (this.#isOver || this.#isLost) break;
      const askedAtMs = clock.monotonicMs();
      try {
        const cancelled = await queue.heartbeat(member, leaseMs);
        this.#aliveUntilMs = askedAtMs + leaseMs;
        failures = 0;
        this.#cancel(cancelled);
        attempts.cancel(cancelled);
      } catch (error) {
        if (error instanceof HoldfastError && error.code === "HOLDFAST_FENCED") this.#lose(error);
        else report(error, { stage: "heartbeat", attempt: ++failures });
      }
    }
    this.#expiry?.cancel();
  }

  /** What is cancelled and has not begun does not begin. */
  #cancel(ids: readonly string[]): void {
    if (ids.length === 0 || this.#waiting === 0) return;
    const gone = new Set(ids);
    const rest = this.#takeAhead();
    this.#ahead = rest.filter((job) => !gone.has(job.id));
    for (const job of rest) if (gone.has(job.id)) this.#ends.add(job, { kind: "cancelled" });
  }

  /** @param error what the store said; `undefined`: by the clock of this process the lease is over */
  #lose(error: unknown): void {
    if (this.#isLost || this.#isOver) return;
    const { clock, worker, member } = this.#env;
    const wasAlive = clock.monotonicMs() < this.#aliveUntilMs;
    this.#isLost = true;
    this.#takeAhead();
    this.#ends.drop();
    this.#expiry?.cancel();
    this.#idle?.abort();
    this.#beat.now();
    this.#lost.resolve({ error: lostError(worker.name, member.name, error), wasAlive });
  }
}

function lostError(worker: string, member: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `${member} of worker "${worker}" has lost its lease: it stood still for too long, could not reach the store, or another has joined under its name. Its jobs go to others under their next attempts; what was applied with job.apply counts once all the same.`,
    { data: { worker, member }, cause },
  );
}

function drainError(worker: string, drainMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ABORTED",
    `Worker "${worker}" is stopping, and the handler did not end within ${drainMs} ms.`,
    { data: { worker, drainMs } },
  );
}
