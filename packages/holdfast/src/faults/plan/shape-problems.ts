/** What is wrong with faults, places and ranges that come from outside: JSON may hold anything. */
import type { FaultKind, NumberBounds } from "./fault.ts";
import { faultKinds, kindFacts } from "./fault.ts";

const directions = ["both", "forward", "back"];
const withDirection: readonly string[] = ["partition", "latency", "bandwidth", "blackhole"];
const placeKinds = ["part", "instance", "node", "role"];

type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

export function unknownFields(value: Fields, known: readonly string[], at: string): string[] {
  return Object.keys(value)
    .filter((name) => !known.includes(name))
    .map((name) => `${at}.${name} is no field; there are ${known.join(", ")}`);
}

export function numberProblems(value: unknown, bounds: NumberBounds, at: string): string[] {
  if (value === undefined && bounds.optional) return [];
  const { min, max, whole } = bounds;
  const good =
    typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value));
  return good
    ? []
    : [`${at} should be a ${whole ? "whole " : ""}number from ${min} to ${max}, got ${shown(value)}`];
}

export function faultProblems(fault: unknown, at: string): string[] {
  if (!isFields(fault)) return [`${at} should be an object with a kind, got ${shown(fault)}`];
  const kind = fault.kind as FaultKind;
  if (typeof kind !== "string" || !Object.hasOwn(faultKinds, kind)) {
    return [`${at}.kind should be one of ${Object.keys(faultKinds).join(", ")}, got ${shown(kind)}`];
  }
  const { numbers } = kindFacts(kind);
  const hasDirection = withDirection.includes(kind);
  const problems = unknownFields(
    fault,
    ["kind", ...Object.keys(numbers), ...(hasDirection ? ["direction"] : [])],
    at,
  );
  for (const [name, bounds] of Object.entries(numbers)) {
    problems.push(...numberProblems(fault[name], bounds, `${at}.${name}`));
  }
  const { direction, delayMs, jitterMs, offsetMs, msPerSecond } = fault;
  if (hasDirection && direction !== undefined && !directions.includes(direction as string)) {
    problems.push(`${at}.direction should be one of ${directions.join(", ")}, got ${shown(direction)}`);
  }
  if (typeof jitterMs === "number" && typeof delayMs === "number" && jitterMs > delayMs) {
    problems.push(
      `${at}.jitterMs ${jitterMs} is more than delayMs ${delayMs}: nothing arrives before it is sent`,
    );
  }
  if (offsetMs === 0) problems.push(`${at}.offsetMs 0 does nothing: give another, or leave the fault out`);
  if (msPerSecond === 0)
    problems.push(`${at}.msPerSecond 0 does nothing: give another, or leave the fault out`);
  return problems;
}

/** @param kind of the fault, when it is known: links and instances take different ones */
export function whomProblems(whom: unknown, kind: unknown, at: string): string[] {
  const takes =
    typeof kind === "string" && Object.hasOwn(faultKinds, kind) ? kindFacts(kind as FaultKind).to : undefined;
  if (!isFields(whom)) return [`${at} should be a place or a link, got ${shown(whom)}`];
  if ("link" in whom || "links" in whom) {
    if (takes === "instance")
      return [`${at} is a link, and ${kind} happens to instances: name a part, instance, node or role`];
    if ("link" in whom)
      return [...unknownFields(whom, ["link"], at), ...linkProblems(whom.link, `${at}.link`)];
    if (!Array.isArray(whom.links) || whom.links.length === 0) {
      return [`${at}.links should be a list of at least one link, got ${shown(whom.links)}`];
    }
    return whom.links.flatMap((link, index) => linkProblems(link, `${at}.links[${index}]`));
  }
  if (takes === "link")
    return [`${at} is no link, and ${kind} happens to links: give { link: { from, to } }`];
  return placeProblems(whom, at);
}

function linkProblems(link: unknown, at: string): string[] {
  if (!isFields(link)) return [`${at} should be { from, to }, got ${shown(link)}`];
  const problems = [
    ...unknownFields(link, ["from", "to"], at),
    ...placeProblems(link.from, `${at}.from`),
    ...placeProblems(link.to, `${at}.to`),
  ];
  if (
    problems.length === 0 &&
    JSON.stringify(link.from) === JSON.stringify(link.to) &&
    !("part" in (link.from as Fields))
  ) {
    problems.push(`${at} leads from ${shown(link.from)} to itself`);
  }
  return problems;
}

function placeProblems(place: unknown, at: string): string[] {
  const fields = isFields(place) ? Object.entries(place) : [];
  const [kind, name] = fields[0] ?? [];
  if (fields.length === 1 && placeKinds.includes(kind as string) && typeof name === "string" && name !== "")
    return [];
  return [
    `${at} should be one of { part }, { instance }, { node }, { role } with a name, got ${shown(place)}`,
  ];
}
