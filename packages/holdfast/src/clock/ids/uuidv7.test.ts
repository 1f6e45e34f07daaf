import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock, systemClock } from "../index.ts";
import { formatUuidv7, parseUuidv7, uuidv7Generator, uuidv7GeneratorFrom } from "./uuidv7.ts";

test("the example of RFC 9562, A.6, is laid out and read as published", () => {
  const fields = { unixMs: 0x017f22e279b0, randA: 0xcc3, randB: 0x18c4dc0c0c07398fn };
  expect(formatUuidv7(fields)).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  expect(parseUuidv7("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")).toEqual(fields);
  expect(new Date(fields.unixMs).toISOString()).toBe("2022-02-22T19:22:22.000Z");
});

test("any fields come back as they were", () => {
  const fields = fc.record({
    unixMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    randA: fc.integer({ min: 0, max: 4095 }),
    randB: fc.bigInt({ min: 0n, max: (1n << 62n) - 1n }),
  });
  fc.assert(
    fc.property(fields, (given) => {
      expect(parseUuidv7(formatUuidv7(given))).toEqual(given);
    }),
  );
});

test("ids rise whatever the clock does: standing still, moving on, jumping back", async () => {
  const moves = fc.array(
    fc.record({ jumpMs: fc.integer({ min: -100_000, max: 100_000 }), ids: fc.integer({ min: 1, max: 20 }) }),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(moves, fc.integer(), (steps, seed) => {
      const clock = manualClock({ seed });
      const next = uuidv7Generator(clock);
      let last = "";
      for (const { jumpMs, ids } of steps) {
        clock.jumpWall(jumpMs);
        for (let i = 0; i < ids; i++) {
          const id = next();
          expect(id > last).toBe(true);
          expect(parseUuidv7(id)?.unixMs).toBeGreaterThanOrEqual(clock.wallMs());
          last = id;
        }
      }
    }),
  );
});

test("100,000 ids of one millisecond are unique, in order, and all of that millisecond", () => {
  const clock = manualClock();
  const next = uuidv7Generator(clock);
  const ids = Array.from({ length: 100_000 }, next);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids.map((id) => parseUuidv7(id)?.unixMs))).toEqual(new Set([clock.wallMs()]));
});

test("a counter that is full takes the next millisecond", () => {
  const clock = manualClock({ wallMs: 1000 });
  const next = uuidv7GeneratorFrom(clock, () => 2 ** 30 - 2);
  const [first, second, third, fourth] = [next(), next(), next(), next()];
  expect(parseUuidv7(first)).toMatchObject({ unixMs: 1000, randA: 0xfff });
  expect(parseUuidv7(second)).toMatchObject({ unixMs: 1000, randA: 0xfff });
  expect(parseUuidv7(third)?.unixMs).toBe(1001);
  expect([first, second, third, fourth].toSorted()).toEqual([first, second, third, fourth]);
});

test("a counter begins in the lower half, so that it has the upper half to grow", () => {
  const clock = manualClock({ wallMs: 1000 });
  const random = { ...clock.random, uint32: () => 0xffffffff };
  expect(parseUuidv7(uuidv7Generator({ ...clock, random })())).toMatchObject({ unixMs: 1000, randA: 0x7ff });
});

test("the real clock's ids carry the present", () => {
  const before = systemClock.wallMs();
  const { unixMs } = parseUuidv7(uuidv7Generator(systemClock)()) ?? { unixMs: 0 };
  expect(unixMs).toBeGreaterThanOrEqual(before);
  expect(unixMs).toBeLessThan(before + 60_000);
});

test("what is no UUID of version 7 is not read, and what does not fit is not written", () => {
  for (const text of [
    "",
    "017f22e2-79b0-4cc3-98c4-dc0c0c07398f", // version 4
    "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", // another variant
    "017f22e279b07cc398c4dc0c0c07398f",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
    "017g22e2-79b0-7cc3-98c4-dc0c0c07398f",
  ])
    expect(parseUuidv7(text)).toBeUndefined();
  const good = { unixMs: 1, randA: 1, randB: 1n };
  for (const bad of [
    { unixMs: 2 ** 48 },
    { unixMs: -1 },
    { unixMs: 0.5 },
    { randA: 4096 },
    { randB: 1n << 62n },
    { randB: -1n },
  ])
    expect(() => formatUuidv7({ ...good, ...bad })).toThrow(RangeError);
});
