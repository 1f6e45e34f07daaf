/** What it costs a month, when there is a price list. */
import { add, exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";
import type { Bandwidth } from "./bandwidth.ts";
import type { PartSize } from "./part-size.ts";
import { daySeconds } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

const monthHours = (365 * 24) / 12;
const monthDays = 365 / 12;
const gigabyte = 1e9;

export function estimateCost(
  sheet: Sheet,
  { prices, regions }: ResolvedRequirements,
  sizes: ReadonlyMap<string, PartSize>,
  stored: Interval,
  bandwidth: Bandwidth,
): void {
  if (!prices) return;
  const unit = `${prices.currency}/month` as const;
  const lines: Interval[] = [];
  const put = (id: string, title: string, value: Interval, how: string) => {
    lines.push(sheet.put("cost", `cost.${id}`, title, value, unit, how));
  };
  const ofKind = (kinds: readonly string[]) =>
    [...sizes.values()].filter(
      ({ part }) => kinds.includes(part.kind) && !(part.kind === "cache" && part.inCode),
    );
  const count = (sizesOf: readonly PartSize[]) =>
    sizesOf.reduce((sum, size) => sum + size.count * (1 + size.replicas), 0) * regions;
  const hours = (id: string, title: string, price: Interval | undefined, kinds: readonly string[]) => {
    const n = count(ofKind(kinds));
    if (!price || n === 0) return;
    const value = multiply(price, exactly(n * monthHours));
    put(id, title, value, `${n} × 730 h × ${price.mid} ${prices.currency}`);
  };
  hours("instances", "gateways, services and workers", prices.instanceHour, ["gateway", "service", "worker"]);
  hours("nodes", "databases, caches, topics", prices.nodeHour, [
    "database",
    "cache",
    "topic",
    "queue",
    "search",
  ]);
  if (prices.storageGigabyteMonth && stored.high > 0) {
    const value = multiply(multiply(stored, exactly(1 / gigabyte)), prices.storageGigabyteMonth);
    put(
      "storage",
      "storage at the horizon",
      value,
      `${term(stored, "B")} × ${prices.storageGigabyteMonth.mid} ${prices.currency} a GB`,
    );
  }
  const monthOut = multiply(bandwidth.out, exactly(daySeconds * monthDays));
  if (prices.egressGigabyte && monthOut.high > 0) {
    const value = multiply(multiply(monthOut, exactly(1 / gigabyte)), prices.egressGigabyte);
    put(
      "egress",
      "bytes out",
      value,
      `${term(monthOut, "B")} a month × ${prices.egressGigabyte.mid} ${prices.currency} a GB`,
    );
  }
  if (lines.length === 0) return;
  sheet.put(
    "cost",
    "cost.total",
    "all that has a price",
    lines.reduce(add, exactly(0)),
    unit,
    "the sum of the lines above",
  );
}
