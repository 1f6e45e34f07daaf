/** Answers kept in the process: how fast a kept one is, and how many loads a thousand who ask at once cost. */
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { cache, installWorld, World } from "holdfast";
import { seededRandom, systemClock } from "holdfast/clock";
import { memoryCache } from "holdfast/memory";
import { LRUCache } from "lru-cache";
import { type Bench, type Figure, median } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

const keyCount = 10_000;
const waiters = 1_000;
const loadMs = 50;

interface Kept {
  readonly id: number;
  readonly url: string;
}

const linkOf = (key: string): Kept => ({ id: Number(key.slice(4)), url: `https://example.com/${key}` });

const bench: Bench = {
  name: "cache",
  title: "kept answers in the process, and a stampede on one key, beside lru-cache and bentocache",
  async run(size, seed) {
    const rounds = size === "full" ? 7 : 1;
    const operations = size === "full" ? 200_000 : 10_000;
    const random = seededRandom(seed);
    const keys = Array.from({ length: keyCount }, (_, i) => `key-${i}`);
    const asked = Array.from(
      { length: operations },
      () => keys[Math.floor(random.next() * keyCount)] as string,
    );
    const contestants = open();
    for (const { get } of Object.values(contestants)) {
      for (const key of keys) check(await get(key, async () => linkOf(key)), key);
      for (const key of asked.slice(0, 1_000)) check(await get(key, mustNotLoad), key);
    }

    const hits =
      ({ get }: Contestant) =>
      async () => {
        let last: unknown;
        for (const key of asked) last = await get(key, mustNotLoad);
        return last;
      };
    const bare = new LRUCache<string, Kept>({ max: keyCount });
    for (const key of keys) bare.set(key, linkOf(key));
    const { ours, fetch, bento } = contestants;
    const ns = await nanosecondsEach(
      { rounds, operations },
      {
        "hit, holdfast": hits(ours),
        "hit, lru-cache fetch": hits(fetch),
        "hit, lru-cache get, not awaited": () => {
          let last: unknown;
          for (const key of asked) last = bare.get(key);
          return last;
        },
        "hit, bentocache": hits(bento),
      },
    );
    const hit = (name: keyof typeof ns, peer = false): Figure => ({
      name,
      unit: "ops/s",
      value: perSecond(ns[name]),
      better: "higher",
      ...(peer ? { peer: "hit, holdfast" } : {}),
    });

    const stampedeMs = {
      "stampede, holdfast": await stampede(ours, rounds),
      "stampede, lru-cache fetch": await stampede(fetch, rounds),
      "stampede, bentocache": await stampede(bento, rounds),
    };
    const rush = (name: keyof typeof stampedeMs, peer = false): Figure => ({
      name,
      unit: `ms for ${waiters} who ask at once, the load takes ${loadMs}`,
      value: stampedeMs[name],
      better: "lower",
      ...(peer ? { peer: "stampede, holdfast" } : {}),
    });
    for (const { close } of Object.values(contestants)) await close();
    return {
      figures: [
        hit("hit, holdfast"),
        hit("hit, lru-cache fetch", true),
        hit("hit, lru-cache get, not awaited", true),
        hit("hit, bentocache", true),
        rush("stampede, holdfast"),
        rush("stampede, lru-cache fetch", true),
        rush("stampede, bentocache", true),
      ],
      checked: `each of ${keyCount} keys answered with its own value and without a load; each stampede cost one load`,
    };
  },
};
export default bench;

interface Contestant {
  get(key: string, load: () => Promise<Kept>): Promise<Kept | undefined>;
  close(): Promise<void>;
}

function open(): Record<"ours" | "fetch" | "bento", Contestant> {
  const world = new World("bench", systemClock);
  installWorld(world);
  const hot = cache("hot", { ttlMs: 600_000 });
  const engine = memoryCache(hot, { bus: undefined, clock: systemClock, seam: world.seam });
  world.bind(hot, engine);

  // lru-cache's own way to share a load; the loader is handed over per call.
  const lru = new LRUCache<string, Kept, () => Promise<Kept>>({
    max: keyCount + 100,
    ttl: 600_000,
    fetchMethod: (_key, _stale, { context }) => context(),
  });

  const bento = new BentoCache({
    default: "memory",
    ttl: "10m",
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: keyCount + 100, serialize: false })) },
  });
  return {
    ours: { get: (key, load) => hot.get(key, load), close: () => engine.close() },
    fetch: { get: (key, load) => lru.fetch(key, { context: load }), close: async () => lru.clear() },
    bento: {
      get: (key, load) => bento.getOrSet({ key, factory: load }) as Promise<Kept>,
      close: () => bento.disconnectAll(),
    },
  };
}

async function stampede({ get }: Contestant, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const key = `key-${keyCount + round}`;
    let loads = 0;
    const load = async () => {
      loads++;
      await systemClock.sleep(loadMs);
      return linkOf(key);
    };
    const startMs = systemClock.monotonicMs();
    const answers = await Promise.all(Array.from({ length: waiters }, () => get(key, load)));
    times.push(systemClock.monotonicMs() - startMs);
    for (const answer of answers) check(answer, key);
    if (loads !== 1) throw new Error(`${loads} loads for ${waiters} who asked at once`);
  }
  return median(times);
}

const mustNotLoad = (): Promise<Kept> => Promise.reject(new Error("a kept value was loaded again"));

function check(answer: Kept | undefined, key: string): void {
  if (answer?.url !== `https://example.com/${key}`)
    throw new Error(`${key} was answered ${JSON.stringify(answer)}`);
}
