/**
 * Queueing models by themselves: how many servers, how long calls wait, what tails and retries do. Each answer says
 * whether the model holds; where it does not, there is a reason and no number.
 *
 *   node examples/queueing.ts
 */
import {
  downtime,
  hedge,
  inSeries,
  itemsForHitRatio,
  latencyLaw,
  mmc,
  retryStorm,
  serversFor,
  supermarket,
  tailAmplification,
} from "holdfast/models";

// 900 requests a second, 8 ms of work each.
const load = { arrivalsPerSecond: 900, serviceMs: 8 };
const sized = serversFor({ ...load, utilisationMax: 0.7, wait: { ms: 5, share: 0.99 } });
if (sized.holds) {
  console.log(`${sized.servers} servers, ${percent(sized.utilisation)} busy, limited by ${sized.limitedBy}`);
  const queue = mmc({ ...load, servers: sized.servers });
  if (queue.holds) console.log(`p99 of the response: ${queue.responseMsAt(0.99).toFixed(1)} ms`);
}

// Seven servers cannot take it, and the model says so.
const tooFew = mmc({ ...load, servers: 7 });
if (!tooFew.holds) console.log(`7 servers: ${tooFew.why}`);

// At 90 % busy, looking at two queues instead of one.
for (const choices of [1, 2]) {
  const balanced = supermarket({ utilisation: 0.9, serviceMs: 8, choices });
  if (balanced.holds)
    console.log(`${choices} of the queues looked at: ${balanced.meanResponseMs.toFixed(0)} ms`);
}

const pages = tailAmplification(0.01, 100);
if (pages.holds) console.log(`1 % slow answers, 100 to a page: ${percent(pages.share)} slow pages`);

const latency = latencyLaw(5, 100);
if (latency.holds) {
  const hedged = hedge({ slowerThan: latency.slowerThan, afterMs: latency.msAt(0.95) });
  if (hedged.holds)
    console.log(
      `p99 ${latency.msAt(0.99).toFixed(0)} ms, hedged ${hedged.msAt(0.99).toFixed(0)} ms for ${percent(hedged.addedLoad)} more requests`,
    );
}

const cached = itemsForHitRatio({ items: 10_000_000, exponent: 0.9 }, 0.8);
if (cached.holds) console.log(`80 % hits of ten million items: ${cached.held.toLocaleString("en")} held`);

const storm = retryStorm({ capacityPerSecond: 300, arrivalsPerSecond: 280, retries: 1 });
if (storm.holds)
  console.log(`280/s of 300/s with one retry: ${storm.verdict}, safe below ${storm.thresholdPerSecond}/s`);

const chain = inSeries([0.999, 0.9995, 0.9999]);
if (chain.holds) {
  const budget = downtime(chain.share);
  if (budget.holds)
    console.log(
      `three in a row: ${percent(chain.share, 2)}, ${budget.minutesPerMonth.toFixed(0)} minutes a month`,
    );
}

function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}
