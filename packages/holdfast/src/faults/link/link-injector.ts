/** Faults on a link: in the network when both ends live in namespaces of ours, by a fault proxy otherwise. */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { Injector, LinkEnds } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import { baseline, linkEffect, linkRestored } from "./link-effect.ts";
import type { LinkFault, LinkWay } from "./link-way.ts";
import { proxyWay } from "./proxy-way.ts";

export const linkInjector: Injector<LinkFault, LinkEnds> = {
  refusal(fault, ends) {
    const chosen = choose(fault, ends, undefined);
    return "refused" in chosen ? chosen.refused : undefined;
  },
  async inject(fault, ends, context) {
    const { clock, probeMs } = context;
    const what = `${fault.kind} of ${ends.from.name} -> ${ends.to.name}`;
    const chosen = choose(fault, ends, clock);
    if ("refused" in chosen) throw new HoldfastError("HOLDFAST_FAULT_REFUSED", `${what}: ${chosen.refused}`);
    const { way, by } = chosen;
    const before = await baseline(way, probeMs);
    if (!before) throw noEffect(what, `nothing got through within ${probeMs} ms before it began`);
    await way.apply(fault);
    const effect = await seenWithin(() => linkEffect(fault, way, before, probeMs), context);
    if (effect === undefined) {
      await way.clear(fault);
      throw noEffect(what, "what was sent through it went as before");
    }
    return {
      by,
      effect,
      async undo() {
        await way.clear(fault);
        const seen = await seenWithin(() => linkRestored(fault, way, before, probeMs), context);
        if (seen === undefined) throw notUndone(what, "what is sent through it does not go as before");
        return seen;
      },
    };
  },
};

type Chosen = { readonly way: LinkWay; readonly by: string } | { readonly refused: string };

function choose(fault: LinkFault, { from, to, control }: LinkEnds, clock: Clock | undefined): Chosen {
  const ways: LinkWay[] = [];
  if (control.network) ways.push(control.network);
  if (control.proxy) ways.push(proxyWay(control.proxy, clock as Clock));
  const reasons = control.network ? [] : ["no network namespaces on this link"];
  for (const way of ways) {
    const reason = way.refusal(fault);
    if (reason === undefined)
      return { way, by: reasons.length === 0 ? way.name : `${way.name} (${reasons.join("; ")})` };
    reasons.push(reason);
  }
  if (ways.length === 0)
    return { refused: `the target has no way to get at the link ${from.name} -> ${to.name}` };
  return { refused: `${reasons.join("; ")}; lead the link through a fault proxy instead` };
}
