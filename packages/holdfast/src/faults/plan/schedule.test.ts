import fc from "fast-check";
import { expect, test } from "vitest";
import type { Fault, Place, Whom } from "./fault.ts";
import { kindFacts, linksOf } from "./fault.ts";
import { keepsMajority } from "./majority.ts";
import type { DrawnFault, FaultPlan } from "./plan.ts";
import { faultPlanProblems } from "./plan-problems.ts";
import { schedule } from "./schedule.ts";

const members = ["a", "b", "c", "d", "e"];
const groups = { db: members };

const instance = fc.constantFrom(...members).map((name): Place => ({ instance: name }));
const place: fc.Arbitrary<Place> = fc.oneof(instance, fc.constant<Place>({ role: "primary" }));
const memberFault = fc.constantFrom<Fault>(
  { kind: "kill" },
  { kind: "pause" },
  { kind: "disk-full" },
  { kind: "cpu-starvation", share: 0.1 },
);
const linkFault = fc.constantFrom<Fault>(
  { kind: "partition" },
  { kind: "partition", direction: "forward" },
  { kind: "latency", delayMs: 20 },
);
const link = fc
  .uniqueArray(fc.constantFrom(...members), { minLength: 2, maxLength: 2 })
  .map(
    ([from, to]): Whom => ({ link: { from: { instance: from as string }, to: { instance: to as string } } }),
  );
const drawnFault: fc.Arbitrary<DrawnFault> = fc.oneof(
  fc.record({ fault: memberFault, on: fc.array(place, { minLength: 1, maxLength: 4 }) }),
  fc.record({ fault: linkFault, on: fc.array(link, { minLength: 1, maxLength: 4 }) }),
);
const plans = fc.record({
  lastsMs: fc.integer({ min: 2_000, max: 60_000 }),
  atOnceMax: fc.integer({ min: 1, max: 4 }),
  groups: fc.constant(groups),
  majorities: fc.constantFrom<string[]>([], ["db"]),
  drawn: fc.record({
    faults: fc.array(drawnFault, { minLength: 1, maxLength: 6 }),
    forMs: fc.constant({ min: 100, max: 2_000 }),
    restMs: fc.constant({ min: 0, max: 500 }),
  }),
});
const seeds = fc.integer();

/** Every set of members that is up, tried one by one with sets of names: the obvious twin of the search over bits. */
function twinKeepsMajority(active: readonly { fault: Fault; on: Whom }[]): boolean {
  const silencing = active.filter(({ fault }) => kindFacts(fault.kind).silences);
  const roles = silencing.filter(({ on }) => "role" in on).length;
  let sets: string[][] = [[]];
  for (const name of members) sets = [...sets, ...sets.map((set) => [...set, name])];
  return sets.some((set) => {
    if (set.length <= members.length / 2 + roles) return false;
    return silencing.every(({ on }) => {
      const links = linksOf(on);
      if (links)
        return links.every(
          ({ from, to }) =>
            !(
              set.includes((from as { instance: string }).instance) &&
              set.includes((to as { instance: string }).instance)
            ),
        );
      return !("instance" in on) || !set.includes(on.instance);
    });
  });
}

test("the same seed gives the same timeline, and another seed another", () => {
  fc.assert(
    fc.property(seeds, plans, (seed, plan) => {
      expect(schedule(seed, plan)).toEqual(schedule(seed, JSON.parse(JSON.stringify(plan)) as FaultPlan));
    }),
  );
  const plan: FaultPlan = {
    lastsMs: 60_000,
    drawn: {
      faults: [{ fault: { kind: "kill" }, on: [{ node: "a" }, { node: "b" }] }],
      forMs: { min: 100, max: 900 },
    },
  };
  expect(schedule(1, plan).faults).not.toEqual(schedule(2, plan).faults);
  expect(schedule(1, plan).faults.length).toBeGreaterThan(5);
});

test("every bound of a plan holds at every time, and healing comes last", () => {
  fc.assert(
    fc.property(seeds, plans, (seed, plan) => {
      fc.pre(faultPlanProblems(plan).length === 0);
      const { faults, healAtMs, endMs } = schedule(seed, plan);
      expect(healAtMs).toBe(plan.lastsMs);
      expect(endMs).toBeGreaterThan(healAtMs);
      for (const [index, fault] of faults.entries()) {
        expect(fault.id).toBe(index + 1);
        expect(fault.beginMs).toBeGreaterThanOrEqual(faults[index - 1]?.beginMs ?? 0);
        expect(fault.endMs - fault.beginMs).toBeGreaterThanOrEqual(100);
        expect(fault.endMs - fault.beginMs).toBeLessThanOrEqual(2_000);
        expect(fault.endMs).toBeLessThanOrEqual(healAtMs);
        const active = faults.filter(
          ({ beginMs, endMs }) => beginMs <= fault.beginMs && fault.beginMs < endMs,
        );
        expect(active.length).toBeLessThanOrEqual(plan.atOnceMax);
        expect(new Set(active.map(({ on }) => JSON.stringify(on))).size).toBe(active.length);
        if (plan.majorities.length > 0) expect(twinKeepsMajority(active)).toBe(true);
      }
    }),
  );
});

test("the search for a majority agrees with trying every set", () => {
  const active = fc.array(
    fc.oneof(fc.record({ fault: memberFault, on: place }), fc.record({ fault: linkFault, on: link })),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(active, (faults) => {
      expect(keepsMajority(members, faults, groups)).toBe(twinKeepsMajority(faults));
    }),
  );
});

test("steps come at given times, again and again when asked, beside drawn faults", () => {
  const kill: Fault = { kind: "kill" };
  const { faults } = schedule(3, {
    lastsMs: 10_000,
    atOnceMax: 1,
    steps: [
      { fault: kill, on: { role: "primary" }, atMs: 1_000, forMs: 500, everyMs: 4_000 },
      { fault: { kind: "pause" }, on: { instance: "a" }, atMs: 3_000, forMs: 100 },
    ],
    drawn: {
      faults: [
        {
          fault: { kind: "latency", delayMs: 5 },
          on: [{ link: { from: { part: "x" }, to: { part: "y" } } }],
        },
      ],
      forMs: { min: 200, max: 400 },
      restMs: { min: 0, max: 100 },
    },
  });
  const killsMs = faults
    .filter(({ fault }) => fault.kind === "kill")
    .map(({ beginMs, endMs }) => [beginMs, endMs]);
  expect(killsMs).toEqual([
    [1_000, 1_500],
    [5_000, 5_500],
    [9_000, 9_500],
  ]);
  const drawn = faults.filter(({ fault }) => fault.kind === "latency");
  expect(drawn.length).toBeGreaterThan(3);
  for (const { beginMs, endMs } of drawn)
    for (const other of faults) {
      if (other.fault.kind !== "latency") expect(endMs <= other.beginMs || other.endMs <= beginMs).toBe(true);
    }
});

test("weights say how often a fault is drawn", () => {
  const { faults } = schedule(1, {
    lastsMs: 600_000,
    drawn: {
      faults: [
        { fault: { kind: "kill" }, on: [{ node: "a" }], weight: 9 },
        { fault: { kind: "pause" }, on: [{ node: "a" }] },
      ],
      forMs: { min: 100, max: 200 },
      restMs: { min: 100, max: 200 },
    },
  });
  const kills = faults.filter(({ fault }) => fault.kind === "kill").length;
  expect(kills / faults.length).toBeGreaterThan(0.85);
  expect(kills / faults.length).toBeLessThan(0.95);
});
