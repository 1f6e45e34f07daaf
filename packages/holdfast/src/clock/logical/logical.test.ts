import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../index.ts";
import { compareHybrid, decodeHybrid, encodeHybrid, type HybridTime, hybridClock } from "./hybrid.ts";
import { lamportClock } from "./lamport.ts";
import { compareVersions, incrementVersion, mergeVersions, type VersionVector } from "./version-vector.ts";

/** A history of three processes: local events, and messages from an earlier event. */
const processes = 3;
const step = fc.record({
  process: fc.nat(processes - 1),
  /** Which earlier event's message arrives; none for a local event. */
  hears: fc.option(fc.nat(), { nil: undefined }),
  skewMs: fc.integer({ min: -20, max: 20 }),
});
const histories = fc.array(step, { minLength: 1, maxLength: 40 });

/** The twin: which events can have influenced which, as sets. */
function causes(history: readonly { process: number; hears: number | undefined }[]): Set<number>[] {
  const last: (number | undefined)[] = new Array(processes).fill(undefined);
  const past: Set<number>[] = [];
  history.forEach(({ process, hears }, event) => {
    const known = new Set<number>();
    for (const before of [last[process], hears === undefined || event === 0 ? undefined : hears % event]) {
      if (before === undefined) continue;
      known.add(before);
      for (const earlier of past[before] as Set<number>) known.add(earlier);
    }
    past.push(known);
    last[process] = event;
  });
  return past;
}

test("Lamport: what can have influenced an event has a smaller time", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const clocks = Array.from({ length: processes }, () => lamportClock());
      const times: number[] = [];
      history.forEach(({ process, hears }, event) => {
        const clock = clocks[process] as ReturnType<typeof lamportClock>;
        times.push(
          hears === undefined || event === 0 ? clock.tick() : clock.receive(times[hears % event] as number),
        );
        expect(clock.time).toBe(times[event]);
      });
      causes(history).forEach((past, event) => {
        for (const cause of past) expect(times[cause]).toBeLessThan(times[event] as number);
      });
    }),
  );
});

test("Lamport: a time that would end the clock is refused, and changes nothing", () => {
  const clock = lamportClock(5);
  for (const time of [Number.MAX_SAFE_INTEGER, -1, 1.5, Number.NaN])
    expect(() => clock.receive(time)).toThrow(RangeError);
  expect(clock.tick()).toBe(6);
});

test("version vectors: `before` is exactly what can have influenced, and `concurrent` what neither can", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const now: VersionVector[] = Array.from({ length: processes }, () => ({}));
      const vectors: VersionVector[] = [];
      history.forEach(({ process, hears }, event) => {
        const heard = hears === undefined || event === 0 ? {} : (vectors[hears % event] as VersionVector);
        // One replica has a name that plain objects have an answer for.
        const name = ["a", "constructor", "__proto__"][process] as string;
        now[process] = incrementVersion(mergeVersions(now[process] as VersionVector, heard), name);
        vectors.push(now[process] as VersionVector);
      });
      const past = causes(history);
      vectors.forEach((a, i) => {
        vectors.forEach((b, j) => {
          const expected =
            i === j ? "equal" : past[j]?.has(i) ? "before" : past[i]?.has(j) ? "after" : "concurrent";
          expect(compareVersions(a, b)).toBe(expected);
        });
      });
    }),
  );
});

const vector = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.nat(4));

test("version vectors: merging is commutative, associative and idempotent, and knows both", () => {
  fc.assert(
    fc.property(vector, vector, vector, (a, b, c) => {
      const same = (x: VersionVector, y: VersionVector) => expect(compareVersions(x, y)).toBe("equal");
      same(mergeVersions(a, b), mergeVersions(b, a));
      same(mergeVersions(a, mergeVersions(b, c)), mergeVersions(mergeVersions(a, b), c));
      same(mergeVersions(a, a), a);
      expect(["before", "equal"]).toContain(compareVersions(a, mergeVersions(a, b)));
    }),
  );
});

test("hybrid: respects what can have influenced, and stays within the skew of the clocks", () => {
  fc.assert(
    fc.property(histories, (history) => {
      // Wall clocks up to 20 ms off real time, in either direction, changing at each event: 40 ms apart.
      const walls = Array.from({ length: processes }, () => manualClock({ wallMs: 1_000_000 }));
      const clocks = walls.map((wall) => hybridClock(wall, { aheadMsMax: 100 }));
      const times: HybridTime[] = [];
      history.forEach(({ process, hears, skewMs }, event) => {
        const wall = walls[process] as ReturnType<typeof manualClock>;
        const realMs = 1_000_000 + event;
        wall.jumpWall(realMs + skewMs - wall.wallMs());
        const clock = clocks[process] as ReturnType<typeof hybridClock>;
        const heard = hears === undefined || event === 0 ? undefined : times[hears % event];
        const time = heard ? clock.receive(heard) : clock.now();
        times.push(time);
        expect(time.wallMs).toBeGreaterThanOrEqual(wall.wallMs()); // Kulkarni, theorem 2
        expect(time.wallMs).toBeLessThanOrEqual(realMs + 20); // corollary 1
        expect(time.logical).toBeLessThanOrEqual(event); // theorem 3: bounded by the events that fit in
      });
      causes(history).forEach((past, event) => {
        for (const cause of past)
          expect(compareHybrid(times[cause] as HybridTime, times[event] as HybridTime)).toBeLessThan(0);
      });
      const sorted = times.toSorted(compareHybrid).map(encodeHybrid);
      expect(sorted).toEqual(times.map(encodeHybrid).toSorted());
      expect(times.map(encodeHybrid).map(decodeHybrid)).toEqual(times);
    }),
  );
});

test("hybrid: a peer too far ahead is refused, and drags nobody along", () => {
  const wall = manualClock({ wallMs: 10_000 });
  const clock = hybridClock(wall);
  expect(clock.receive({ wallMs: 10_500, logical: 7 })).toEqual({ wallMs: 10_500, logical: 8 });
  expect(() => clock.receive({ wallMs: 10_501, logical: 0 })).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_CLOCK_SKEW",
      outcome: "not-applied",
      data: { aheadMs: 501, aheadMsMax: 500 },
    }),
  );
  expect(clock.now()).toEqual({ wallMs: 10_500, logical: 9 });
  expect(() => clock.receive({ wallMs: Number.NaN, logical: 0 })).toThrow(RangeError);
});

test("hybrid: the 65,537th event of a millisecond begins the next one", () => {
  const clock = hybridClock(manualClock({ wallMs: 5 }));
  clock.receive({ wallMs: 5, logical: 65_534 });
  expect(clock.now()).toEqual({ wallMs: 6, logical: 0 });
});

test("hybrid: text that is no time is not read", () => {
  for (const text of ["", "00000000000500", "0000000000050000x", "000000000005000G"])
    expect(decodeHybrid(text)).toBeUndefined();
});
