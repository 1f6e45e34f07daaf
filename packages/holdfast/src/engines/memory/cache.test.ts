import { expect, test } from "vitest";
import { Call, currentCall, HoldfastError, inCall, Seam, Session } from "../../call/index.ts";
import { type ManualClock, manualClock } from "../../clock/index.ts";
import {
  type CacheOptions,
  cache,
  type InvalidationBus,
  type InvalidationListener,
} from "../../parts/cache/index.ts";
import { memoryCache } from "./cache.ts";

/** A bus that a test speaks through: what a real one does with these words is proven on Postgres. */
function spokenBus(clock: ManualClock) {
  const listeners = new Set<InvalidationListener>();
  let heardMs: number | undefined = 0;
  const published: string[][] = [];
  const bus: InvalidationBus = {
    async publish(_, keys) {
      published.push([...keys]);
    },
    subscribe(_, listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    lastSyncMs: () => heardMs,
    unheard: (sinceMs) => ((heardMs ?? -Infinity) < sinceMs ? ["n1"] : []),
    async close() {},
  };
  return {
    bus,
    published,
    listeners,
    hear() {
      heardMs = clock.monotonicMs();
    },
    say(keys: string[], lsn = 1n) {
      for (const listener of listeners) listener.invalidated(keys, "n1", { system: "1", timeline: 1, lsn });
    },
    gap() {
      for (const listener of listeners) listener.gap("n1", { system: "1", timeline: 1, lsn: 1n });
    },
  };
}

function fixture(options: CacheOptions = {}) {
  const clock = manualClock();
  const spoken = spokenBus(clock);
  const engine = memoryCache(cache("hot", { ttlMs: 1_000, ...options }), {
    bus: spoken.bus,
    clock,
    seam: new Seam(clock),
  });
  return { clock, engine, ...spoken };
}

/** A load whose end the test decides. */
function gate<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { load: () => promise, resolve, reject };
}

const unreachable = () =>
  Promise.reject(new HoldfastError("HOLDFAST_UNAVAILABLE", "The database does not answer. Start it."));

test("a kept value is answered without loading, until its freshness ends", async () => {
  const { clock, engine, hear } = fixture();
  let loads = 0;
  const get = () => engine.get("a", async () => ++loads);
  expect([await get(), await get()]).toEqual([1, 1]);
  await clock.advance(999);
  hear();
  expect(await get()).toBe(1);
  await clock.advance(1);
  expect(await get()).toBe(2);
  expect(engine.stats()).toMatchObject({ hits: 2, misses: 2, loads: 2, entries: 1 });
});

test("a thousand who ask at once share one load", async () => {
  const { engine } = fixture();
  const { load, resolve } = gate<string>();
  let loads = 0;
  const asked = Array.from({ length: 1000 }, () =>
    engine.get("a", () => {
      loads++;
      return load();
    }),
  );
  resolve("value");
  expect(new Set(await Promise.all(asked))).toEqual(new Set(["value"]));
  expect(loads).toBe(1);
});

test("an absent value is kept too, for its own shorter time", async () => {
  const { clock, engine } = fixture({ negativeTtlMs: 100 });
  let loads = 0;
  const get = () =>
    engine.get("a", async () => {
      loads++;
      return undefined;
    });
  await get();
  await get();
  expect(loads).toBe(1);
  await clock.advance(100);
  await get();
  expect(loads).toBe(2);
});

test("an error is never kept, and everybody who waited hears it", async () => {
  const { engine } = fixture();
  const { load, reject } = gate<string>();
  const asked = [engine.get("a", load), engine.get("a", load)];
  reject(new Error("no"));
  for (const one of asked) await expect(one).rejects.toThrow("no");
  expect(await engine.get("a", async () => "yes")).toBe("yes");
});

test("a load that throws before it returns a promise is an error like any other", async () => {
  const { engine } = fixture();
  const load = (): Promise<string> => {
    throw new Error("at once");
  };
  await expect(engine.get("a", load)).rejects.toThrow("at once");
});

