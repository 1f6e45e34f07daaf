/** How often each operation is called: on average and in the busiest hour. */

import { divide, exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedOperation, ResolvedRequirements } from "../requirements/resolved.ts";
import type { Sheet } from "./sheet.ts";
import { term } from "./sheet.ts";

export const daySeconds = 86_400;

export interface OperationRate {
  readonly operation: ResolvedOperation;
  /** Calls a second, on average and at the peak. */
  readonly average: Interval;
  readonly peak: Interval;
}

/** By operation, in the order of the declaration. */
export function estimateRates(
  sheet: Sheet,
  { operations }: ResolvedRequirements,
  scale: number,
): ReadonlyMap<string, OperationRate> {
  const byName = new Map(operations.map((operation) => [operation.name, operation]));
  const averages = new Map<string, Interval>();
  const average = (operation: ResolvedOperation): Interval => {
    const known = averages.get(operation.name);
    if (known) return known;
    const found = averageOf(operation);
    averages.set(operation.name, found);
    return found;
  };
  const averageOf = ({ name, rate }: ResolvedOperation): Interval => {
    const put = (value: Interval, how: string) =>
      sheet.put("rates", `operations.${name}.rate`, `${name}, average`, value, "/s", scaled(how, scale));
    if (rate.kind === "ratio") {
      const base = average(byName.get(rate.of) as ResolvedOperation);
      return sheet.put(
        "rates",
        `operations.${name}.rate`,
        `${name}, average`,
        multiply(base, rate.ratio),
        "/s",
        `${term(base, "/s")} of ${rate.of} × ${term(rate.ratio, "count")}`,
      );
    }
    if (rate.kind === "rate")
      return put(multiply(rate.perSecond, exactly(scale)), term(rate.perSecond, "/s"));
    const users = multiply(rate.users, exactly(scale));
    const perDay = multiply(users, rate.perUserPerDay);
    const arithmetic = `${term(rate.users, "count")} users × ${term(rate.perUserPerDay, "count")} a day`;
    sheet.put(
      "rates",
      `operations.${name}.calls-per-day`,
      `${name}, calls a day`,
      perDay,
      "count",
      scaled(arithmetic, scale),
    );
    return put(divide(perDay, exactly(daySeconds)), `${arithmetic} ÷ 86,400 s`);
  };
  const rates = new Map<string, OperationRate>();
  for (const operation of operations) {
    const mean = average(operation);
    const peak = sheet.put(
      "rates",
      `operations.${operation.name}.peak-rate`,
      `${operation.name}, peak`,
      multiply(mean, operation.peakFactor),
      "/s",
      `${term(mean, "/s")} × ${term(operation.peakFactor, "count")} at the peak`,
    );
    rates.set(operation.name, { operation, average: mean, peak });
  }
  return rates;
}

function scaled(how: string, scale: number): string {
  return scale === 1 ? how : `${how}, × ${scale}`;
}
