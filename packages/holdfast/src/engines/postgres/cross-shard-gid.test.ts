import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../../clock/index.ts";
import { fitsGid, formatGid, gidBytesMax, lockOfId, parseGid } from "./cross-shard-gid.ts";
import { standbysWaitedFor } from "./cross-shard-server.ts";
import { drawMarkerId } from "./marker.ts";

const id = fc.uuid();
const gids = fc
  .record({
    id,
    coordinator: fc.string({ unit: "binary", minLength: 1 }),
    of: fc.tuple(fc.nat(1023), fc.nat(1023)),
  })
  .map(({ of: [x, y], ...rest }) => ({
    ...rest,
    number: Math.min(x, y) + 1,
    participants: Math.max(x, y) + 1,
  }));

test("a gid says again what it was made of, in characters that mean nothing to SQL, and fits", () => {
  fc.assert(
    fc.property(gids, (parts) => {
      const isText = parts.coordinator.isWellFormed();
      fc.pre(isText && fitsGid(parts.coordinator));
      const gid = formatGid(parts);
      expect(gid).toMatch(/^[A-Za-z0-9%:/._~-]+$/);
      expect(Buffer.byteLength(gid)).toBeLessThanOrEqual(gidBytesMax);
      expect(parseGid(gid)).toEqual(parts);
    }),
  );
});

test("what is not exactly of that form is nobody's of ours", () => {
  const good = "holdfast:0197f1c2-0000-7000-8000-00000000002a:1/2:node-1";
  expect(parseGid(good)).toBeDefined();
  for (const wrong of [
    "",
    "pgbouncer_1",
    good.toUpperCase(),
    good.replace("1/2", "3/2"),
    good.replace("1/2", "0/2"),
    good.replace("node-1", "%"),
    good.replace("node-1", "no'de"),
    good.replace("node-1", ""),
    `${good} `,
    `${good}\n`,
    good.replace("0197f1c2", "0197F1C2"),
  ])
    expect(parseGid(wrong), wrong).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => parseGid(text) === undefined));
});

test("each id has a lock of its own, a signed integer of 64 bits", () => {
  const clock = manualClock();
  const locks = new Set(Array.from({ length: 100 }, () => BigInt(lockOfId(drawMarkerId(clock)))));
  expect(locks.size).toBe(100);
  for (const lock of locks) expect(BigInt.asIntN(64, lock)).toBe(lock);
});

test("how many standbys a commit waits for is read from what the server was told", () => {
  const names = ["", "  ", "a", "a, b", "2 (a, b, c)", "FIRST 3 (a,b,c)", 'ANY 2 ("x-1", *)', "any 1(*)"];
  expect(names.map(standbysWaitedFor)).toEqual([0, 0, 1, 1, 2, 3, 2, 1]);
});