test("a value past its freshness is answered at once while a single load refreshes it", async () => {
  const { clock, engine, hear } = fixture({ staleMs: 1_000 });
  await engine.get("a", async () => "old");
  await clock.advance(1_500);
  hear();
  const { load, resolve } = gate<string>();
  let loads = 0;
  const get = () =>
    engine.get("a", () => {
      loads++;
      return load();
    });
  expect([await get(), await get(), await get()]).toEqual(["old", "old", "old"]);
  expect(loads).toBe(1);
  resolve("new");
  await clock.advance(0);
  expect(await get()).toBe("new");
});

test("past staleMs nobody gets the old value, whatever the load says", async () => {
  const { clock, engine, hear } = fixture({ staleMs: 1_000 });
  await engine.get("a", async () => "old");
  await clock.advance(2_000);
  hear();
  await expect(engine.get("a", unreachable)).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
});

test("those who asked before an invalidation may get the old value; who asks after starts a new load", async () => {
  const { engine, say } = fixture();
  const before = gate<string>();
  const asked = engine.get("a", before.load);
  say(["a"]);
  const after = gate<string>();
  const askedAfter = engine.get("a", after.load);
  after.resolve("new");
  expect(await askedAfter).toBe("new");
  before.resolve("old");
  expect(await asked).toBe("old");
  expect(await engine.get("a", async () => "loaded again")).toBe("new");
  expect(engine.stats()).toMatchObject({ overtakenLoads: 1, loads: 2 });
});

test("an invalidation here drops the key at once, before the bus has the word", async () => {
  const { engine, published } = fixture();
  await engine.get("a", async () => "old");
  const told = engine.invalidate(["a", "b"]);
  expect(await engine.get("a", async () => "new")).toBe("new");
  await told;
  expect(published).toEqual([["a", "b"]]);
});

test("a silent bus: nothing is trusted beyond busBoundMs without asking the source", async () => {
  const { clock, engine, hear } = fixture({ ttlMs: 60_000, busBoundMs: 500 });
  await engine.get("a", async () => "old");
  await clock.advance(499);
  expect(await engine.get("a", async () => "new")).toBe("old");
  hear();
  await clock.advance(499);
  expect(await engine.get("a", async () => "new")).toBe("old");
  await clock.advance(1);
  expect(await engine.get("a", async () => "new")).toBe("new");
});

test("a silent bus and an unreachable source: stale within staleMs, refused with staleMs 0", async () => {
  for (const staleMs of [0, 10_000]) {
    const { clock, engine } = fixture({ ttlMs: 60_000, staleMs, busBoundMs: 500 });
    await engine.get("a", async () => "old");
    await clock.advance(500);
    const answer = engine.get("a", unreachable);
    if (staleMs === 0) await expect(answer).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
    else expect(await answer).toBe("old");
  }
});

test("an error that is an answer is never papered over with an old value", async () => {
  const { clock, engine } = fixture({ ttlMs: 60_000, staleMs: 60_000, busBoundMs: 500 });
  await engine.get("a", async () => "old");
  await clock.advance(500);
  const gone = async () => {
    throw new Error("this link is disabled");
  };
  await expect(engine.get("a", gone)).rejects.toThrow("this link is disabled");
});

test("while the source is unreachable it is asked once a second, not by every reader", async () => {
  const { clock, engine } = fixture({ ttlMs: 60_000, staleMs: 60_000, busBoundMs: 500 });
  await engine.get("a", async () => "old");
  await clock.advance(500);
  let loads = 0;
  const get = () =>
    engine.get("a", () => {
      loads++;
      return unreachable();
    });
  for (let i = 0; i < 5; i++) expect(await get()).toBe("old");
  expect(loads).toBe(1);
  await clock.advance(1_000);
  expect(await get()).toBe("old");
  expect(loads).toBe(2);
});

