/**
 * How far the replicas of a node are behind, in milliseconds, as an upper bound that can be trusted.
 *
 * A sample says what the primary had at a moment of this process's own clock. A replica that has replayed it is
 * behind by no more than the sample is old. So an idle primary makes no replica look old (it has replayed the
 * newest sample), one that is cut off looks older and older, and no two clocks are compared.
 */
import type { LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import { askInserted, askReplayed } from "./routing-position.ts";
import { askWithin } from "./session-watch.ts";

const samplesMax = 64;
/** How long a server may take to say where it is; a later answer is of no use. */
const answerMsMax = 2_000;

interface Sample {
  readonly atMs: number;
  readonly position: LogPosition;
}

/**
 * Pure: the upper bound of the lag of a standby that has replayed up to `replayed`; `Infinity` when no sample is old
 * enough to tell.
 *
 * @param samples of the primary, oldest first
 */
export function lagMsOf(
  samples: readonly Sample[],
  replayed: LogPosition | undefined,
  nowMs: number,
): number {
  if (!replayed) return Number.POSITIVE_INFINITY;
  for (let i = samples.length - 1; i >= 0; i--) {
    const { atMs, position } = samples[i] as Sample;
    const { system, timeline, lsn } = position;
    if (system === replayed.system && timeline === replayed.timeline && lsn <= replayed.lsn) {
      return nowMs - atMs;
    }
  }
  return Number.POSITIVE_INFINITY;
}

export class LagWatch {
  readonly #clock: Clock;
  readonly #primary: NodePool;
  readonly #replicas: () => readonly NodePool[];
  #samples: Sample[] = [];
  #asking: Promise<void> | undefined;

  constructor(clock: Clock, primary: NodePool, replicas: () => readonly NodePool[]) {
    this.#clock = clock;
    this.#primary = primary;
    this.#replicas = replicas;
  }

  /** Upper bound of a replica's lag by what is known now, in milliseconds. */
  lagMs(pool: NodePool): number {
    return lagMsOf(this.#samples, pool.replayed, this.#clock.monotonicMs());
  }

  /** The replicas among `pools` that are certainly within `lagMsMax`; asks the servers when too little is known. */
  async within(lagMsMax: number, pools: readonly NodePool[], patience: Patience): Promise<NodePool[]> {
    const known = pools.map((pool) => this.lagMs(pool));
    const near = () => pools.filter((pool) => this.lagMs(pool) <= lagMsMax);
    if (Math.min(...known) > lagMsMax) await this.#ask(patience);
    // Asked again ahead of time, so that readers rarely wait for it.
    else if (Math.max(...known) > lagMsMax / 2) void this.#ask(patience);
    return near();
  }

  #ask({ untilMs }: Patience): Promise<void> {
    this.#asking ??= this.#askAll(Math.min(untilMs, this.#clock.monotonicMs() + answerMsMax)).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** First the primary, then the replicas: one that has what the primary had then is at most that old. */
  async #askAll(untilMs: number): Promise<void> {
    const patience: Patience = { untilMs, call: undefined };
    const atMs = this.#clock.monotonicMs();
    await this.#primary
      .use((session) => askWithin(session, patience, this.#clock, askInserted), patience)
      .then((position) => this.#note({ atMs, position }))
      // Away: the samples that there are go on ageing, and the replicas with them.
      .catch(() => {});
    await Promise.all(
      this.#replicas().map((pool) =>
        pool
          .use((session) => askWithin(session, patience, this.#clock, askReplayed), patience)
          .then((replayed) => {
            if (replayed) pool.replayed = replayed;
          })
          .catch(() => {}),
      ),
    );
  }

  #note(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length > samplesMax) this.#samples = this.#samples.slice(-samplesMax / 2);
  }
}
