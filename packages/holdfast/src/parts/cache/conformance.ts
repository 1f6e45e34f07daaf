/**
 * What every cache engine must do together with a bus, on real servers: two processes' worth of caches, each
 * with its own connections, and the source they are loaded from.
 */
import type { Transaction } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { AnyTables } from "../database/port.ts";
import type { CachePort } from "./port.ts";

export interface CacheFixture {
  /** Two engines of one cache, as in two processes: 60 s fresh, 60 s stale, trusted for `busBoundMs` in silence. */
  readonly caches: readonly [CachePort, CachePort];
  readonly busBoundMs: number;
  /** Runs a transaction where the source's rows are; it commits when `run` resolves. */
  transaction(run: (tx: Transaction<AnyTables>) => Promise<void>): Promise<void>;
  /** Cuts both caches off from the bus: the server is gone, as after kill -9. Resolves when it is. */
  breakBus(): Promise<void>;
  /** Brings the server back; resolves when it takes transactions. */
  mendBus(): Promise<void>;
  close(): Promise<void>;
}

export interface CacheSuite {
  readonly name: string;
  open(): Promise<CacheFixture>;
  /** Resolves when `condition` answers true; fails after some seconds. */
  readonly until: (condition: () => boolean | Promise<boolean>, what: string) => Promise<unknown>;
}

export function cacheSuite({ name, open, until }: CacheSuite): void {
  let fixture: CacheFixture;
  let drawn = 0;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture?.close());

  const says = (cache: CachePort, key: string, source: string) => cache.get(key, async () => source);
  const bothSay = async (key: string, source: string) => {
    for (const cache of fixture.caches) expect(await says(cache, key, source)).toBe(source);
  };
  const bothLearn = (key: string, source: string) =>
    until(async () => {
      const answers = await Promise.all(fixture.caches.map((cache) => says(cache, key, source)));
      return answers.every((answer) => answer === source);
    }, `both caches answering "${source}"`);
  const freshKey = () => `key-${++drawn}`;

  test(`${name}: an invalidation reaches the other process`, async () => {
    const key = freshKey();
    await bothSay(key, "old");
    await fixture.caches[0].invalidate([key]);
    expect(await says(fixture.caches[0], key, "new")).toBe("new");
    await bothLearn(key, "new");
  });

  test(`${name}: keys that were not named stay`, async () => {
    const [named, other] = [freshKey(), freshKey()];
    await bothSay(named, "old");
    await bothSay(other, "old");
    await fixture.caches[0].invalidate([named]);
    await bothLearn(named, "new");
    for (const cache of fixture.caches) expect(await says(cache, other, "new")).toBe("old");
  });

  test(`${name}: a value whose key was invalidated elsewhere during its load is not kept`, async () => {
    const key = freshKey();
    const [here, there] = fixture.caches;
    let finish: (value: string) => void = () => {};
    const before = here.get(key, () => new Promise<string>((resolve) => (finish = resolve)));
    const heard = here.stats().invalidations;
    await there.invalidate([key]);
    await until(() => here.stats().invalidations > heard, "the word's arrival");
    const after = says(here, key, "new");
    expect(await after).toBe("new");
    finish("old");
    expect(await before).toBe("old");
    expect(await says(here, key, "newer")).toBe("new");
  });

  test(`${name}: an invalidation in a transaction holds when it commits, not before`, async () => {
    const key = freshKey();
    await bothSay(key, "old");
    await fixture.transaction(async (tx) => {
      await fixture.caches[0].invalidate([key], tx);
      for (const cache of fixture.caches) expect(await says(cache, key, "uncommitted")).toBe("old");
    });
    await bothLearn(key, "new");
  });

  test(`${name}: a transaction that is rolled back invalidates nothing`, async () => {
    const [key, later] = [freshKey(), freshKey()];
    await bothSay(key, "old");
    await bothSay(later, "old");
    const rolledBack = fixture.transaction(async (tx) => {
      await fixture.caches[0].invalidate([key], tx);
      throw new Error("changed my mind");
    });
    await expect(rolledBack).rejects.toThrow("changed my mind");
    // A word that was written after it has arrived everywhere: so would have this one.
    await fixture.caches[0].invalidate([later]);
    await bothLearn(later, "new");
    for (const cache of fixture.caches) expect(await says(cache, key, "new")).toBe("old");
  });

  test(`${name}: a transaction that wrote its word early and commits late is not missed`, async () => {
    const [late, early] = [freshKey(), freshKey()];
    await bothSay(late, "old");
    await fixture.transaction(async (tx) => {
      await fixture.caches[0].invalidate([late], tx);
      // Words with higher numbers are written, committed and read before this transaction ends.
      for (let i = 0; i < 3; i++) {
        await bothSay(early, `old ${i}`);
        await fixture.caches[1].invalidate([early]);
        await bothLearn(early, `old ${i + 1}`);
      }
      for (const cache of fixture.caches) expect(await says(cache, late, "new")).toBe("old");
    });
    await bothLearn(late, "new");
  });

  test(`${name}: with the bus down nothing old is trusted beyond the bound; after it everything is heard again`, async () => {
    const [changed, shown] = [freshKey(), freshKey()];
    await bothSay(changed, "old");
    await bothSay(shown, "old");
    await fixture.breakBus();
    // The source moved on and nobody could say so: within the bound both ask it again.
    await bothLearn(changed, "new");
    const call = new Call(systemClock, { timeoutMs: 200 });
    const told = inCall(call, () => fixture.caches[0].invalidate([shown]));
    await expect(told).rejects.toMatchObject({ name: "HoldfastError" });
    await fixture.mendBus();
    await until(async () => {
      await fixture.caches[0].invalidate([shown]);
      return true;
    }, "an invalidation over the mended bus");
    await bothLearn(shown, "new");
    await bothSay(changed, "new");
    const key = freshKey();
    await bothSay(key, "old");
    await fixture.caches[1].invalidate([key]);
    await bothLearn(key, "new");
  });
}