test("after a gap everything is loaded anew, and a load from before it is not kept", async () => {
  const { engine, gap } = fixture({ staleMs: 10_000 });
  await engine.get("a", async () => "old");
  const { load, resolve } = gate<string>();
  const asked = engine.get("b", load);
  gap();
  resolve("old");
  await asked;
  expect(await engine.get("a", async () => "new")).toBe("new");
  expect(await engine.get("b", async () => "new")).toBe("new");
});

test("an invalidated value never stands in, even when the source is unreachable", async () => {
  const { engine, say } = fixture({ staleMs: 10_000 });
  await engine.get("a", async () => "old");
  say(["a"]);
  await expect(engine.get("a", unreachable)).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
});

test("what is larger than maxBytes, or not JSON, is answered but not kept", async () => {
  const { engine } = fixture({ maxBytes: 1024 });
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  for (const value of ["x".repeat(1024), circle]) {
    let loads = 0;
    const get = () =>
      engine.get("a", async () => {
        loads++;
        return value;
      });
    expect([await get(), await get()]).toEqual([value, value]);
    expect(loads).toBe(2);
  }
  expect(engine.stats()).toMatchObject({ refusedValues: 4, entries: 0, bytes: 0 });
});

test("keys and values together stay within maxBytes; the least recently used go first", async () => {
  const { engine } = fixture({ maxBytes: 2048 });
  for (let i = 0; i < 100; i++) {
    await engine.get(`key-${i}`, async () => "x".repeat(90));
    await engine.get("key-0", async () => "loaded again");
    expect(engine.stats().bytes).toBeLessThanOrEqual(2048);
  }
  expect(await engine.get("key-0", async () => "loaded again")).toBe("x".repeat(90));
  expect(await engine.get("key-1", async () => "loaded again")).toBe("loaded again");
});

test("everybody gets the same object, so nobody can change it", async () => {
  const { engine } = fixture();
  const value = await engine.get("a", async () => ({ tags: ["x"], at: new Date(0) }));
  expect(() => value.tags.push("y")).toThrow(TypeError);
  expect(() => value.at.setTime(1)).not.toThrow();
});

test("a load is a call of its own: nobody's principal, the longest waiter's deadline", async () => {
  const { clock, engine } = fixture();
  const { load, resolve } = gate<string>();
  let inside: Call | undefined;
  const short = new Call(clock, { timeoutMs: 100, principal: { id: "ann", roles: [] } });
  const long = new Call(clock, { timeoutMs: 900 });
  const first = inCall(short, () =>
    engine.get("a", () => {
      inside = currentCall();
      return load();
    }),
  );
  await clock.advance(0);
  expect(inside?.remainingMs()).toBe(100);
  const second = inCall(long, () => engine.get("a", load));
  expect(inside?.remainingMs()).toBe(900);
  expect(inside?.principal).toBeUndefined();
  expect(inside?.trace.traceId).toBe(short.trace.traceId);
  first.catch(() => {});
  await clock.advance(100);
  await expect(first).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE" });
  expect(inside?.signal?.aborted).toBe(false);
  resolve("value");
  expect(await second).toBe("value");
});

test("a load is aborted when the last who waits has left, and a newcomer starts another", async () => {
  const { clock, engine } = fixture();
  let signal: AbortSignal | undefined;
  const gaveUp = inCall(new Call(clock, { timeoutMs: 100 }), () =>
    engine.get("a", () => {
      signal = currentCall()?.signal;
      return new Promise<string>(() => {});
    }),
  );
  gaveUp.catch(() => {});
  await clock.advance(100);
  await expect(gaveUp).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE" });
  expect(signal?.aborted).toBe(true);
  expect(await engine.get("a", async () => "new")).toBe("new");
});

test("a caller whose time is over starts no load", async () => {
  const { clock, engine } = fixture();
  const call = new Call(clock, { timeoutMs: 10 });
  await clock.advance(10);
  const asked = inCall(call, () => engine.get("a", async () => "value"));
  await expect(asked).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
  expect(engine.stats().loads).toBe(0);
});

