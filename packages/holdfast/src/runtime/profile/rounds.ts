/** The same work several times: a warm-up that does not count, then rounds of a fixed length. */
import type { Clock } from "../../clock/index.ts";

export interface Rounds {
  readonly clock: Clock;
  readonly rounds: number;
  /** Length of each round in milliseconds. */
  readonly roundMs: number;
  /** Ends the measuring; what was measured so far is thrown away. */
  readonly signal: AbortSignal;
}

export interface Round {
  readonly operations: number;
  readonly seconds: number;
}

/** Operations a second of each round, `inFlight` at a time. */
export async function ratesOf(
  rounds: Rounds,
  inFlight: number,
  one: () => Promise<unknown>,
): Promise<number[]> {
  const values: number[] = [];
  await play(rounds, rounds.roundMs / 2, inFlight, one);
  for (let round = 0; round < rounds.rounds; round++) {
    const { operations, seconds } = await play(rounds, rounds.roundMs, inFlight, one);
    values.push(operations / seconds);
  }
  return values;
}

/** One round. An operation that fails ends everything: a figure of failures is none. */
export async function play(
  { clock, signal }: Rounds,
  ms: number,
  inFlight: number,
  one: () => Promise<unknown>,
): Promise<Round> {
  const startMs = clock.monotonicMs();
  let operations = 0;
  let failed = false;
  const lane = async () => {
    // At least one, however slow the machine is.
    do {
      signal.throwIfAborted();
      await one();
      operations++;
    } while (!failed && clock.monotonicMs() - startMs < ms);
  };
  const lanes = Array.from({ length: inFlight }, () =>
    lane().catch((error) => {
      failed = true;
      throw error;
    }),
  );
  // All of them end before the failure is told: what they use is closed next.
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
  return { operations, seconds: (clock.monotonicMs() - startMs) / 1_000 };
}

/** Milliseconds of one, from how many a second follow each other. */
export function millisecondsEach(rates: readonly number[]): number[] {
  return rates.map((rate) => 1_000 / rate);
}
