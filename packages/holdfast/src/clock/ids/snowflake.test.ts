import fc from "fast-check";
import { expect, test } from "vitest";
import { ClockError, manualClock } from "../index.ts";
import {
  parseSnowflake,
  snowflakeEpochMs,
  snowflakeGenerator,
  snowflakeLastMs,
  snowflakeLayouts,
} from "./snowflake.ts";

const wide = snowflakeLayouts["41/13/10"];
const classic = snowflakeLayouts["41/10/12"];
const yearMs = 365.2425 * 86_400_000;

test("published ids are read: a tweet's, and a Discord message's", () => {
  const twitter = { ...classic, epochMs: 1_288_834_974_657 };
  expect(parseSnowflake("1541815603606036480", twitter)).toEqual({
    unixMs: 1_656_432_460_105,
    node: 378,
    sequence: 0,
  });
  const discord = { timestampBits: 42, nodeBits: 10, sequenceBits: 12, epochMs: 1_420_070_400_000 };
  expect(parseSnowflake("175928847299117063", discord)).toEqual({
    unixMs: 1_462_015_105_796,
    node: 32,
    sequence: 7,
  });
});

test.each([classic, wide, { timestampBits: 32, nodeBits: 16, sequenceBits: 15, epochMs: 1_749_000_000_000 }])(
  "ids carry time, node and sequence, as 64-bit decimal text: %o",
  (layout) => {
    const times = fc.integer({
      min: layout.epochMs,
      max: Math.min(snowflakeLastMs(layout), layout.epochMs + 2 ** 40),
    });
    fc.assert(
      fc.property(
        times,
        fc.integer({ min: 0, max: 2 ** layout.nodeBits - 1 }),
        fc.integer({ min: 1, max: 40 }),
        (unixMs, node, count) => {
          const { take } = snowflakeGenerator(manualClock({ wallMs: unixMs }), { node, layout });
          for (let sequence = 0; sequence < count; sequence++) {
            const id = take() ?? "";
            const low = BigInt(node) * BigInt(2 ** layout.sequenceBits) + BigInt(sequence);
            expect(id).toBe(
              String(
                (BigInt(unixMs - layout.epochMs) << BigInt(layout.nodeBits + layout.sequenceBits)) + low,
              ),
            );
            expect(parseSnowflake(JSON.parse(JSON.stringify(id)), layout)).toEqual({
              unixMs,
              node,
              sequence,
            });
          }
        },
      ),
    );
  },
);

test("ids rise while the clock moves on", async () => {
  const clock = manualClock();
  const { take } = snowflakeGenerator(clock, { node: 5 });
  const ids: bigint[] = [];
  for (let i = 0; i < 50; i++) {
    for (let n = 0; n < 20; n++) ids.push(BigInt(take() ?? "-1"));
    await clock.advance(1);
  }
  expect(ids.every((id, i) => i === 0 || id > (ids[i - 1] as bigint))).toBe(true);
});

test("a sequence that is used up waits for the next millisecond", async () => {
  const clock = manualClock();
  const generator = snowflakeGenerator(clock, { node: 1, layout: wide });
  const startMs = clock.wallMs();
  for (let i = 0; i < 1024; i++) expect(generator.take()).toBeDefined();
  expect(generator.take()).toBeUndefined();
  const waiting = Promise.all([generator.next(), generator.next()]);
  await clock.advance(1);
  expect((await waiting).map((id) => parseSnowflake(id, wide))).toEqual([
    { unixMs: startMs + 1, node: 1, sequence: 0 },
    { unixMs: startMs + 1, node: 1, sequence: 1 },
  ]);
  expect(clock.pendingTimers).toBe(0);
});

test("who waits for the next millisecond can give up", async () => {
  const clock = manualClock();
  const generator = snowflakeGenerator(clock, { node: 1, layout: wide });
  while (generator.take() !== undefined);
  await expect(generator.next(AbortSignal.abort("enough"))).rejects.toBe("enough");
  expect(clock.pendingTimers).toBe(0);
});

test("a clock that goes back a little keeps the last time, and ids stay unique and rising", async () => {
  const clock = manualClock();
  const generator = snowflakeGenerator(clock, { node: 1 });
  const before = BigInt(generator.take() ?? "");
  clock.jumpWall(-10);
  const after = BigInt(generator.take() ?? "");
  expect(after).toBe(before + 1n);
  while (generator.take() !== undefined);
  const waiting = generator.next();
  await clock.advance(10);
  await clock.advance(1);
  expect(BigInt(await waiting)).toBeGreaterThan(after);
});

test("a clock that goes back further than the bound is an error, and nothing is handed out", async () => {
  const clock = manualClock();
  const generator = snowflakeGenerator(clock, { node: 1, rollbackMsMax: 10 });
  generator.take();
  clock.jumpWall(-11);
  expect(() => generator.take()).toThrow(ClockError);
  await expect(generator.next()).rejects.toMatchObject({
    code: "HOLDFAST_CLOCK_ROLLBACK",
    outcome: "not-applied",
    permanent: false,
    data: { byMs: 11, boundMs: 10 },
  });
  await clock.advance(12);
  expect(generator.take()).toBeDefined();
});

test("41 bits last 69.7 years; with 64 bits in all the sign ends them after 34.8", () => {
  expect((snowflakeLastMs(classic) - snowflakeEpochMs) / yearMs).toBeCloseTo(69.7, 1);
  expect((snowflakeLastMs(wide) - snowflakeEpochMs) / yearMs).toBeCloseTo(34.8, 1);
  for (const layout of [classic, wide]) {
    const node = 2 ** layout.nodeBits - 1;
    const { take } = snowflakeGenerator(manualClock({ wallMs: snowflakeLastMs(layout) }), { node, layout });
    let last = "";
    for (let id = take(); id !== undefined; id = take()) last = id;
    expect(BigInt(last)).toBe((1n << 63n) - 1n);
    const late = snowflakeGenerator(manualClock({ wallMs: snowflakeLastMs(layout) + 1 }), { node, layout });
    expect(() => late.take()).toThrow(RangeError);
    const early = snowflakeGenerator(manualClock({ wallMs: layout.epochMs - 1 }), { node, layout });
    expect(() => early.take()).toThrow(RangeError);
  }
});

test("a node or a layout that does not fit is refused; text that is no id is not read", () => {
  const clock = manualClock();
  for (const node of [-1, 1024, 1.5]) expect(() => snowflakeGenerator(clock, { node })).toThrow("node");
  const layouts = [{ timestampBits: 31 }, { timestampBits: 43 }, { nodeBits: 0 }, { epochMs: Number.NaN }];
  for (const bad of layouts)
    expect(() => snowflakeGenerator(clock, { node: 1, layout: { ...classic, ...bad } })).toThrow(RangeError);
  for (const text of ["", "-1", "01", "1.5", "9223372036854775808", "99999999999999999999", "1n"])
    expect(parseSnowflake(text)).toBeUndefined();
});