test("a background refresh that hangs is aborted after ten seconds, so that the next can try", async () => {
  const { clock, engine, hear } = fixture({ staleMs: 60_000 });
  await engine.get("a", async () => "old");
  await clock.advance(1_000);
  hear();
  let signal: AbortSignal | undefined;
  await engine.get("a", () => {
    signal = currentCall()?.signal;
    return new Promise<string>((_, no) => signal?.addEventListener("abort", () => no(signal?.reason)));
  });
  await clock.advance(10_000);
  expect(signal?.aborted).toBe(true);
  hear();
  await clock.advance(1_000);
  hear();
  await engine.get("a", async () => "new");
  await clock.advance(0);
  expect(await engine.get("a", async () => "newer")).toBe("new");
});

test("a load after an invalidation reads at least as far as the invalidating commit", async () => {
  const { engine, say } = fixture();
  say(["a"], 700n);
  const seen = await engine.get("a", async () => currentCall()?.session.get("n1")?.wanted?.lsn);
  expect(seen).toBe(700n);
});

test("a position that was just heard holds for its own keys; after a minute it holds for all", async () => {
  const { clock, engine, hear, say } = fixture({ ttlMs: 1 });
  const seen = (key: string) => engine.get(key, async () => currentCall()?.session.get("n1")?.wanted?.lsn);
  say(["a"], 700n);
  expect([await seen("a"), await seen("b")]).toEqual([700n, undefined]);
  say(["a"], 600n); // words of one key may come in any order
  await clock.advance(60_000);
  hear();
  say(["c"], 800n);
  expect([await seen("a"), await seen("b"), await seen("c")]).toEqual([700n, 700n, 800n]);
});

test("positions of many keys are pooled rather than kept", async () => {
  const { engine, say } = fixture();
  for (let i = 0; i <= 10_000; i++) say([`key-${i}`], BigInt(i + 1));
  const seen = (key: string) => engine.get(key, async () => currentCall()?.session.get("n1")?.wanted?.lsn);
  expect([await seen("key-0"), await seen("other"), await seen("key-10000")]).toEqual([1n, 1n, 10_001n]);
});

test("without a bus a removal cannot be tied to a transaction, and that is said", async () => {
  const clock = manualClock();
  const engine = memoryCache(cache("hot"), { bus: undefined, clock, seam: new Seam(clock) });
  await expect(engine.invalidate(["a"], {} as never)).rejects.toMatchObject({
    code: "HOLDFAST_INPUT_INVALID",
  });
  await engine.invalidate(["a"]);
});

test("a load reads at least as far as the caller who invalidated had written", async () => {
  const { clock, engine } = fixture();
  const call = new Call(clock);
  call.session.raise("n1", { system: "1", timeline: 1, lsn: 900n });
  await inCall(call, () => engine.invalidate(["a"]));
  const seen = await engine.get("a", async () => currentCall()?.session.get("n1")?.wanted?.lsn);
  expect(seen).toBe(900n);
});

test("a call that has written more than an entry's load had seen bypasses it, and others get what it loads", async () => {
  const { clock, engine } = fixture();
  await engine.get("a", async () => "old");
  const writer = new Call(clock);
  writer.session.raise("n1", { system: "1", timeline: 1, lsn: 5n });
  expect(await inCall(writer, () => engine.get("a", async () => "new"))).toBe("new");
  expect(await inCall(writer, () => engine.get("a", async () => "newer"))).toBe("new");
  expect(await engine.get("a", async () => "newer")).toBe("new");
});

test("a call that has written does not wait for a load that began before its write", async () => {
  const { clock, engine } = fixture();
  const before = gate<string>();
  const asked = engine.get("a", before.load);
  await clock.advance(0);
  const writer = new Call(clock);
  writer.session.raise("n1", { system: "1", timeline: 1, lsn: 5n });
  expect(await inCall(writer, () => engine.get("a", async () => "new"))).toBe("new");
  before.resolve("old");
  expect(await asked).toBe("old");
  expect(await engine.get("a", async () => "newer")).toBe("new");
});

