/** When changes are missing, and when nothing is: against an obvious twin, for every mix of facts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Line } from "../timeline.ts";
import { type FeedFacts, stepFeed } from "./feed-step.ts";

const line: Line = {
  system: "7",
  timeline: 3,
  forks: new Map([
    [1, 100n],
    [2, 200n],
  ]),
};
const slotThere = (confirmed: bigint) => ({ state: "there", confirmed, active: false }) as const;
const at = (timeline: number, lsn: bigint, system = "7") => ({ system, timeline, lsn });

test.each<[string, Partial<FeedFacts>, string, RegExp?]>([
  ["nothing stored: it begins, whatever slot is there", { stored: undefined }, "begin"],
  ["slot behind what is stored", {}, "resume"],
  ["slot exactly there", { slot: slotThere(300n) }, "resume"],
  ["slot beyond what is stored", { slot: slotThere(301n) }, "gap", /in between are gone/],
  ["no slot", { slot: { state: "none" } }, "gap", /slot is gone/],
  ["a lost slot", { slot: { state: "lost", why: "wal_removed" } }, "gap", /wal_removed/],
  ["no publication", { published: false }, "gap", /publication/],
  ["stored before a fork", { stored: at(1, 100n), slot: slotThere(50n) }, "resume"],
  ["stored beyond a fork", { stored: at(1, 101n), slot: slotThere(50n) }, "gap", /failover left timeline 1/],
  ["the timeline's history is not known", { line: { ...line, forks: undefined }, stored: at(2, 1n) }, "gap"],
  ["another cluster", { stored: at(3, 1n, "8") }, "gap", /another cluster/],
  ["a deposed primary", { stored: at(4, 1n), slot: { state: "none" } }, "wait", /successor/],
])("%s", (_, facts, kind, reason) => {
  const step = stepFeed({ stored: at(3, 300n), slot: slotThere(299n), published: true, line, ...facts });
  expect(step.kind).toBe(kind);
  if (reason) expect("reason" in step ? step.reason : "why" in step ? step.why : "").toMatch(reason);
});

test("it resumes exactly when what is stored lies on the server's history and the slot is not beyond it", () => {
  const facts = fc.record({
    stored: fc.record({
      system: fc.constantFrom("7", "8"),
      timeline: fc.integer({ min: 1, max: 4 }),
      lsn: fc.bigInt({ min: 0n, max: 400n }),
    }),
    confirmed: fc.bigInt({ min: 0n, max: 400n }),
    published: fc.boolean(),
  });
  fc.assert(
    fc.property(facts, ({ stored, confirmed, published }) => {
      const ends = [0n, 100n, 200n, 1_000n];
      const onHistory =
        stored.system === "7" && stored.timeline <= 3 && stored.lsn <= (ends[stored.timeline] ?? 0n);
      const step = stepFeed({ stored, slot: slotThere(confirmed), published, line });
      expect(step.kind === "resume").toBe(onHistory && confirmed <= stored.lsn && published);
      expect(step.kind === "wait").toBe(stored.system === "7" && stored.timeline === 4);
    }),
  );
});
