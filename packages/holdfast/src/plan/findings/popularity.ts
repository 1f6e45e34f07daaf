/** Findings about unequal demand: popular keys, popular shards, popular accounts, entries that expire. */

import type { CacheEstimate } from "../estimate/cache.ts";
import type { PartSize } from "../estimate/part-size.ts";
import { utilisationMax } from "../estimate/part-size.ts";
import { formatInterval, formatValue } from "../format.ts";
import type { FindingContext } from "./context.ts";
import { evidence, type Finding, finding } from "./finding.ts";

export function popularityFindings(context: FindingContext): readonly Finding[] {
  return [...hotKeys(context), ...stampedes(context), ...smallCaches(context), ...fanOuts(context)];
}

function hotKeys({ caches, sizes }: FindingContext): Finding[] {
  return caches.flatMap((cache): Finding[] => {
    const size = sizes.get(cache.data.in);
    const each = size?.facts.readsPerSecond?.mid;
    if (!size || each === undefined || size.load.reads.mid === 0) return [];
    const hottest =
      cache.topShare.mid * (cache.hitRatio.mid > 0 ? cache.loadsPerSecond : size.load.reads.mid);
    if (hottest > each * utilisationMax * (1 + size.replicas)) return [hotKey(cache, size, hottest, each)];
    return hotShard(cache, size, each);
  });
}

function hotKey(cache: CacheEstimate, size: PartSize, hottest: number, each: number): Finding {
  return finding({
    kind: "hot-key",
    severity: "critical",
    subject: cache.data.name,
    title: `the most popular of ${cache.data.name} is asked for more than one node of ${size.part.name} answers`,
    evidence: [
      evidence("reads of one key", hottest, "/s"),
      evidence("one node answers", each, "/s"),
      evidence("share of the most popular", cache.topShare, "ratio"),
    ],
    remedy: "Keep it in a cache in every process, or keep copies of the key under several names.",
  });
}

/** The node that holds the most popular key takes that key's share and its part of the rest. */
function hotShard({ data, topShare }: CacheEstimate, size: PartSize, each: number): Finding[] {
  const { count, replicas, load, part } = size;
  if (count < 2) return [];
  const average = load.reads.mid / count;
  const hottest = topShare.mid * load.reads.mid + (1 - topShare.mid) * average;
  const whole = each * (1 + replicas);
  if (hottest < average * 1.5 || hottest < whole * utilisationMax) return [];
  return [
    finding({
      kind: "hot-shard",
      severity: hottest > whole ? "critical" : "warning",
      subject: data.name,
      title: `one of ${count} nodes of ${part.name} is asked ${(hottest / average).toFixed(1)} times as much as the others`,
      evidence: [
        evidence("the busiest node", hottest, "/s"),
        evidence("the average node", average, "/s"),
        evidence("a node and its replicas answer", whole, "/s"),
      ],
      remedy:
        "Answer the most popular keys from a cache in front, or split their shard and move what is left of it away.",
    }),
  ];
}

function stampedes({ caches, sizes, requirements }: FindingContext): Finding[] {
  return caches.flatMap((cache) => {
    const name = cache.cachePart;
    const part = requirements.parts.find((one) => one.name === name);
    const source = sizes.get(cache.data.in);
    if (!part || !source || part.singleFlight) return [];
    const rate = cache.topShare.mid * cache.requestsPerSecond;
    const at = rate * (source.facts.readMs.mid / 1_000);
    if (at < 2) return [];
    return finding({
      kind: "stampede-on-expiry",
      severity: at > 10 * source.count ? "critical" : "warning",
      subject: part.name,
      title: `when the most popular entry of ${part.name} expires, ${formatValue(at, "count")} callers load it at once`,
      evidence: [
        evidence("requests for it", rate, "/s"),
        evidence("one load takes", source.facts.readMs, "ms"),
        evidence("loads at once", at, "count"),
        ...(part.ttlMs ? [evidence("again every", part.ttlMs, "ms")] : []),
      ],
      remedy:
        "Let one caller load while the others wait for it, or answer the old value while it is refreshed.",
    });
  });
}

function smallCaches({ caches, requirements }: FindingContext): Finding[] {
  return caches.flatMap((cache) => {
    const part = requirements.parts.find(({ name }) => name === cache.cachePart);
    const has = part?.maxBytes;
    if (!part || !has || has.mid >= cache.bytes.mid) return [];
    return finding({
      kind: "small-cache",
      severity: "warning",
      subject: part.name,
      title: `${part.name} keeps less than ${formatInterval(cache.hitRatio, "ratio")} of the requests need`,
      evidence: [
        evidence("it keeps", has, "B"),
        evidence("needed", cache.bytes, "B"),
        evidence("wanted hit ratio", cache.hitRatio, "ratio"),
      ],
      remedy:
        "Give it more memory, or plan for the lower hit ratio: the source behind it gets what it does not answer.",
    });
  });
}

function fanOuts({ fanOuts, requirements }: FindingContext): Finding[] {
  return [...fanOuts].flatMap(([name, ways]): Finding[] => {
    const operation = requirements.operations.find((one) => one.name === name);
    const fanOut = operation?.fanOut;
    if (!fanOut || ways.best === "push") return [];
    const { push, pull, hybrid, threshold, pulledAccounts } = ways;
    const shared = [
      evidence("deliveries, push", push.writesPerSecond, "/s"),
      evidence("lists read, pull", pull.readsPerSecond, "/s"),
      evidence("slow reads, pull", pull.slowReads, "ratio"),
    ];
    if (ways.best === "pull") {
      return [
        finding({
          kind: "dear-fan-out",
          severity: "warning",
          subject: name,
          title: `collecting when read is less work than delivering ${name} to every follower`,
          evidence: [...shared, evidence("deliveries, pull", pull.writesPerSecond, "/s")],
          remedy: "Keep one list for each account and merge those that a reader follows.",
        }),
      ];
    }
    return [
      finding({
        kind: "celebrity-fan-out",
        severity: push.slowestDeliveryMs > 10 * fanOut.deliveredWithinMs.mid ? "critical" : "warning",
        subject: name,
        title: `${name} of the largest account reaches its last follower after ${formatValue(push.slowestDeliveryMs, "ms")}, not ${formatValue(fanOut.deliveredWithinMs.mid, "ms")}`,
        evidence: [
          evidence("followers of the largest account", fanOut.followers.max, "count"),
          evidence("slowest delivery, push", push.slowestDeliveryMs, "ms"),
          evidence("required", fanOut.deliveredWithinMs, "ms"),
          ...shared,
          evidence("hybrid: pull from this many followers on", threshold, "count"),
          evidence("hybrid: accounts above", pulledAccounts, "count"),
          evidence("hybrid: slowest delivery", hybrid.slowestDeliveryMs, "ms"),
          evidence("hybrid: deliveries", hybrid.writesPerSecond, "/s"),
          evidence("hybrid: lists merged by a read", hybrid.listsPerRead, "count"),
          evidence("hybrid: slow reads", hybrid.slowReads, "ratio"),
        ],
        remedy: `Hybrid: push for accounts up to ${formatValue(threshold, "count")} followers; for the ${formatValue(pulledAccounts, "count")} above, keep one list each, in a cache, and merge it when read.`,
      }),
    ];
  });
}
