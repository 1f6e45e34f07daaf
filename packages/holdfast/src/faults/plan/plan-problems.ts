/** Everything that is wrong with a plan, told at once. */
import { refuseProblems } from "../../call/index.ts";
import { linksOf, type Place, type Whom } from "./fault.ts";
import { type FaultOnWhom, keepsMajority, majorityMembersMax, namesOf } from "./majority.ts";
import { type FaultPlan, type FaultStep, faultPlanDefaults } from "./plan.ts";
import {
  faultProblems,
  isFields,
  numberProblems,
  shown,
  unknownFields,
  whomProblems,
} from "./shape-problems.ts";
import { stepTimes } from "./step-times.ts";

const planFields = ["lastsMs", "healMs", "atOnceMax", "forMsMax", "groups", "majorities", "steps", "drawn"];
const stepFields = ["fault", "on", "atMs", "forMs", "everyMs"];
const planMsMax = 7 * 86_400_000;
const millis = { min: 1, max: planMsMax };

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with all problems */
export function checkFaultPlan(plan: FaultPlan): void {
  refuseProblems("HOLDFAST_OPTIONS_INVALID", "The fault plan is wrong", faultPlanProblems(plan));
}

/** @param plan of any shape: it may come from a file */
export function faultPlanProblems(plan: unknown): string[] {
  if (!isFields(plan)) return [`a plan should be an object, got ${shown(plan)}`];
  const problems = [
    ...unknownFields(plan, planFields, "plan"),
    ...numberProblems(plan.lastsMs, millis, "lastsMs"),
    ...numberProblems(plan.healMs, { ...millis, optional: true }, "healMs"),
    ...numberProblems(plan.atOnceMax, { min: 1, max: 100, whole: true, optional: true }, "atOnceMax"),
    ...numberProblems(plan.forMsMax, { ...millis, optional: true }, "forMsMax"),
    ...groupProblems(plan),
  ];
  const { steps = [], drawn } = plan;
  if (!Array.isArray(steps)) problems.push(`steps should be a list, got ${shown(steps)}`);
  else problems.push(...steps.flatMap((step, index) => stepProblems(step, `steps[${index}]`)));
  if (drawn !== undefined) problems.push(...drawnProblems(drawn));
  if (drawn === undefined && Array.isArray(steps) && steps.length === 0) {
    problems.push("there is nothing in it: give steps, drawn, or both");
  }
  // The rest looks at times and members, which have to make sense for that.
  return problems.length > 0 ? problems : boundProblems(plan as unknown as FaultPlan);
}

function groupProblems({ groups = {}, majorities = [] }: Readonly<Record<string, unknown>>): string[] {
  if (!isFields(groups)) return [`groups should be an object of lists of names, got ${shown(groups)}`];
  const problems = Object.entries(groups).flatMap(([name, members]) => {
    const good =
      Array.isArray(members) &&
      members.length > 0 &&
      members.every((member) => typeof member === "string" && member !== "");
    if (!good) return [`groups.${name} should be a list of names, got ${shown(members)}`];
    return new Set(members).size === members.length
      ? []
      : [`groups.${name} has a name twice: ${shown(members)}`];
  });
  if (!Array.isArray(majorities))
    return [...problems, `majorities should be a list of groups, got ${shown(majorities)}`];
  for (const name of majorities) {
    const members = typeof name === "string" && Object.hasOwn(groups, name) ? groups[name] : undefined;
    if (members === undefined) problems.push(`majorities names ${shown(name)}, which is not among groups`);
    else if (Array.isArray(members) && members.length > majorityMembersMax) {
      problems.push(
        `groups.${name} has ${members.length} members; a majority is kept of at most ${majorityMembersMax}`,
      );
    }
  }
  return problems;
}

function stepProblems(step: unknown, at: string): string[] {
  if (!isFields(step)) return [`${at} should be an object, got ${shown(step)}`];
  return [
    ...unknownFields(step, stepFields, at),
    ...faultProblems(step.fault, `${at}.fault`),
    ...whomProblems(step.on, isFields(step.fault) ? step.fault.kind : undefined, `${at}.on`),
    ...numberProblems(step.atMs, { min: 0, max: planMsMax }, `${at}.atMs`),
    ...numberProblems(step.forMs, millis, `${at}.forMs`),
    ...numberProblems(step.everyMs, { ...millis, optional: true }, `${at}.everyMs`),
  ];
}

function drawnProblems(drawn: unknown): string[] {
  if (!isFields(drawn)) return [`drawn should be an object, got ${shown(drawn)}`];
  const problems = [
    ...unknownFields(drawn, ["faults", "forMs", "restMs"], "drawn"),
    ...rangeProblems(drawn.forMs, "drawn.forMs", 1),
    ...(drawn.restMs === undefined ? [] : rangeProblems(drawn.restMs, "drawn.restMs", 0)),
  ];
  if (!Array.isArray(drawn.faults) || drawn.faults.length === 0) {
    return [...problems, `drawn.faults should be a list of at least one fault, got ${shown(drawn.faults)}`];
  }
  drawn.faults.forEach((entry: unknown, index) => {
    const at = `drawn.faults[${index}]`;
    if (!isFields(entry)) {
      problems.push(`${at} should be an object, got ${shown(entry)}`);
      return;
    }
    problems.push(
      ...unknownFields(entry, ["fault", "on", "weight"], at),
      ...faultProblems(entry.fault, `${at}.fault`),
    );
    problems.push(
      ...numberProblems(entry.weight, { min: 0.001, max: 1_000, optional: true }, `${at}.weight`),
    );
    if (!Array.isArray(entry.on) || entry.on.length === 0) {
      problems.push(`${at}.on should be a list of at least one place or link, got ${shown(entry.on)}`);
    } else {
      const kind = isFields(entry.fault) ? entry.fault.kind : undefined;
      problems.push(...entry.on.flatMap((whom, place) => whomProblems(whom, kind, `${at}.on[${place}]`)));
    }
  });
  return problems;
}

