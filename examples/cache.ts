/**
 * Answers kept close: one load for everybody who asks at once, and nothing old that was loaded while its key
 * was being invalidated. Between processes the word travels over Postgres; see systems/shortener.
 *
 *   node examples/cache.ts
 */
import { cache, installWorld, World } from "holdfast";
import { HoldfastError } from "holdfast/call";
import { systemClock as clock } from "holdfast/clock";
import { memoryCache } from "holdfast/memory";

const hot = cache("hot", { ttlMs: 100, staleMs: 10_000, negativeTtlMs: 50 });
const world = new World("example", clock);
const engine = memoryCache(hot, { bus: undefined, clock, seam: world.seam });
world.bind(hot, engine);
installWorld(world);

let price = 10;
const slowly = async () => {
  const read = price;
  await clock.sleep(20);
  return { euros: read };
};

const crowd = await Promise.all(Array.from({ length: 1000 }, () => hot.get("price", slowly)));
console.log(`${crowd.length} asked, ${hot.stats().loads} load, ${crowd[0]?.euros} euros`);

await hot.invalidate("price");
const before = hot.get("price", slowly);
await clock.sleep(5);
price = 12;
await hot.invalidate("price"); // while the old price is being loaded
console.log("asked before:", (await before).euros, " asked after:", (await hot.get("price", slowly)).euros);
console.log(
  "kept:        ",
  (await hot.get("price", slowly)).euros,
  " not kept:",
  hot.stats().overtakenLoads,
);

await clock.sleep(150); // past ttlMs: answered at once, and refreshed behind it
price = 15;
console.log("stale:       ", (await hot.get("price", slowly)).euros);
await clock.sleep(50);
console.log("refreshed:   ", (await hot.get("price", slowly)).euros);

await clock.sleep(150);
const away = async (): Promise<{ euros: number }> => {
  throw new HoldfastError("HOLDFAST_UNAVAILABLE", "The database is away.");
};
console.log("source away: ", (await hot.get("price", away)).euros, "(an old answer stands in)");
await engine.close();
