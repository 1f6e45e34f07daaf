import fc from "fast-check";
import { expect, test } from "vitest";
import { Session } from "../../call/index.ts";
import { cutToEnd, reviewSession, reviewStep, type TokenCounts } from "./session-review.ts";
import { covers, type Line, parseHistory, parseLsn, standingOf } from "./timeline.ts";

const at = (lsn: bigint, timeline = 1, system = "1") => ({ system, timeline, lsn });
const counts = (): TokenCounts => ({ foreign: 0, future: 0, lost: 0 });
/** Timeline 3 left 2 at 200, which had left 1 at 100. */
const line: Line = {
  system: "1",
  timeline: 3,
  forks: new Map([
    [1, 100n],
    [2, 200n],
  ]),
};

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

test("a history file gives where each ancestor was left", () => {
  const text =
    "1\t0/5000158\tno recovery target specified\n\n2\t0/7000028\tbefore 2000-01-01 05:00:00\n# a remark\n";
  expect(parseHistory(text)).toEqual(
    new Map([
      [1, 0x5000158n],
      [2, 0x7000028n],
    ]),
  );
  expect(parseHistory("")).toEqual(new Map());
});

test("an ancestor's position holds up to the fork, and is lost beyond it", () => {
  expect(standingOf(line, at(100n, 1))).toBe("on");
  expect(standingOf(line, at(101n, 1))).toBe("lost");
  expect(standingOf(line, at(200n, 2))).toBe("on");
  expect(standingOf(line, at(201n, 2))).toBe("lost");
  expect(standingOf(line, at(9_999n, 3))).toBe("on");
  expect(standingOf(line, at(1n, 4))).toBe("newer");
  expect(standingOf(line, at(1n, 3, "2"))).toBe("foreign");
  // A sibling that this history never went through, and a server that will not tell.
  expect(standingOf({ ...line, timeline: 5 }, at(1n, 4))).toBe("lost");
  expect(standingOf({ ...line, forks: undefined }, at(1n, 1))).toBe("lost");
});

test("a server covers what it has replayed of its own history", () => {
  expect(covers(line, 150n, at(100n, 1))).toBe(true);
  expect(covers(line, 99n, at(100n, 1))).toBe(false);
  expect(covers(line, 150n, at(150n, 3))).toBe(true);
  expect(covers(line, 150n, at(101n, 1))).toBe(false);
  expect(covers(line, 150n, at(1n, 4))).toBe(false);
});

test("what a failover lost is said once, as what it was, and forgotten", () => {
  const session = new Session();
  session.raise("n", at(120n, 1), "written");
  session.raise("n", at(90n, 1), "read");
  const told = counts();
  expect(() => reviewSession(session, "n", line, told)).toThrow(
    expect.objectContaining({
      code: "HOLDFAST_WRITE_LOST",
      outcome: "not-applied",
      data: { node: "n", lost: ["written"] },
    }),
  );
  expect(session.get("n")).toEqual({ read: at(90n, 1) });
  expect(reviewSession(session, "n", line, told)).toBe(false);
  expect(told).toEqual({ foreign: 0, future: 0, lost: 1 });
});

test("what is only wanted is lost without a word; what is foreign is counted and forgotten", () => {
  const session = new Session();
  session.raise("n", at(120n, 1), "wanted");
  session.raise("n", at(5n, 1, "2"), "read");
  const told = counts();
  expect(reviewSession(session, "n", line, told)).toBe(false);
  expect(session.get("n")).toBeUndefined();
  expect(told).toEqual({ foreign: 1, future: 0, lost: 0 });
});

test("a newer timeline than the server's is kept and reported", () => {
  const known = { read: at(5n, 4), written: at(50n, 1) };
  const plan = reviewStep(known, line);
  expect(plan).toMatchObject({ foreign: 0, lost: [], newer: true });
  expect([plan.keep(known.read), plan.keep(known.written)]).toEqual([true, true]);
});

test("what is beyond the end of the log on the same timeline is cut to the end and counted", () => {
  const session = new Session();
  session.raise("n", at(500n, 3), "written");
  session.raise("n", at(90n, 1), "read");
  const told = counts();
  const before = session.get("n") ?? {};
  cutToEnd(session, "n", before, at(400n, 3), told);
  expect(session.get("n")).toEqual({ written: at(400n, 3), read: at(90n, 1) });
  // What was written since the end was asked is not cut.
  session.raise("n", at(600n, 3), "written");
  cutToEnd(session, "n", before, at(450n, 3), told);
  expect(session.get("n")?.written).toEqual(at(600n, 3));
  expect(told.future).toBe(1);
});
