/**
 * Faults one after the other, drawn by the run's seed: each begins, is seen to work, lasts, and is undone before
 * the next. What was begun is undone also when something throws in between.
 */
import { seededRandom, systemClock } from "../../clock/index.ts";
import type { FaultSeen, RecordedFaults } from "./run-recorded.ts";

export interface RoundFault {
  /** What is done to whom: `kill node-1/primary`. */
  readonly name: string;
  /** Does it. @returns the effect that was seen, in words; nothing when there was none */
  begin(): Promise<string | undefined>;
  /** Undoes it, and returns when it is seen to be gone. */
  end(): Promise<void>;
}

export interface FaultRoundsOptions {
  /** They are drawn from these; each comes once before any comes again. */
  readonly faults: readonly RoundFault[];
  /** Default: one for each fault. */
  readonly rounds?: number;
  /** How long a fault lasts, in milliseconds. Default 300. */
  readonly lastsMs?: number;
  /** How long the system has between two, in milliseconds. Default 300. */
  readonly restMs?: number;
}

export function faultRounds(options: FaultRoundsOptions): RecordedFaults {
  const { faults, rounds = faults.length, lastsMs = 300, restMs = 300 } = options;
  return {
    async run(note, seed) {
      const random = seededRandom(seed);
      const seen: FaultSeen[] = [];
      let left: RoundFault[] = [];
      for (let round = 0; round < rounds; round++) {
        await systemClock.sleep(restMs);
        if (left.length === 0) left = [...faults];
        const [fault] = left.splice(Math.floor(random.next() * left.length), 1);
        if (!fault) break;
        note("begin", fault.name);
        let effect: string | undefined;
        try {
          effect = await fault.begin();
          await systemClock.sleep(lastsMs);
        } finally {
          await fault.end();
        }
        note("end", fault.name);
        seen.push({ fault: fault.name, undone: true, ...(effect === undefined ? {} : { effect }) });
      }
      return seen;
    },
  };
}
