/** What is kept: a day's worth, a year's, and at the horizon; as it is, and as it lies on disks. */
import { add, divide, exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedDataSet, ResolvedRequirements } from "../requirements/resolved.ts";
import { daySeconds, type OperationRate } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

export interface DataVolume {
  readonly data: ResolvedDataSet;
  /** Bytes as they are, at the horizon. */
  readonly bytes: Interval;
  /** One copy with its overhead: what has to fit on the nodes. */
  readonly copyBytes: Interval;
  readonly items: Interval;
}

const yearDays = 365;

export function estimateStorage(
  sheet: Sheet,
  requirements: ResolvedRequirements,
  rates: ReadonlyMap<string, OperationRate>,
  scale: number,
): readonly DataVolume[] {
  const volumes = requirements.data.map((data) => estimateDataSet(sheet, data, requirements, rates, scale));
  sumLine(
    sheet,
    "bytes-at-horizon",
    "all data at the horizon, as it is",
    volumes.map(({ bytes }) => bytes),
  );
  return volumes;
}

/** What lies on disks: every copy of every region, with indexes. Known once it is known how many copies there are. */
export function estimateDisks(
  sheet: Sheet,
  { regions }: ResolvedRequirements,
  volumes: readonly DataVolume[],
  sizes: ReadonlyMap<string, { readonly replicas: number }>,
): Interval {
  const stored = volumes.map(({ data, bytes, copyBytes }) => {
    const count = (1 + (sizes.get(data.in)?.replicas ?? 0)) * regions;
    const copies = count === 1 ? "1 copy" : `${count} copies`;
    const overhead = add(exactly(1), data.indexOverhead);
    const indexes = data.indexOverhead.high === 0 ? "" : ` × ${term(overhead, "count")} with indexes`;
    return sheet.put(
      "storage",
      `data.${data.name}.stored-at-horizon`,
      `${data.name}, at the horizon, on disks`,
      multiply(copyBytes, exactly(count)),
      "B",
      `${term(bytes, "B")}${indexes} × ${copies}${regions > 1 ? ` in ${regions} regions` : ""}`,
    );
  });
  return sumLine(sheet, "stored-at-horizon", "all data at the horizon, on disks", stored);
}

function sumLine(sheet: Sheet, id: string, title: string, values: readonly Interval[]): Interval {
  const sum = values.reduce(add, exactly(0));
  if (values.length > 1) {
    sheet.put("storage", `total.${id}`, title, sum, "B", values.map((value) => term(value, "B")).join(" + "));
  }
  return sum;
}

function estimateDataSet(
  sheet: Sheet,
  data: ResolvedDataSet,
  { horizonYears, growthPerYear }: ResolvedRequirements,
  rates: ReadonlyMap<string, OperationRate>,
  scale: number,
): DataVolume {
  const { name, itemBytes } = data;
  const put = (
    id: string,
    title: string,
    value: Interval,
    how: string,
    unit: "B" | "B/day" | "count" = "B",
  ) => sheet.put("storage", `data.${name}.${id}`, `${name}, ${title}`, value, unit, how);
  const perDay = itemsPerDay(data, rates, scale);
  const bytesPerDay = multiply(perDay.value, itemBytes);
  const initial = multiply(data.items, exactly(scale));
  const initialBytes = multiply(initial, itemBytes);
  put("bytes-per-day", "a day", bytesPerDay, `${perDay.how} × ${term(itemBytes, "B")}`, "B/day");
  put(
    "bytes-per-year",
    "a year",
    multiply(bytesPerDay, exactly(yearDays)),
    `${term(bytesPerDay, "B")} × 365 days`,
  );

  const days = horizonDays(horizonYears, growthPerYear, data.retentionDays);
  const kept = multiply(bytesPerDay, days.value);
  const growing = put(
    "bytes-at-horizon",
    "at the horizon, as it is",
    data.retentionDays ? larger(kept, initialBytes) : add(kept, initialBytes),
    [
      ...(initialBytes.high > 0 ? [`${term(initialBytes, "B")} at first`] : []),
      ...(bytesPerDay.high > 0 ? [`${term(bytesPerDay, "B")} × ${days.how}`] : []),
    ].join(data.retentionDays ? " or at most " : " + ") || "nothing is added",
  );
  const overhead = add(exactly(1), data.indexOverhead);
  const copyBytes = multiply(growing, overhead);
  const items = divide(growing, positive(itemBytes));
  put(
    "items-at-horizon",
    "items at the horizon",
    items,
    `${term(growing, "B")} ÷ ${term(itemBytes, "B")}`,
    "count",
  );
  return { data, bytes: growing, copyBytes, items };
}

function itemsPerDay(
  { growth }: ResolvedDataSet,
  rates: ReadonlyMap<string, OperationRate>,
  scale: number,
): { readonly value: Interval; readonly how: string } {
  if (growth.kind === "none") return { value: exactly(0), how: "0 items" };
  if (growth.kind === "daily") {
    const value = multiply(growth.itemsPerDay, exactly(scale));
    return { value, how: `${term(value, "count")} items` };
  }
  const { average } = rates.get(growth.operation) as OperationRate;
  const calls = multiply(average, exactly(daySeconds));
  const value = multiply(calls, growth.itemsPerCall);
  const each = growth.itemsPerCall.high === 1 && growth.itemsPerCall.low === 1;
  return {
    value,
    how: `${term(calls, "count")} ${growth.operation}${each ? "" : ` × ${term(growth.itemsPerCall, "count")} items`}`,
  };
}

/** Days' worth of data that are there at the horizon, in days of today's volume: growth makes later days count more. */
function horizonDays(years: Interval, growth: Interval, retention: Interval | undefined) {
  const at = (bound: keyof Interval) => {
    const [y, g] = [years[bound], growth[bound]];
    const all = yearDays * (g === 0 ? y : ((1 + g) ** y - 1) / g);
    if (!retention) return all;
    return Math.min(all, retention[bound] * (1 + g) ** y);
  };
  const value = { low: at("low"), mid: at("mid"), high: at("high") };
  const grows = growth.mid > 0 ? `, growing ${term(growth, "ratio")} a year` : "";
  const how = retention
    ? `${term(retention, "count")} days kept${grows}`
    : `365 days × ${term(years, "count")} years${grows}`;
  return { value, how };
}

function larger(a: Interval, b: Interval): Interval {
  return { low: Math.max(a.low, b.low), mid: Math.max(a.mid, b.mid), high: Math.max(a.high, b.high) };
}

/** Sizes may be 0 in a declaration; nothing is divided by it. */
function positive({ low, mid, high }: Interval): Interval {
  return { low: Math.max(low, 1), mid: Math.max(mid, 1), high: Math.max(high, 1) };
}
