/** What is kept: a day's worth, a year's, and at the horizon; as it is, and as it lies on disks. */
import { add, divide, exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedDataSet, ResolvedPart, ResolvedRequirements } from "../requirements/resolved.ts";
import { daySeconds, type OperationRate } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

export interface DataVolume {
  readonly data: ResolvedDataSet;
  /** Bytes as they are, at the horizon. */
  readonly bytes: Interval;
  /** With every copy, indexes and row overhead. */
  readonly storedBytes: Interval;
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
  const parts = new Map(requirements.parts.map((part) => [part.name, part]));
  const volumes = requirements.data.map((data) => {
    const part = parts.get(data.in) as ResolvedPart;
    return estimateDataSet(sheet, data, part, requirements, rates, scale);
  });
  if (volumes.length > 1) {
    for (const [id, title, field] of [
      ["total.bytes-at-horizon", "all data at the horizon, as it is", "bytes"],
      ["total.stored-at-horizon", "all data at the horizon, on disks", "storedBytes"],
    ] as const) {
      const sum = volumes.map((volume) => volume[field]).reduce(add, exactly(0));
      sheet.put(
        "storage",
        id,
        title,
        sum,
        "B",
        volumes.map((volume) => term(volume[field], "B")).join(" + "),
      );
    }
  }
  return volumes;
}

function estimateDataSet(
  sheet: Sheet,
  data: ResolvedDataSet,
  part: ResolvedPart,
  { horizonYears, growthPerYear, regions }: ResolvedRequirements,
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
  const copies = copiesOf(part, regions);
  const storedBytes = put(
    "stored-at-horizon",
    "at the horizon, on disks",
    multiply(copyBytes, exactly(copies.count)),
    `${term(growing, "B")} × ${term(overhead, "count")} with indexes × ${copies.how}`,
  );
  const items = divide(growing, positive(itemBytes));
  put(
    "items-at-horizon",
    "items at the horizon",
    items,
    `${term(growing, "B")} ÷ ${term(itemBytes, "B")}`,
    "count",
  );
  return { data, bytes: growing, storedBytes, copyBytes, items };
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

/** Copies of one datum: the node and its replicas in each region; an object store keeps three of its own. */
function copiesOf(part: ResolvedPart, regions: number): { readonly count: number; readonly how: string } {
  const each = part.kind === "database" || part.kind === "search" ? 1 + (part.replicas ?? 0) : 1;
  const own = part.replicas !== undefined || part.kind !== "bucket" ? each : 1;
  const count = own * regions;
  const what = count === 1 ? "1 copy" : `${count} copies`;
  return { count, how: regions > 1 ? `${what} in ${regions} regions` : what };
}

function larger(a: Interval, b: Interval): Interval {
  return { low: Math.max(a.low, b.low), mid: Math.max(a.mid, b.mid), high: Math.max(a.high, b.high) };
}

/** Sizes may be 0 in a declaration; nothing is divided by it. */
function positive({ low, mid, high }: Interval): Interval {
  return { low: Math.max(low, 1), mid: Math.max(mid, 1), high: Math.max(high, 1) };
}