test("what stands in for an unreachable source is never older than the caller's own write", async () => {
  const { clock, engine } = fixture({ staleMs: 60_000 });
  await engine.get("a", async () => "old");
  const writer = new Call(clock);
  writer.session.raise("n1", { system: "1", timeline: 1, lsn: 5n });
  const asked = inCall(writer, () => engine.get("a", unreachable));
  await expect(asked).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
});

test("keys that are no strings or too long are refused", async () => {
  const { engine } = fixture();
  const long = "x".repeat(1025);
  const refused = { code: "HOLDFAST_INPUT_INVALID" };
  await expect(engine.get(long, async () => 1)).rejects.toMatchObject(refused);
  await expect(engine.invalidate([long])).rejects.toMatchObject(refused);
  await expect(engine.get(7 as never, async () => 1)).rejects.toMatchObject(refused);
});

test("a closed cache still answers from the source, keeps nothing and hears nothing; closing twice is fine", async () => {
  const { engine, listeners } = fixture();
  await engine.get("a", async () => "old");
  await engine.close();
  await engine.close();
  expect(listeners.size).toBe(0);
  expect(await engine.get("a", async () => "new")).toBe("new");
  expect(engine.stats().entries).toBe(0);
});

test("a timer that a load needed is gone when the load has ended", async () => {
  const { clock, engine, hear } = fixture({ staleMs: 60_000 });
  await engine.get("a", async () => "old");
  await clock.advance(1_000);
  hear();
  await engine.get("a", async () => "new");
  await clock.advance(0);
  expect(clock.pendingTimers).toBe(0);
});

/** A load that says whether only the node's primary may answer it. */
const asksPrimary = async () => currentCall()?.session.requiresPrimary("n1");

test("while the bus is silent a load asks the primary, and only that load", async () => {
  const { clock, engine, hear } = fixture({ busBoundMs: 300 });
  expect(await engine.get("before", asksPrimary)).toBe(false);
  await clock.advance(301);
  expect(await engine.get("key", asksPrimary)).toBe(true);
  // The entry does not count as having seen anything for it: who has written since goes past it.
  const session = new Session();
  session.raise("n1", { system: "1", timeline: 1, lsn: 7n });
  expect(await inCall(new Call(clock, { session }), () => engine.get("key", async () => "own write"))).toBe(
    "own write",
  );
  hear();
  expect(await engine.get("after", asksPrimary)).toBe(false);
});

test("who keeps stale values to stay up takes what a replica has", async () => {
  const { clock, engine } = fixture({ busBoundMs: 300, staleMs: 1_000 });
  await clock.advance(301);
  expect(await engine.get("key", asksPrimary)).toBe(false);
});

test("what was loaded while the bus was heard is trusted from its last word on, not from the load", async () => {
  const { clock, engine, hear } = fixture({ busBoundMs: 300 });
  hear();
  await clock.advance(200);
  expect(await engine.get("key", async () => "first")).toBe("first");
  await clock.advance(99);
  expect(await engine.get("key", async () => "second")).toBe("first");
  await clock.advance(1);
  expect(await engine.get("key", async () => "second")).toBe("second");
});

test("a load that is older than the bound is not joined while the bus is silent", async () => {
  const { clock, engine } = fixture({ busBoundMs: 300 });
  const slow = gate<string>();
  const early = engine.get("key", slow.load);
  await clock.advance(200);
  const joined = engine.get("key", async () => "not asked");
  await clock.advance(101);
  expect(await engine.get("key", async () => "new")).toBe("new");
  slow.resolve("old");
  expect(await Promise.all([early, joined])).toEqual(["old", "old"]);
  expect(await engine.get("key", async () => "not asked")).toBe("new");
});
