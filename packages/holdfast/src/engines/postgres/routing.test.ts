import fc from "fast-check";
import { expect, test } from "vitest";
import type { Knowledge, LogPosition } from "../../call/index.ts";
import { manualClock } from "../../clock/index.ts";
import { NodePool } from "./pool.ts";
import { isKnownToHave, neededPositions, readRoute } from "./routing.ts";
import { roundDownToRecord } from "./routing-position.ts";

const endpoint = { host: "127.0.0.1", port: 1, database: "d", user: "u", password: "p" };
const replica = () =>
  new NodePool({ node: "n", role: "replica", endpoint, applicationName: "t" }, manualClock());
const at = (lsn: bigint, timeline = 1, system = "1"): LogPosition => ({ system, timeline, lsn });

test("each level asks for what it promises, and no more", () => {
  const known: { [how in Knowledge]: LogPosition } = {
    written: at(1n),
    read: at(2n),
    heard: at(3n),
    wanted: at(4n),
  };
  const lsns = (...args: Parameters<typeof neededPositions>) =>
    neededPositions(...args).map(({ lsn }) => Number(lsn));
  expect(lsns("eventual", known)).toEqual([]);
  expect(lsns("read-your-writes", known)).toEqual([1, 4]);
  expect(lsns("monotonic", known)).toEqual([2, 4]);
  expect(lsns("session", known)).toEqual([1, 2, 4]);
  expect(lsns("causal", known)).toEqual([1, 2, 3, 4]);
  expect(lsns("causal", { written: at(1n) })).toEqual([1]);
  expect(lsns("causal", undefined)).toEqual([]);
});

test("strong reads ask no replica; others ask them in turn", () => {
  const [first, second] = [replica(), replica()];
  const order = (level: "strong" | "session" | "eventual", turn: number) =>
    readRoute(level, [first, second], [], turn).replicas;
  expect(order("strong", 0)).toEqual([]);
  expect(order("session", 0)).toEqual([first, second]);
  expect(order("eventual", 1)).toEqual([second, first]);
  expect(readRoute("session", [], [], 0)).toEqual({ replicas: [], avoided: [] });
});

test("a replica that is known to be far enough is asked before one that may be behind", () => {
  const [first, second] = [replica(), replica()];
  first.replayed = at(5n);
  second.replayed = at(9n);
  expect(readRoute("session", [first, second], [at(7n)], 0).replicas).toEqual([second, first]);
  expect(readRoute("session", [first, second], [at(5n)], 0).replicas).toEqual([first, second]);
});

test("what is remembered of a replica counts only on its own server and timeline", () => {
  const pool = replica();
  expect(isKnownToHave(pool, [])).toBe(true);
  expect(isKnownToHave(pool, [at(1n)])).toBe(false);
  pool.replayed = at(9n);
  expect(isKnownToHave(pool, [at(9n), at(3n)])).toBe(true);
  expect(isKnownToHave(pool, [at(10n)])).toBe(false);
  expect(isKnownToHave(pool, [at(1n, 2)])).toBe(false);
  expect(isKnownToHave(pool, [at(1n, 1, "2")])).toBe(false);
});

test("a position behind a page's header means the page's start, and no other is changed", () => {
  const segment = 16n << 20n;
  expect(roundDownToRecord(0x5000028n, segment)).toBe(0x5000000n);
  expect(roundDownToRecord(0x5002018n, segment)).toBe(0x5002000n);
  // 40 bytes into a page that begins no segment: a record may have ended there.
  expect(roundDownToRecord(0x5002028n, segment)).toBe(0x5002028n);
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 1n << 40n }), (lsn) => {
      const rounded = roundDownToRecord(lsn, segment);
      expect(lsn - rounded === 0n || rounded % 8192n === 0n).toBe(true);
      expect(lsn - rounded <= 40n).toBe(true);
    }),
  );
});
