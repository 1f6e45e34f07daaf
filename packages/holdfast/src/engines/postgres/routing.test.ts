import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../../clock/index.ts";
import { NodePool } from "./pool.ts";
import { readCandidates } from "./routing.ts";
import { covers, parseLsn, roundDownToRecord } from "./routing-position.ts";

const endpoint = { host: "127.0.0.1", port: 1, database: "d", user: "u", password: "p" };
const pool = (role: "primary" | "replica") =>
  new NodePool({ node: "n", role, endpoint, applicationName: "t" }, manualClock());
const primary = pool("primary");
const [first, second] = [pool("replica"), pool("replica")];
const token = { system: "1", timeline: 1, lsn: 10n };
const order = (...args: Parameters<typeof readCandidates>) => readCandidates(...args).map((c) => c.pool);

test("strong reads ask the primary alone", () => {
  expect(order("strong", primary, [first, second], token, 0)).toEqual([primary]);
});

test("other reads ask replicas in turn, and the primary last", () => {
  expect(order("session", primary, [first, second], token, 0)).toEqual([first, second, primary]);
  expect(order("eventual", primary, [first, second], token, 1)).toEqual([second, first, primary]);
  expect(order("session", primary, [], token, 0)).toEqual([primary]);
});

test("only session reads of a session that has seen something need a position, and only from replicas", () => {
  const tokens = (...args: Parameters<typeof readCandidates>) => readCandidates(...args).map((c) => c.token);
  expect(tokens("session", primary, [first], token, 0)).toEqual([token, undefined]);
  expect(tokens("session", primary, [first], undefined, 0)).toEqual([undefined, undefined]);
  expect(tokens("eventual", primary, [first], token, 0)).toEqual([undefined, undefined]);
});

test("log positions are read as 64-bit integers", () => {
  expect(parseLsn("0/174B300")).toBe(0x174b300n);
  expect(parseLsn("16/B374D848")).toBe(0x16b374d848n);
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }), (lsn) => {
      const text = `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
      expect(parseLsn(text)).toBe(lsn);
    }),
  );
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

test("a position covers another only of the same server and timeline", () => {
  expect(covers(token, token)).toBe(true);
  expect(covers({ ...token, lsn: 11n }, token)).toBe(true);
  expect(covers({ ...token, lsn: 9n }, token)).toBe(false);
  expect(covers({ ...token, timeline: 2, lsn: 99n }, token)).toBe(false);
  expect(covers({ ...token, system: "2", lsn: 99n }, token)).toBe(false);
});
