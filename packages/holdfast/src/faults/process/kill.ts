/** Kill and restart: the process and all its children end at once, and are started again by the target. */
import type { InjectorContext, MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { FaultMember, ProcessControl } from "../run/target.ts";
import { noProc, readStat, sendSignal } from "./proc.ts";

export const kill: MemberInjector<"kill"> = {
  refusal: (_fault, member) => processRefusal(member),
  async inject(_fault, member, context) {
    const effect = await killAll(member, context);
    return {
      by: "SIGKILL",
      effect,
      undo: () => startAgain(member, context),
    };
  },
};

export const restart: MemberInjector<"restart"> = {
  refusal: (_fault, member) => processRefusal(member),
  async inject(_fault, member, context) {
    const effect = await killAll(member, context);
    const back = await startAgain(member, context);
    return { by: "SIGKILL and start", effect: `${effect}; ${back}`, undo: async () => back };
  },
};

export function processRefusal(member: FaultMember): string | undefined {
  if (!member.process) return `the target says nothing about processes of ${member.name}`;
  return noProc();
}

async function killAll(member: FaultMember, context: InjectorContext): Promise<string> {
  const control = member.process as ProcessControl;
  const killed = new Set<number>();
  const effect = await seenWithin(async () => {
    // Found anew each time: until it is dead itself, a parent may start further children.
    const pids = await living(await control.pids());
    for (const pid of pids) {
      killed.add(pid);
      sendSignal(pid, "SIGKILL");
    }
    if (killed.size === 0 || pids.length > 0 || (await living([...killed])).length > 0) return undefined;
    return killed.size === 1 ? `process ${[...killed][0]} is gone` : `all ${killed.size} processes are gone`;
  }, context);
  if (effect !== undefined) return effect;
  if (killed.size > 0) await control.start();
  throw noEffect(
    `kill of ${member.name}`,
    killed.size === 0 ? "it did not run" : `${[...killed].join(", ")} still run`,
  );
}

async function startAgain(member: FaultMember, context: InjectorContext): Promise<string> {
  const control = member.process as ProcessControl;
  await control.start();
  const seen = await seenWithin(async () => {
    const pids = await living(await control.pids());
    return pids.length > 0 ? `runs again as process ${pids[0]}` : undefined;
  }, context);
  if (seen === undefined) throw notUndone(`kill of ${member.name}`, "no process of it runs");
  return seen;
}

async function living(pids: readonly number[]): Promise<number[]> {
  const stats = await Promise.all(pids.map((pid) => readStat(pid)));
  return pids.filter((_, index) => stats[index] !== undefined);
}
