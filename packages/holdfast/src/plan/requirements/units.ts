/**
 * Units that a person may write, and what each is in the planner's own: bytes, events a second, milliseconds,
 * days, years, a ratio, a plain count. Sizes follow the standards: k, M, G are powers of 1000, Ki, Mi, Gi of 1024.
 */

export type Dimension = "bytes" | "rate" | "ms" | "days" | "hours" | "years" | "ratio" | "count" | "money";

const decimal = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 } as const;
const binary = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 } as const;
const words = { thousand: 1e3, million: 1e6, billion: 1e9, trillion: 1e12 } as const;

const withSuffix = (prefixes: Readonly<Record<string, number>>, suffix: string) =>
  Object.fromEntries(Object.entries(prefixes).map(([prefix, factor]) => [`${prefix}${suffix}`, factor]));

const counts: Readonly<Record<string, number>> = { "": 1, ...decimal, ...words };

const daysOf = { h: 1 / 24, d: 1, day: 1, days: 1, week: 7, weeks: 7, month: 365 / 12, months: 365 / 12 };
/** A year is 365 days here, as everywhere in estimates of this kind. */
const yearDays = { y: 365, year: 365, years: 365 };
const days: Readonly<Record<string, number>> = { ...daysOf, ...yearDays };
const scaled = (table: Readonly<Record<string, number>>, factor: number) =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [name, value * factor]));

const per: Readonly<Record<string, number>> = {
  "/s": 1,
  "/min": 1 / 60,
  "/h": 1 / 3_600,
  "/day": 1 / 86_400,
  "/d": 1 / 86_400,
};
const rates = Object.fromEntries(
  Object.entries(counts).flatMap(([prefix, factor]) =>
    Object.entries(per).map(([suffix, seconds]) => [`${prefix}${suffix}`, factor * seconds]),
  ),
);

/** By dimension: what each unit is in the planner's own. A number without a unit is in that one already. */
export const units: Readonly<Record<Dimension, Readonly<Record<string, number>>>> = {
  bytes: { B: 1, ...withSuffix(decimal, "B"), ...withSuffix(binary, "B") },
  rate: { "": 1, ...rates },
  ms: { "": 1, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, min: 6e4, ...scaled(days, 86_400_000) },
  hours: { "": 1, min: 1 / 60, ...scaled(days, 24) },
  days: { "": 1, ...days },
  years: { "": 1, ...scaled(days, 1 / 365) },
  ratio: { "": 1, "%": 0.01 },
  count: counts,
  money: { "": 1 },
};

/** What a message offers when a unit is not known: the common ones, not all spellings. */
export const unitsShown: Readonly<Record<Dimension, string>> = {
  bytes: "B, kB, MB, GB, TB, PB, EB, or KiB, MiB, GiB, TiB",
  rate: "/s, /min, /h or /day, with k, M, G before it, such as 2 k/s",
  ms: "us, ms, s, min, h or days",
  hours: "min, h, days, weeks",
  days: "h, days, weeks, months, years",
  years: "days, months, years",
  ratio: "% or none",
  count: "none, or k, M, G, T (thousand, million, billion, trillion)",
  money: "none",
};
