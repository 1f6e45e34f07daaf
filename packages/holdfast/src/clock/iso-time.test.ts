import fc from "fast-check";
import { expect, test } from "vitest";
import { isoTime, parseIsoTime } from "./iso-time.ts";

test("what was written as an instant is read as the same", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (ms) => {
      expect(parseIsoTime(isoTime(ms))).toBe(ms);
    }),
  );
});

test("an offset is heeded, a missing one is UTC, and what is no time is none", () => {
  const ms = Date.UTC(2026, 4, 4, 10, 15);
  for (const text of [
    "2026-05-04T10:15:00Z",
    "2026-05-04 10:15",
    "2026-05-04T12:15:00+02:00",
    "2026-05-04T05:45:00.000-0430",
  ]) {
    expect(parseIsoTime(text)).toBe(ms);
  }
  expect(parseIsoTime("2026-05-04")).toBe(Date.UTC(2026, 4, 4));
  for (const text of ["", "now", "2026-02-30", "2026-05-04T25:00Z", "04.05.2026", "1795623284", "2026-5-4"]) {
    expect(parseIsoTime(text)).toBeUndefined();
  }
});
