import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../index.ts";
import { formatKsuid, ksuidEpochS, ksuidGenerator, parseKsuid } from "./ksuid.ts";

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));

test.each([
  ["0ujtsYcgvSTl8PAuAdqWYSMnLOv", 107_608_047, "B5A1CD34B5F99D1154FB6853345C9735"],
  ["0ujzPyRiIAffKhBux4PvQdDqMHY", 107_610_780, "73FC1AA3B2446246D6E89FCD909E8FE8"],
  ["0uk1Hbc9dQ9pxyTqJ93IUrfhdGq", 107_611_700, "9850EEEC191BF4FF26F99315CE43B0C8"],
  ["000000000000000000000000000", 0, "0".repeat(32)],
  ["aWgEPTl1tmebfsQzFP4bxwgy80V", 2 ** 32 - 1, "F".repeat(32)],
])("the published %s is read and written", (text, seconds, payload) => {
  const fields = { unixS: seconds + ksuidEpochS, payload: bytes(payload) };
  expect(parseKsuid(text)).toEqual(fields);
  expect(formatKsuid(fields)).toBe(text);
});

test("any fields come back as they were", () => {
  const fields = fc.record({
    unixS: fc.integer({ min: ksuidEpochS, max: ksuidEpochS + 2 ** 32 - 1 }),
    payload: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  });
  fc.assert(
    fc.property(fields, (given) => {
      expect(parseKsuid(formatKsuid(given))).toEqual({ ...given, payload: new Uint8Array(given.payload) });
    }),
  );
});

test("ids of a later second sort later; those of one second differ", async () => {
  const clock = manualClock();
  const next = ksuidGenerator(clock);
  const first = Array.from({ length: 1000 }, next);
  await clock.advance(1000);
  const later = next();
  expect(new Set(first).size).toBe(1000);
  expect(first.every((id) => id < later)).toBe(true);
  expect(parseKsuid(later)?.unixS).toBe(Math.floor(clock.wallMs() / 1000));
});

test("what is no KSUID is not read, and a time outside of its range is not written", () => {
  for (const text of [
    "",
    "0ujtsYcgvSTl8PAuAdqWYSMnLO",
    "0ujtsYcgvSTl8PAuAdqWYSMnLO-",
    "aWgEPTl1tmebfsQzFP4bxwgy80W",
  ])
    expect(parseKsuid(text)).toBeUndefined();
  expect(() => ksuidGenerator(manualClock({ wallMs: 0 }))()).toThrow(RangeError);
  expect(() => formatKsuid({ unixS: ksuidEpochS, payload: new Uint8Array(15) })).toThrow(RangeError);
});
