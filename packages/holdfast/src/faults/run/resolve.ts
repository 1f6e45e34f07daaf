/** From places and links of a plan to the members there are now. */

import type { LinkFault } from "../link/link-way.ts";
import type { Place } from "../plan/fault.ts";
import { type Fault, linksOf, placeText, type Whom } from "../plan/fault.ts";
import type { Injector, LinkEnds } from "./injector.ts";
import { injectorOfLinks, type MemberFaultKind, memberInjector } from "./injectors.ts";
import type { FaultMember, FaultTarget } from "./target.ts";

/** One injection to be made: a fault on one member or one link. */
export interface Injection {
  readonly injector: Injector<Fault, FaultMember | LinkEnds>;
  readonly to: FaultMember | LinkEnds;
  readonly name: string;
}

/** @returns what to inject, and why some of it cannot be */
export async function resolveWhom(
  fault: Fault,
  whom: Whom,
  target: FaultTarget,
): Promise<{ injections: Injection[]; problems: string[] }> {
  const links = linksOf(whom);
  const problems: string[] = [];
  const injections: Injection[] = [];
  const find = async (place: Place) => {
    const found = await membersAt(place, target);
    if (found.length === 0) problems.push(`nobody is ${placeText(place)}`);
    return found;
  };
  if (!links) {
    const injector = memberInjector(fault.kind as MemberFaultKind) as Injection["injector"];
    for (const to of await find(whom as Place)) injections.push({ injector, to, name: to.name });
    return { injections, problems };
  }
  const seen = new Set<string>();
  for (const link of links) {
    const [froms, tos] = [await find(link.from), await find(link.to)];
    for (const from of froms) {
      for (const to of tos) {
        const name = `${from.name} -> ${to.name}`;
        if (from === to || seen.has(name)) continue;
        seen.add(name);
        const control = target.link?.(from, to);
        if (!control) problems.push(`the target has no way to get at the link ${name}`);
        else {
          const injector = injectorOfLinks as Injector<
            LinkFault,
            LinkEnds
          > as unknown as Injection["injector"];
          injections.push({ injector, to: { from, to, control }, name });
        }
      }
    }
  }
  if (injections.length === 0 && problems.length === 0)
    problems.push("there is no such link: both ends are one member");
  return { injections, problems };
}

async function membersAt(place: Place, target: FaultTarget): Promise<readonly FaultMember[]> {
  const members = target.members();
  if ("part" in place) return members.filter((member) => member.part === place.part);
  if ("node" in place) return members.filter((member) => member.node === place.node);
  if ("instance" in place) return members.filter((member) => member.name === place.instance);
  const names = (await target.role?.(place.role)) ?? [];
  return members.filter((member) => names.includes(member.name));
}
