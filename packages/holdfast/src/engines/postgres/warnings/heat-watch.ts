/** Samples keys for a window at a time, and tells which of them, and which shards, were hot. */
import type { Clock, Timer } from "../../../clock/index.ts";
import { type Heat, type HeatRule, judgeHeat } from "./heat-step.ts";
import { SpaceSaving } from "./space-saving.ts";

export interface HeatWatchOptions extends HeatRule {
  readonly windowMs: number;
  /** One key of so many is sampled, on average. */
  readonly sampleEvery: number;
}

/** Keys that are counted at one time: those with more than a 64th of the samples are certainly among them. */
const keysMax = 64;

export class HeatWatch {
  readonly #clock: Clock;
  readonly #options: HeatWatchOptions;
  readonly #tell: (heat: Heat, samples: number) => void;
  #keys = new SpaceSaving(keysMax);
  #shardOfKey = new Map<string, number>();
  #shards = new Map<number, number>();
  #shardCount = 0;
  #skip = 0;
  #window: Timer | undefined;

  constructor(clock: Clock, options: HeatWatchOptions, tell: (heat: Heat, samples: number) => void) {
    this.#clock = clock;
    this.#options = options;
    this.#tell = tell;
  }

  key(key: string, shard: number, shardCount: number): void {
    if (--this.#skip > 0) return;
    // Drawn, so that a loop over the same keys in the same order is not always caught at the same one.
    this.#skip = 1 + Math.floor(this.#clock.random.next() * (2 * this.#options.sampleEvery - 1));
    this.#window ??= this.#clock.timer(this.#options.windowMs, () => this.#end());
    this.#shardCount = shardCount;
    this.#keys.add(key);
    this.#shardOfKey.set(key, shard);
    this.#shards.set(shard, (this.#shards.get(shard) ?? 0) + 1);
    // Keys that went out of the count go out of here, too.
    if (this.#shardOfKey.size > 4 * keysMax)
      this.#shardOfKey = new Map(this.#counted().map((one) => [one.key, one.shard]));
  }

  close(): void {
    this.#window?.cancel();
    this.#window = undefined;
  }

  #counted() {
    return this.#keys.top().map((one) => ({ ...one, shard: this.#shardOfKey.get(one.key) ?? -1 }));
  }

  #end(): void {
    const samples = this.#keys.total;
    const heat = judgeHeat(
      { samples, keys: this.#counted(), shards: this.#shards, shardCount: this.#shardCount },
      this.#options,
    );
    this.#window = undefined;
    this.#keys = new SpaceSaving(keysMax);
    this.#shardOfKey = new Map();
    this.#shards = new Map();
    this.#tell(heat, samples);
  }
}
