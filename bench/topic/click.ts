/** What the bench publishes: a click, as the shortener has them. */
import type { Random } from "holdfast/clock";

export interface Click {
  readonly code: string;
  readonly at: number;
  readonly referrer: string;
}

export const clickSchema = {
  "~standard": {
    version: 1 as const,
    vendor: "bench",
    validate: (value: unknown) => ({ value: value as Click }),
    types: {} as { readonly input: Click; readonly output: Click },
  },
};

/** Skewed as clicks are: half of them go to a tenth of the codes. */
export function drawClick(random: Random): Click {
  return {
    code: `code-${Math.floor(1_000 * random.next() ** 3)}`,
    at: 1_750_000_000_000 + Math.floor(random.next() * 1e9),
    referrer: "https://example.com/some/page",
  };
}
