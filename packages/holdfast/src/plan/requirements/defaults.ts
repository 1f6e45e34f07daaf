/** What is assumed when nothing was said, and where each assumption comes from. All of them are listed in every plan. */
import type { Quantity } from "../../parts/requirements/index.ts";

export interface Default {
  readonly value: Quantity;
  readonly source: string;
}

const practice = "common practice in capacity estimates";

export const defaults = {
  peakFactor: { value: [2, 3, 5], source: "design guides take the peak as 2 to 10 times the average" },
  requestBytes: { value: ["200 B", "500 B", "2 kB"], source: `${practice}: a small JSON request` },
  responseBytes: { value: ["500 B", "2 kB", "10 kB"], source: `${practice}: a small JSON answer` },
  writeResponseBytes: { value: ["100 B", "200 B", "1 kB"], source: `${practice}: an acknowledgement` },
  p99Ms: {
    value: "500 ms",
    source: "below a second, a person's flow of thought is not interrupted (Nielsen, 1993)",
  },
  deliveredWithinMs: { value: "10 s", source: "what readers of a feed still take for at once" },
  retries: { value: 2, source: "the default of this project's retry: three attempts" },
  indexOverhead: {
    value: ["20 %", "30 %", "60 %"],
    source: "row headers and one to three B-tree indexes beside rows of some hundred bytes",
  },
  hitRatio: { value: "90 %", source: "a usual aim for a cache in front of a database" },
  skew: {
    value: [0.7, 0.9, 1],
    source:
      "Zipf exponents of web requests (Breslau et al., INFOCOM 1999: 0.64 to 0.83; social feeds nearer 1)",
  },
  availability: { value: "99.9 %", source: "a usual first objective: 43.8 minutes of failure a month" },
  growthPerYear: { value: "0 %", source: "no growth was said" },
  horizonYears: { value: 5, source: "the usual horizon of storage estimates" },
  ttlMs: { value: "60 s", source: "the default of this project's cache" },
} as const satisfies Record<string, Default>;
