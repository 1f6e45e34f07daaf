/** Whether a majority that can talk among itself is left, however the roles turn out. */
import { type Fault, kindFacts, linksOf, type Place, type Whom } from "./fault.ts";

export interface FaultOnWhom {
  readonly fault: Fault;
  readonly on: Whom;
}

export type Groups = Readonly<Record<string, readonly string[]>>;

/** So large a group has 32_768 subsets to look at. */
export const majorityMembersMax = 15;

/**
 * Exact: looks for a set of members, more than half, of which none is silenced and no two are cut off from each
 * other. A role may turn out to be any member, so each silenced role takes one more away.
 */
export function keepsMajority(
  members: readonly string[],
  active: readonly FaultOnWhom[],
  groups: Groups,
): boolean {
  const silenced = new Set<string>();
  const cut: (readonly [number, number])[] = [];
  let unknown = 0;
  const indexesOf = (place: Place): number[] =>
    namesOf(place, groups).flatMap((name) => {
      const index = members.indexOf(name);
      return index === -1 ? [] : [index];
    });
  for (const { fault, on } of active) {
    if (!kindFacts(fault.kind).silences) continue;
    const links = linksOf(on);
    if (!links) {
      if ("role" in on) unknown++;
      else for (const index of indexesOf(on as Place)) silenced.add(members[index] as string);
      continue;
    }
    for (const { from, to } of links) {
      if ("role" in from || "role" in to) unknown++;
      else for (const a of indexesOf(from)) for (const b of indexesOf(to)) if (a !== b) cut.push([a, b]);
    }
  }
  const needed = Math.floor(members.length / 2) + 1 + unknown;
  const up = members.reduce((bits, name, index) => (silenced.has(name) ? bits : bits | (1 << index)), 0);
  if (cut.length === 0) return bitCount(up) >= needed;
  for (let set = 0; set < 1 << members.length; set++) {
    if ((set & up) !== set || bitCount(set) < needed) continue;
    if (cut.every(([a, b]) => !(set & (1 << a) && set & (1 << b)))) return true;
  }
  return false;
}

/** Names that a place stands for; none for a role. */
export function namesOf(place: Place, groups: Groups): readonly string[] {
  if ("instance" in place) return [place.instance];
  if ("node" in place) return [place.node];
  return "part" in place ? (groups[place.part] ?? []) : [];
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
