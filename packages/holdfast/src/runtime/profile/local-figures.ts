/** What needs no server: hits of a cache in this process, and the disk under the project. */
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { memoryCache } from "../../engines/memory/cache.ts";
import { figureOf, type ProfileFigure } from "../../load/profile/index.ts";
import { cache, inWorld, World } from "../../parts/index.ts";
import { type Rounds, ratesOf } from "./rounds.ts";

const keyCount = 10_000;
/** Hits between two looks at the clock. */
const hitsAtOnce = 1_000;

export async function cacheFigures(rounds: Rounds): Promise<ProfileFigure[]> {
  const { clock } = rounds;
  const hot = cache("profile", { ttlMs: 3_600_000 });
  const world = new World("profile", clock);
  const port = memoryCache(hot, { bus: undefined, clock, seam: world.seam });
  world.bind(hot, port);
  const keys = Array.from({ length: keyCount }, (_, index) => `key-${index}`);
  try {
    return await inWorld(world, async () => {
      const hit = async (key: string) =>
        hot.get(key, async () => ({ key, url: `https://example.com/${key}` }));
      for (const key of keys) await hit(key);
      let next = 0;
      const rates = await ratesOf(rounds, 1, async () => {
        for (let done = 0; done < hitsAtOnce; done++) await hit(keys[next++ % keyCount] as string);
      });
      const hits = rates.map((rate) => rate * hitsAtOnce);
      const how = `${keyCount} keys in turn, one after the other`;
      return [
        figureOf({ id: "cache.hits", title: "hits of a cache within a process", unit: "/s", how }, hits),
        figureOf(
          { id: "cache.ms", title: "one hit within a process", unit: "ms", how },
          hits.map((rate) => 1_000 / rate),
        ),
      ];
    });
  } finally {
    await port.close();
  }
}

const chunkBytes = 4 << 20;
const fileBytes = 64 << 20;

/** Bytes a second that come to lie on the disk: written in large pieces, and synced. */
export async function diskFigures(rounds: Rounds, dir: string): Promise<ProfileFigure[]> {
  const file = join(dir, "profile-disk.tmp");
  const chunk = Buffer.from(rounds.clock.random.bytes(chunkBytes));
  const values: number[] = [];
  try {
    for (let round = 0; round < rounds.rounds; round++) {
      rounds.signal.throwIfAborted();
      const handle = await open(file, "w");
      try {
        const startMs = rounds.clock.monotonicMs();
        for (let written = 0; written < fileBytes; written += chunkBytes) await handle.write(chunk);
        await handle.datasync();
        values.push((fileBytes * 1_000) / (rounds.clock.monotonicMs() - startMs));
      } finally {
        await handle.close();
      }
    }
  } finally {
    await rm(file, { force: true });
  }
  return [
    figureOf(
      {
        id: "disk.bytes",
        title: "bytes written to the disk",
        unit: "B/s",
        how: "64 MiB in pieces of 4 MiB, then synced",
      },
      values,
    ),
  ];
}
