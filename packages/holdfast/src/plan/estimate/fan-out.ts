/** Deliveries to followers: how unequal the accounts are, and what each way of delivering costs. */
import { compareFanOut, type FanOutComparison } from "../fan-out/compare.ts";
import { followerLaw } from "../fan-out/followers.ts";
import { exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";
import type { PartSize } from "./part-size.ts";
import type { OperationRate } from "./rates.ts";
import { type Sheet, term } from "./sheet.ts";

/** By operation that fans out, for the probable figures. */
export function estimateFanOuts(
  sheet: Sheet,
  { operations }: ResolvedRequirements,
  rates: ReadonlyMap<string, OperationRate>,
  sizes: ReadonlyMap<string, PartSize>,
  scale: number,
): ReadonlyMap<string, FanOutComparison> {
  const found = new Map<string, FanOutComparison>();
  for (const { name, fanOut } of operations) {
    const posts = rates.get(name);
    const store = fanOut && sizes.get(fanOut.to);
    if (!fanOut || !posts || !store) continue;
    const { accounts, followers, readBy, deliveredWithinMs } = fanOut;
    const put = (id: string, title: string, value: Interval, unit: "/s" | "count" | "ms", how: string) =>
      sheet.put("fan-out", `operations.${name}.${id}`, `${name}, ${title}`, value, unit, how);
    const deliveries = put(
      "deliveries",
      "deliveries at the peak, push",
      multiply(posts.peak, followers.mean),
      "/s",
      `${term(posts.peak, "/s")} × ${term(followers.mean, "count")} followers`,
    );
    const law = followerLaw(Math.round(accounts.mid * scale), followers.mean.mid, followers.max.mid);
    if (!law) continue;
    const capacity = store.capacityPerSecond?.mid ?? Number.POSITIVE_INFINITY;
    const spare = Math.max(1, capacity - store.load.writes.mid);
    const ways = compareFanOut({
      law,
      postsPerSecond: posts.peak.mid,
      readsPerSecond: rates.get(readBy)?.peak.mid ?? 0,
      spareWritesPerSecond: spare,
      deliveredWithinMs: deliveredWithinMs.mid,
    });
    const line = (id: string, title: string, value: number, unit: "/s" | "count" | "ms", how: string) =>
      put(id, title, exactly(value), unit, how);
    line(
      "slowest-delivery",
      "to the last follower of the largest account, push",
      ways.push.slowestDeliveryMs,
      "ms",
      `${term(followers.max, "count")} followers ÷ (${term(exactly(capacity), "/s")} that ${fanOut.to} takes − ${term(deliveries, "/s")} at the peak)`,
    );
    line(
      "lists-read",
      "lists read at the peak, pull",
      ways.pull.readsPerSecond,
      "/s",
      `${term(rates.get(readBy)?.peak ?? exactly(0), "/s")} of ${readBy} × ${term(followers.mean, "count")} followed`,
    );
    line(
      "pull-threshold",
      "followers up to which a delivery is in time",
      ways.threshold,
      "count",
      `${term(exactly(spare), "/s")} to spare × ${term(deliveredWithinMs, "ms")}`,
    );
    line(
      "pulled-accounts",
      "accounts above it",
      ways.pulledAccounts,
      "count",
      `a power law of ${term(accounts, "count")} accounts through both: the account of rank r has ${term(followers.max, "count")} ÷ r^${law.exponent.toFixed(2)}`,
    );
    line(
      "lists-per-read",
      "lists that a read merges, hybrid",
      ways.hybrid.listsPerRead,
      "count",
      `its own + ${term(followers.mean, "count")} followed × the share of them above the threshold`,
    );
    found.set(name, ways);
  }
  return found;
}
