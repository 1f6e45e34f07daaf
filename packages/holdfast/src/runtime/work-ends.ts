/**
 * Telling the store how attempts ended.
 *
 * One report is under way at a time. What ends meanwhile goes together in the next one, so that the busier a worker
 * is, the more ends share a transaction; a lone end does not wait for company. A report that failed, or had no
 * answer, is made again until the lease is lost: an end counts once, whatever happens to the answers.
 */
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { AttemptEnd, ClaimedJob, QueueMember, QueuePort } from "../parts/queue/index.ts";
import { backoffMs } from "./consume-wait.ts";
import type { WorkErrorContext } from "./work-options.ts";

export interface EndedAttempt {
  readonly job: ClaimedJob;
  readonly end: AttemptEnd;
}

export interface EndsEnvironment {
  readonly queue: QueuePort;
  readonly member: QueueMember;
  readonly clock: Clock;
  /** Whether more is about to end: then it is worth a moment. */
  readonly isBusy: () => boolean;
  /** Told of what the store has taken: places in the store may have become free. */
  readonly told: (ended: readonly EndedAttempt[]) => void;
  /** Told when the store says that the lease is lost. */
  readonly fenced: (error: unknown) => void;
  readonly report: (error: unknown, context: WorkErrorContext) => void;
}

/** Most ends, and about how many bytes of results, in one report. */
const endsMax = 1_000;
const resultBytesMax = 8 << 20;

export class WorkEnds {
  readonly #env: EndsEnvironment;
  #waiting: EndedAttempt[] = [];
  #underWay = 0;
  #scheduled = false;
  #dropped = false;
  #flushed: (() => void)[] = [];

  constructor(env: EndsEnvironment) {
    this.#env = env;
  }

  /** Ends that the store has not heard of. */
  get untold(): number {
    return this.#waiting.length + this.#underWay;
  }

  add(job: ClaimedJob, end: AttemptEnd): void {
    if (this.#dropped) return;
    this.#waiting.push({ job, end });
    if (this.#underWay > 0 || this.#scheduled) return;
    if (!this.#env.isBusy()) {
      void this.#tellAll();
      return;
    }
    // Those that end in the same turn of the event loop go together.
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#underWay === 0) void this.#tellAll();
    });
  }

  /** Resolves when the store has heard of everything, or nothing more is to be told. */
  flushed(): Promise<void> {
    if (this.untold === 0 || this.#dropped) return Promise.resolve();
    return new Promise((resolve) => this.#flushed.push(resolve));
  }

  /** The lease is lost: what is untold would be refused. */
  drop(): void {
    this.#dropped = true;
    this.#waiting = [];
    this.#noteFlushed();
  }

  async #tellAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#dropped) {
      const some = this.#take();
      this.#underWay = some.length;
      await this.#tell(some);
      this.#underWay = 0;
    }
    this.#noteFlushed();
  }

  #take(): readonly EndedAttempt[] {
    let bytes = 0;
    let count = 0;
    for (const { end } of this.#waiting) {
      if (end.kind === "done") bytes += end.resultJson?.length ?? 0;
      if (count > 0 && (count === endsMax || bytes > resultBytesMax)) break;
      count++;
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting;
      this.#waiting = [];
      return all;
    }
    return this.#waiting.splice(0, count);
  }

  async #tell(some: readonly EndedAttempt[]): Promise<void> {
    const { queue, member, clock, report } = this.#env;
    for (let failures = 0; !this.#dropped; ) {
      try {
        const counted = await queue.finish(member, some);
        // After a report without an answer, "not counted" may be because the first one was heard.
        if (failures === 0) this.#reportRefused(some, counted);
        this.#env.told(some.filter((_, at) => counted[at] || failures > 0));
        return;
      } catch (error) {
        if (error instanceof HoldfastError && error.code === "HOLDFAST_FENCED") {
          this.#env.fenced(error);
          return;
        }
        report(error, { stage: "finish", attempt: ++failures });
        await clock.sleep(backoffMs(clock, failures));
      }
    }
  }

  #reportRefused(some: readonly EndedAttempt[], counted: readonly boolean[]): void {
    for (const [at, { job }] of some.entries()) {
      if (counted[at]) continue;
      this.#env.report(refusedError(job), { stage: "finish", id: job.id, attempt: job.attempt });
    }
  }

  #noteFlushed(): void {
    if (this.untold > 0 && !this.#dropped) return;
    for (const resolve of this.#flushed.splice(0)) resolve();
  }
}

function refusedError({ id, attempt }: ClaimedJob): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Attempt ${attempt} of job ${id} had passed to another member; how it ended here does not count. What it did with job.apply counts once all the same.`,
    { data: { id, attempt } },
  );
}
