/** What comes into each topic and queue, what its consumers take, and how long a stop of theirs takes to work off. */
import { drainAfterStop } from "../models/drain.ts";
import { exactly, type Interval, multiply } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";
import type { PartSize } from "./part-size.ts";
import { type Sheet, term } from "./sheet.ts";

export interface QueueEstimate {
  readonly part: string;
  /** Messages a second, at the peak and on average. */
  readonly arrivals: Interval;
  readonly averageArrivals: Interval;
  /** Messages a second that all consumers take. */
  readonly served: Interval;
  /** How long the consumers are supposed to have stood still, in milliseconds. */
  readonly stopMs: number;
  /** Until what waited then is worked off, in milliseconds. `undefined`: never. */
  readonly drainMs: Interval | undefined;
  readonly perHourStopped: Interval;
  readonly bytesPerHourStopped: Interval;
}

/** A stop worth planning for: somebody is woken, looks, and starts the consumers again. */
const stopMs = 10 * 60_000;

export function estimateQueues(
  sheet: Sheet,
  { parts, operations }: ResolvedRequirements,
  sizes: ReadonlyMap<string, PartSize>,
): readonly QueueEstimate[] {
  return parts
    .filter(({ kind }) => kind === "topic" || kind === "queue")
    .map(({ name }) => {
      const load = sizes.get(name)?.load;
      const writes = load?.from.filter(({ does }) => does === "write") ?? [];
      const sum = (which: "peak" | "average") =>
        writes
          .map((one) => one[which])
          .reduce((a, b) => ({ low: a.low + b.low, mid: a.mid + b.mid, high: a.high + b.high }), exactly(0));
      const [arrivals, averageArrivals] = [sum("peak"), sum("average")];
      const consumers = parts
        .filter(({ from }) => from === name)
        .flatMap((part) => sizes.get(part.name) ?? []);
      const served = slowest(consumers);
      const bytes = messageBytes(operations, name);
      const perHourStopped = multiply(averageArrivals, exactly(3_600));
      const drainMs = drain(averageArrivals, served);
      sheet.put(
        "queues",
        `queues.${name}.arrivals`,
        `${name}, messages at the peak`,
        arrivals,
        "/s",
        writes.map(({ operation, peak }) => `${term(peak, "/s")} of ${operation.name}`).join(" + ") ||
          "nothing publishes",
      );
      if (consumers.length > 0) {
        sheet.put(
          "queues",
          `queues.${name}.served`,
          `${name}, its consumers take`,
          served,
          "/s",
          consumers
            .map(
              ({ part, count, facts }) =>
                `${count} ${part.name} × ${term(facts.readsPerSecond ?? exactly(0), "/s")}`,
            )
            .join(", the slower of "),
        );
      }
      if (drainMs && consumers.length > 0) {
        sheet.put(
          "queues",
          `queues.${name}.drain`,
          `${name}, worked off after 10 min without consumers`,
          drainMs,
          "ms",
          `10 min × ${term(averageArrivals, "/s")} ÷ (${term(served, "/s")} − ${term(averageArrivals, "/s")})`,
        );
      }
      return {
        part: name,
        arrivals,
        averageArrivals,
        served,
        stopMs,
        drainMs: consumers.length === 0 ? exactly(0) : drainMs,
        perHourStopped,
        bytesPerHourStopped: multiply(perHourStopped, bytes),
      };
    });
}

/** Bytes of a message: at least the smallest operation's, at most the largest's. */
function messageBytes(operations: ResolvedRequirements["operations"], topic: string): Interval {
  const sizes = operations.flatMap(({ path, requestBytes }) =>
    path.filter(({ part }) => part === topic).map(({ bytes }) => bytes ?? requestBytes),
  );
  if (sizes.length === 0) return exactly(0);
  const all = (bound: keyof Interval) => sizes.map((size) => size[bound]);
  return { low: Math.min(...all("low")), mid: Math.max(...all("mid")), high: Math.max(...all("high")) };
}

/** Each consumer group reads everything: the slowest sets the pace of what has to be kept. */
function slowest(consumers: readonly PartSize[]): Interval {
  const rates = consumers.flatMap(({ capacityPerSecond }) => capacityPerSecond ?? []);
  if (rates.length === 0) return exactly(0);
  const least = (bound: keyof Interval) => Math.min(...rates.map((rate) => rate[bound]));
  return { low: least("low"), mid: least("mid"), high: least("high") };
}

/** Until the stop is worked off, bound by bound; without an upper bound where the worst case never is. */
function drain(arrivals: Interval, served: Interval): Interval | undefined {
  const at = (arrivalsPerSecond: number, capacityPerSecond: number) => {
    const found = drainAfterStop({ stoppedSeconds: stopMs / 1_000, arrivalsPerSecond, capacityPerSecond });
    return found.holds ? found.seconds * 1_000 : Number.POSITIVE_INFINITY;
  };
  const mid = at(arrivals.mid, served.mid);
  if (!Number.isFinite(mid)) return undefined;
  return { low: at(arrivals.low, served.high), mid, high: at(arrivals.high, served.low) };
}
