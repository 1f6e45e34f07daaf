/**
 * CPU starvation: the processes get no more than a share of one CPU. By a quota of a control group where the
 * kernel lets us (v1 or v2); by stopping and continuing them many times a second otherwise.
 */
import { HoldfastError } from "../../call/index.ts";
import type { FaultOf } from "../plan/fault.ts";
import type { Injected, InjectorContext, MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { FaultMember, ProcessControl } from "../run/target.ts";
import { burnedShare, type CpuGroup, cpuGroupRefusal, openCpuGroup } from "./cpu-group.ts";
import { processRefusal } from "./kill.ts";
import { percent } from "./percent.ts";
import { byTurns } from "./turns.ts";

/** A measured share counts up to so many times the wanted one: quotas are kept per period. */
const shareTimes = 1.6;
const measureMs = 600;

export const cpuStarvation: MemberInjector<"cpu-starvation"> = {
  refusal: (_fault, member) => processRefusal(member),
  async inject(fault, member, context) {
    const pids = await (member.process as ProcessControl).pids();
    if (pids.length === 0) throw noEffect(`cpu-starvation of ${member.name}`, "it does not run");
    const reason = await cpuGroupRefusal();
    if (reason === undefined) {
      try {
        return await byQuota(fault, member, context);
      } catch (error) {
        if (error instanceof HoldfastError) throw error;
        return byTurns(fault, member, context, `a control group was refused: ${(error as Error).message}`);
      }
    }
    return byTurns(fault, member, context, reason);
  },
};

type Starvation = FaultOf<"cpu-starvation">;

async function byQuota(
  { share }: Starvation,
  member: FaultMember,
  context: InjectorContext,
): Promise<Injected> {
  const what = `cpu-starvation of ${member.name}`;
  const control = member.process as ProcessControl;
  const group: CpuGroup = await openCpuGroup(share, context);
  const release = async () => {
    await group.close();
    const seen = await seenWithin(
      async () => ((await group.gone()) ? "its processes are back where they were" : undefined),
      context,
    );
    if (seen === undefined) throw notUndone(what, `the control group ${group.path} is still there`);
    return seen;
  };
  try {
    // Children of a member are born into the group; those that were there before are moved, until none is left.
    const moved = await seenWithin(async () => {
      const pids = await control.pids();
      await group.take(pids);
      const inside = await group.members();
      return pids.length > 0 && pids.every((pid) => inside.includes(pid)) ? `${pids.length}` : undefined;
    }, context);
    if (moved === undefined) throw noEffect(what, "its processes could not be moved to a control group");
    const effect = await seenWithin(async () => {
      const measured = await burnedShare(context.clock, measureMs, group);
      if (measured > share * shareTimes + 0.02) return undefined;
      return `a busy loop beside its ${moved} processes gets ${percent(measured)} of one CPU`;
    }, context);
    if (effect === undefined) throw noEffect(what, "a busy loop in the same control group gets more");
    return { by: `CPU quota of a control group (${group.version})`, effect, undo: release };
  } catch (error) {
    await release();
    throw error;
  }
}
