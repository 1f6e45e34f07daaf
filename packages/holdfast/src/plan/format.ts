/** Figures for people: three digits, the unit's own prefixes, an interval only where there is one. */
import type { Interval } from "./models/interval.ts";

/** Units that estimates have. A money unit is the currency and `/month`. */
export type Unit = "/s" | "B" | "B/s" | "B/day" | "count" | "ratio" | "ms" | "min/month" | `${string}/month`;

const prefixes = [
  ["E", 1e18],
  ["P", 1e15],
  ["T", 1e12],
  ["G", 1e9],
  ["M", 1e6],
  ["k", 1e3],
] as const;

/** `11.6 k/s`, `365 TB`, `99.9 %`, `12 ms`, `1.50 days`. */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return "unbounded";
  if (unit === "ratio") return formatShare(value);
  if (unit === "ms") return formatMs(value);
  if (unit === "count") return prefixed(value, "");
  if (unit === "/s") return prefixed(value, "/s");
  if (unit === "B" || unit === "B/s" || unit === "B/day") return prefixed(value, unit);
  return `${digits(value, 3)} ${unit}`;
}

/** The middle, and the bounds behind it when they differ from it. */
export function formatInterval({ low, mid, high }: Interval, unit: Unit): string {
  const middle = formatValue(mid, unit);
  const [from, to] = [formatValue(low, unit), formatValue(high, unit)];
  return from === middle && to === middle ? middle : `${middle} (${from} to ${to})`;
}

function prefixed(value: number, unit: string): string {
  const [prefix, factor] = prefixes.find(([, size]) => Math.abs(value) >= size * 0.9995) ?? ["", 1];
  const number = digits(value / factor, 3);
  const suffix = `${prefix}${unit}`;
  if (suffix === "") return number;
  return prefix === "" && unit === "/s" ? `${number}/s` : `${number} ${suffix}`;
}

/** A share below one is never shown as all of it: what is up 99.999999 % of the time is not always up. */
function formatShare(value: number): string {
  const text = `${digits(value * 100, value > 0.99 && value < 1 ? 6 : 3)} %`;
  return value < 1 && text === "100 %" ? "over 99.9999 %" : text;
}

function formatMs(value: number): string {
  if (value < 1_000) return `${digits(value, 3)} ms`;
  if (value < 120_000) return `${digits(value / 1_000, 3)} s`;
  if (value < 7_200_000) return `${digits(value / 60_000, 3)} min`;
  if (value < 172_800_000) return `${digits(value / 3_600_000, 3)} h`;
  return `${digits(value / 86_400_000, 3)} days`;
}

/** Significant digits, without zeros at the end and without an exponent; from a thousand on only whole numbers. */
export function digits(value: number, significant: number): string {
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(significant));
  const size = Math.abs(rounded);
  if (size >= 1_000) {
    // Rounded once: to a whole number from the value itself, not from what it was rounded to.
    const whole = Math.floor(Math.log10(size)) + 1;
    return grouped(significant > whole ? value : rounded);
  }
  return size >= 1e-6
    ? String(rounded)
    : rounded.toFixed(Math.min(20, significant - Math.floor(Math.log10(size)))).replace(/0+$/, "");
}

/** Whole numbers with commas: `1,234,567`. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}