function rangeProblems(range: unknown, at: string, least: number): string[] {
  if (!isFields(range)) return [`${at} should be { min, max } in milliseconds, got ${shown(range)}`];
  const problems = [
    ...unknownFields(range, ["min", "max"], at),
    ...numberProblems(range.min, { min: least, max: planMsMax }, `${at}.min`),
    ...numberProblems(range.max, { min: least, max: planMsMax }, `${at}.max`),
  ];
  if (problems.length === 0 && (range.min as number) > (range.max as number)) {
    problems.push(`${at}.min ${range.min} is more than its max ${range.max}`);
  }
  return problems;
}

/** Whether the steps written by hand keep the plan's own bounds, and whether drawn ones can. */
function boundProblems(plan: FaultPlan): string[] {
  const { forMsMax, atOnceMax } = { ...faultPlanDefaults, ...plan };
  const { steps = [], drawn, lastsMs, groups = {}, majorities = [] } = plan;
  const problems = steps.flatMap((step, index) =>
    stepBoundProblems(step, `steps[${index}]`, lastsMs, forMsMax),
  );
  if (drawn && drawn.forMs.max > forMsMax) {
    problems.push(
      `drawn.forMs.max ${drawn.forMs.max} is more than forMsMax ${forMsMax}: shorten it, or raise the bound`,
    );
  }
  if (drawn && drawn.forMs.min > lastsMs) {
    problems.push(`drawn.forMs.min ${drawn.forMs.min} is more than lastsMs ${lastsMs}: no fault would fit`);
  }
  if (majorities.length > 0) problems.push(...unknownParts(plan));
  if (problems.length > 0) return problems;

  const timed = steps.flatMap((step, index) =>
    stepTimes(step, lastsMs).map((beginMs) => ({ ...step, index, beginMs, endMs: beginMs + step.forMs })),
  );
  const told = new Set<string>();
  const tell = (problem: string) => told.add(problem);
  for (const { beginMs, index } of timed) {
    const active = timed.filter((other) => other.beginMs <= beginMs && beginMs < other.endMs);
    if (active.length > atOnceMax) {
      tell(`steps[${index}] is one of ${active.length} faults at ${beginMs} ms; atOnceMax is ${atOnceMax}`);
    }
    for (const group of majorities) {
      if (!keepsMajority(groups[group] as readonly string[], active, groups)) {
        tell(`steps[${index}] leaves no majority of ${group} at ${beginMs} ms: shorten or move it`);
      }
    }
  }
  for (const [index, entry] of (drawn?.faults ?? []).entries()) {
    for (const [place, on] of entry.on.entries()) {
      const alone: FaultOnWhom[] = [{ fault: entry.fault, on }];
      for (const group of majorities) {
        if (!keepsMajority(groups[group] as readonly string[], alone, groups)) {
          tell(`drawn.faults[${index}].on[${place}] alone leaves no majority of ${group}`);
        }
      }
    }
  }
  return [...told];
}

function stepBoundProblems(step: FaultStep, at: string, lastsMs: number, forMsMax: number): string[] {
  const problems: string[] = [];
  const { atMs, forMs, everyMs } = step;
  if (forMs > forMsMax)
    problems.push(`${at}.forMs ${forMs} is more than forMsMax ${forMsMax}: shorten it, or raise the bound`);
  if (atMs + forMs > lastsMs) problems.push(`${at} ends at ${atMs + forMs} ms, after lastsMs ${lastsMs}`);
  if (everyMs !== undefined && everyMs <= forMs) {
    problems.push(
      `${at}.everyMs ${everyMs} should be more than forMs ${forMs}: it begins again before it has ended`,
    );
  }
  return problems;
}

/** A majority is counted over named members: a part whose members nobody named would not count. */
function unknownParts({ steps = [], drawn, groups = {} }: FaultPlan): string[] {
  const whoms: (readonly [string, Whom])[] = [
    ...steps.map((step, index) => [`steps[${index}].on`, step.on] as const),
    ...(drawn?.faults ?? []).flatMap((entry, index) =>
      entry.on.map((on, place) => [`drawn.faults[${index}].on[${place}]`, on] as const),
    ),
  ];
  return whoms.flatMap(([at, whom]) => {
    const places = linksOf(whom)?.flatMap(({ from, to }) => [from, to]) ?? [whom as Place];
    return places
      .filter((place) => "part" in place && namesOf(place, groups).length === 0)
      .map(
        (place) =>
          `${at} names part ${(place as { part: string }).part}: give its members in groups, to keep majorities`,
      );
  });
}
