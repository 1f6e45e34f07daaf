import { expect, test } from "vitest";
import { faultKinds } from "./fault.ts";
import type { FaultPlan } from "./plan.ts";
import { checkFaultPlan, faultPlanProblems } from "./plan-problems.ts";
import { schedule } from "./schedule.ts";

const good: FaultPlan = {
  lastsMs: 10_000,
  steps: [{ fault: { kind: "kill" }, on: { role: "primary" }, atMs: 0, forMs: 500 }],
};

test("a plan survives JSON, and a good one has no problems", () => {
  expect(faultPlanProblems(JSON.parse(JSON.stringify(good)))).toEqual([]);
});

test("all problems are told at once, each with field, value and limit", () => {
  const problems = faultPlanProblems({
    lastsMs: -1,
    atOnceMax: 0,
    color: "red",
    groups: { db: [], api: ["x", "x"] },
    majorities: ["nobody"],
    steps: [
      { fault: { kind: "kil" }, on: { role: "primary" }, atMs: 0, forMs: 10 },
      { fault: { kind: "latency", delayMs: "9", loud: true }, on: { role: "" }, atMs: -5, forMs: 10 },
      {
        fault: { kind: "partition", direction: "up" },
        on: { link: { from: { node: "a" }, to: {} } },
        atMs: 0,
        forMs: 0,
      },
      { fault: { kind: "pause" }, on: { links: [] }, atMs: 0, forMs: 1 },
      7,
    ],
    drawn: {
      faults: [{ fault: { kind: "latency", delayMs: 5, jitterMs: 9 }, on: [] }],
      forMs: { min: 9, max: 1 },
    },
  });
  for (const part of [
    "lastsMs should be a number from 1",
    "got -1",
    "atOnceMax should be a whole number from 1 to 100, got 0",
    "plan.color is no field; there are lastsMs",
    "groups.db should be a list of names, got []",
    'groups.api has a name twice: ["x","x"]',
    'majorities names "nobody"',
    `steps[0].fault.kind should be one of ${Object.keys(faultKinds).join(", ")}, got "kil"`,
    'steps[1].fault.delayMs should be a number from 1 to 600000, got "9"',
    "steps[1].fault.loud is no field",
    "steps[1].on is no link, and latency happens to links",
    "steps[1].atMs should be a number from 0",
    'steps[2].fault.direction should be one of both, forward, back, got "up"',
    "steps[2].on.link.to should be one of { part }",
    "steps[2].forMs should be a number from 1",
    "steps[3].on is a link, and pause happens to instances",
    "steps[4] should be an object, got 7",
    "drawn.faults[0].fault.jitterMs 9 is more than delayMs 5",
    "drawn.faults[0].on should be a list of at least one",
    "drawn.forMs.min 9 is more than its max 1",
  ]) {
    expect(problems.join("\n")).toContain(part);
  }
  expect(() => checkFaultPlan({ lastsMs: -1 })).toThrow(/The fault plan is wrong: 2 problems/);
});

test("steps that break the plan's own bounds are refused", () => {
  const two = (more: Partial<FaultPlan>, kind: "kill" | "latency" = "kill"): string[] =>
    faultPlanProblems({
      lastsMs: 10_000,
      groups: { db: ["a", "b", "c"] },
      steps: ["a", "b"].map((name) => ({
        fault: kind === "kill" ? { kind } : { kind, delayMs: 9 },
        on:
          kind === "kill"
            ? { instance: name }
            : { link: { from: { instance: name }, to: { instance: "c" } } },
        atMs: 100,
        forMs: 200,
      })),
      ...more,
    });
  expect(two({})).toEqual([
    "steps[0] is one of 2 faults at 100 ms; atOnceMax is 1",
    "steps[1] is one of 2 faults at 100 ms; atOnceMax is 1",
  ]);
  expect(two({ atOnceMax: 2 })).toEqual([]);
  expect(two({ atOnceMax: 2, majorities: ["db"] }).join()).toContain(
    "steps[0] leaves no majority of db at 100 ms",
  );
  expect(two({ atOnceMax: 2, majorities: ["db"] }, "latency")).toEqual([]);
  expect(two({ atOnceMax: 2, forMsMax: 100 }).join()).toContain(
    "steps[0].forMs 200 is more than forMsMax 100",
  );
  expect(two({ atOnceMax: 2, lastsMs: 250 }).join()).toContain("steps[0] ends at 300 ms, after lastsMs 250");
});

test("a drawn fault that can never be drawn is refused", () => {
  const problems = faultPlanProblems({
    lastsMs: 10_000,
    groups: { db: ["a", "b", "c"] },
    majorities: ["db"],
    drawn: {
      faults: [
        { fault: { kind: "kill" }, on: [{ part: "db" }, { role: "primary" }] },
        { fault: { kind: "kill" }, on: [{ part: "api" }] },
      ],
      forMs: { min: 1, max: 10 },
    },
  });
  expect(problems).toEqual([
    "drawn.faults[1].on[0] names part api: give its members in groups, to keep majorities",
  ]);
  expect(() => schedule(1, { lastsMs: 10 } as FaultPlan)).toThrow(/there is nothing in it/);
});
