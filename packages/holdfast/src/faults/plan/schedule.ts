/**
 * From a plan and a seed to a timeline: the same seed gives the same times, whatever machine it runs on.
 *
 * Drawn faults are laid in as many lanes as there may be faults at once: rest, fault, rest, fault. One that would
 * break a bound at that time (too many, no majority left, its place taken) is left out, and the lane goes on.
 */
import { type Random, seededRandom } from "../../clock/index.ts";
import { linksOf, type Place, type Whom } from "./fault.ts";
import { keepsMajority, namesOf } from "./majority.ts";
import {
  type DrawnFault,
  type FaultPlan,
  faultPlanDefaults,
  type Range,
  type TimedFault,
  type Timeline,
} from "./plan.ts";
import { checkFaultPlan } from "./plan-problems.ts";
import { stepTimes } from "./step-times.ts";

type Placed = Omit<TimedFault, "id">;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with everything that is wrong with the plan */
export function schedule(seed: number, plan: FaultPlan): Timeline {
  checkFaultPlan(plan);
  const { lastsMs, steps = [], healMs = faultPlanDefaults.healMs } = plan;
  const placed: Placed[] = steps.flatMap((step) =>
    stepTimes(step, lastsMs).map((beginMs) => ({
      fault: step.fault,
      on: step.on,
      beginMs,
      endMs: beginMs + step.forMs,
    })),
  );
  draw(plan, seededRandom(seed), placed);
  const faults = placed
    .map((fault, order) => ({ ...fault, order }))
    .sort((a, b) => a.beginMs - b.beginMs || a.order - b.order)
    .map(({ order: _, ...fault }, index) => ({ id: index + 1, ...fault }));
  return { seed, faults, healAtMs: lastsMs, endMs: lastsMs + healMs };
}

function draw(plan: FaultPlan, random: Random, placed: Placed[]): void {
  const { drawn, lastsMs } = plan;
  if (!drawn) return;
  const { atOnceMax, restMs } = {
    ...faultPlanDefaults,
    ...plan,
    restMs: drawn.restMs ?? faultPlanDefaults.restMs,
  };
  const lanes = Array.from({ length: atOnceMax }, () => between(restMs, random));
  for (;;) {
    // The earliest lane goes first, so that a bound is met by who comes later.
    const lane = lanes.indexOf(Math.min(...lanes));
    const beginMs = lanes[lane] as number;
    const endMs = beginMs + between(drawn.forMs, random);
    if (beginMs + drawn.forMs.min > lastsMs) return;
    const { fault, on: places } = weighted(drawn.faults, random);
    const on = places[Math.floor(random.next() * places.length)] as Whom;
    const candidate = { fault, on, beginMs, endMs };
    if (endMs <= lastsMs && fits(candidate, placed, plan)) placed.push(candidate);
    lanes[lane] = endMs + Math.max(1, between(restMs, random));
  }
}

/** Whether every bound holds at each time at which the candidate is there. */
function fits(candidate: Placed, placed: readonly Placed[], plan: FaultPlan): boolean {
  const { groups = {}, majorities = [], atOnceMax = faultPlanDefaults.atOnceMax } = plan;
  const beside = placed.filter(
    ({ beginMs, endMs }) => beginMs < candidate.endMs && candidate.beginMs < endMs,
  );
  const mine = keysOf(candidate.on, plan);
  if (beside.some(({ on }) => keysOf(on, plan).some((key) => mine.includes(key)))) return false;
  // The set of faults grows only when one begins.
  const momentsMs = [candidate.beginMs, ...beside.map(({ beginMs }) => beginMs)];
  return momentsMs.every((nowMs) => {
    if (nowMs < candidate.beginMs) return true;
    const active = [candidate, ...beside.filter(({ beginMs, endMs }) => beginMs <= nowMs && nowMs < endMs)];
    return (
      active.length <= atOnceMax &&
      majorities.every((group) => keepsMajority(groups[group] as readonly string[], active, groups))
    );
  });
}

/** Two faults that share one of these would get in each other's way, or undo each other. */
function keysOf(whom: Whom, { groups = {} }: FaultPlan): string[] {
  const names = (place: Place): readonly string[] => {
    const named = namesOf(place, groups);
    return named.length > 0 ? named : [JSON.stringify(place)];
  };
  const links = linksOf(whom);
  if (!links) return names(whom as Place).map((name) => `at ${name}`);
  return links.flatMap(({ from, to }) =>
    names(from).flatMap((a) => names(to).map((b) => `from ${a} to ${b}`)),
  );
}

function weighted(faults: readonly DrawnFault[], random: Random): DrawnFault {
  const total = faults.reduce((sum, { weight = 1 }) => sum + weight, 0);
  let left = random.next() * total;
  for (const fault of faults) {
    left -= fault.weight ?? 1;
    if (left < 0) return fault;
  }
  return faults.at(-1) as DrawnFault;
}

function between({ min, max }: Range, random: Random): number {
  return Math.round(min + random.next() * (max - min));
}
