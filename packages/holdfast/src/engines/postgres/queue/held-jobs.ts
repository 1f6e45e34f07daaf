/**
 * What one member holds, as its process knows it: to claim after the claims that it knows, to say with each heartbeat
 * before which claim it has nothing left, and to pass on only those cancellations that it can still follow.
 */
import type { ClaimedJob } from "../../../parts/queue/index.ts";
import type { Claimed, JobHandle } from "./queue-claim.ts";

export class HeldJobs {
  /** The newest claim that is known. */
  #last: bigint;
  /** Unended jobs of each claim, oldest claim first. */
  readonly #open = new Map<string, number>();
  readonly #ids = new Map<string, JobHandle>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(last: bigint) {
    this.#last = last;
  }

  /** One claim after the other: what is new to one is not to the next. */
  claim(take: (last: bigint) => Promise<Claimed>): Promise<readonly ClaimedJob[]> {
    const taken = this.#turn.then(async () => {
      const { jobs, last } = await take(this.#last);
      this.#last = last;
      for (const { id, handle } of jobs) {
        const { claim } = handle as JobHandle;
        this.#open.set(claim, (this.#open.get(claim) ?? 0) + 1);
        this.#ids.set(id, handle as JobHandle);
      }
      return jobs;
    });
    this.#turn = taken.catch(() => {});
    return taken;
  }

  ended({ id, handle }: ClaimedJob): void {
    if (this.#ids.get(id) !== handle) return;
    this.#ids.delete(id);
    const { claim } = handle as JobHandle;
    const left = (this.#open.get(claim) ?? 1) - 1;
    if (left === 0) this.#open.delete(claim);
    else this.#open.set(claim, left);
  }

  holds(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Nothing is left of claims with lower numbers. */
  get doneBefore(): bigint {
    const [oldest] = this.#open.keys();
    return oldest === undefined ? this.#last + 1n : BigInt(oldest);
  }
}
