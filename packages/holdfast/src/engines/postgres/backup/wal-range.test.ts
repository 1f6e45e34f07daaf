/** Names of segments, the way to a timeline, and gaps: against what is obvious. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSegmentName, segmentBefore, segmentName, segmentOf } from "./wal-name.ts";
import { chooseTimeline, requiredName, stretchFrom } from "./wal-range.ts";

const bytes = 16 << 20;

test("the names are those that Postgres gives", () => {
  // pg_walfile_name('16/B374D848') on timeline 1, and the first of a new 4 GB.
  expect(segmentName({ timeline: 1, segment: segmentOf(0x16_b374d848n, bytes) }, bytes)).toBe(
    "0000000100000016000000B3",
  );
  expect(segmentName({ timeline: 0x1f, segment: 0x200n }, bytes)).toBe("0000001F0000000200000000");
  expect(segmentBefore(0x2000000n, bytes)).toBe(1n);
  expect(segmentBefore(0x2000001n, bytes)).toBe(2n);
});

test("a name is read back as what it was made of, for every size of segment", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0x7fffffff }),
      fc.bigInt({ min: 0n, max: 1n << 40n }),
      fc.constantFrom(1 << 20, bytes, 1 << 30),
      (timeline, lsn, size) => {
        const segment = segmentOf(lsn, size);
        expect(parseSegmentName(segmentName({ timeline, segment }, size), size)).toEqual({
          timeline,
          segment,
        });
      },
    ),
  );
  for (const name of ["00000002.history", "000000010000000000000001.partial", "restores.json"]) {
    expect(parseSegmentName(name, bytes)).toBeUndefined();
  }
});

test("a segment in which the log forks is read as the successor's", () => {
  const forks = new Map([
    [1, 0x5000100n],
    [2, 0x7000000n],
  ]);
  const names = [4n, 5n, 6n, 7n].map((segment) => requiredName(segment, 3, forks, bytes));
  expect(names.map((name) => Number(name.slice(0, 8)))).toEqual([1, 2, 2, 3]);
});

test("how far a stretch goes, and what is missing behind it, is what counting says", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (there) => {
      const nameOf = (index: number) => segmentName({ timeline: 1, segment: BigInt(index) }, bytes);
      const names = new Set(there.flatMap((is, index) => (is ? [nameOf(index)] : [])));
      const { last, missing } = stretchFrom(0n, 1, new Map(), bytes, names);
      const end = [...there, false].indexOf(false);
      expect(last).toBe(end === 0 ? undefined : BigInt(end - 1));
      const after = there.indexOf(true, end);
      expect(missing).toEqual(
        after === -1
          ? undefined
          : { first: nameOf(end), last: nameOf(after - 1), count: BigInt(after - end) },
      );
    }),
  );
});

test("failovers are followed, and restores only by who wants a time after them", () => {
  const histories = new Map([
    [2, new Map([[1, 100n]])], // a failover
    [
      3,
      new Map([
        [1, 100n],
        [2, 200n],
      ]),
    ], // a restore, at the time 1000
    [4, new Map([[1, 50n]])], // a restore further back, at the time 2000
  ]);
  const restores = [
    { timeline: 3, atMs: 1_000 },
    { timeline: 4, atMs: 2_000 },
  ];
  const choose = (lsn: bigint, untilMs?: number) =>
    chooseTimeline({ system: "7", histories, restores }, { timeline: 1, lsn }, untilMs);
  expect(choose(10n, 500)).toBe(2);
  expect(choose(10n, 1_500)).toBe(3);
  expect(choose(10n, 2_500)).toBe(4);
  expect(choose(10n)).toBe(4);
  expect(choose(80n)).toBe(3); // timeline 4 left before that
  expect(choose(150n)).toBe(1); // written by an old primary, beyond where it was left
});
