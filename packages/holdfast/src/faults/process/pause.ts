/** Pause: every thread of the process and of its children stands still, their connections stay open. */
import type { MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { ProcessControl } from "../run/target.ts";
import type { UndoEntry } from "../undo/undo-guard.ts";
import { processRefusal } from "./kill.ts";
import { isWholeStopped, readStat, sendSignal } from "./proc.ts";

export const pause: MemberInjector<"pause"> = {
  refusal: (_fault, member) => processRefusal(member),
  async inject(_fault, member, context) {
    const control = member.process as ProcessControl;
    const stopped = new Map<number, UndoEntry>();
    const goOn = async () => {
      // Children first: a parent that wakes may wait for them.
      for (const pid of [...stopped.keys()].reverse()) sendSignal(pid, "SIGCONT");
      const seen = await seenWithin(async () => {
        const states = await Promise.all([...stopped.keys()].map((pid) => readStat(pid)));
        return states.some((stat) => stat?.state === "T") ? undefined : "no thread stands still";
      }, context);
      if (seen === undefined) throw notUndone(`pause of ${member.name}`, "a process still stands still");
      for (const entry of stopped.values()) await entry.kept();
      return seen;
    };
    const effect = await seenWithin(async () => {
      // Found anew each time: until it stands still itself, a parent starts further children.
      const pids = await control.pids();
      for (const pid of pids) {
        if (!stopped.has(pid)) stopped.set(pid, await context.guard.promise(`kill -CONT ${pid}`));
        sendSignal(pid, "SIGSTOP");
      }
      const still = await Promise.all(pids.map(isWholeStopped));
      if (pids.length === 0 || !still.every(Boolean)) return undefined;
      return pids.length === 1
        ? `every thread of process ${pids[0]} stands still`
        : `every thread of ${pids.length} processes stands still`;
    }, context);
    if (effect === undefined) {
      const detail =
        stopped.size === 0 ? "it does not run" : `a thread of ${[...stopped.keys()].join(", ")} still runs`;
      await goOn();
      throw noEffect(`pause of ${member.name}`, detail);
    }
    return { by: "SIGSTOP", effect, undo: goOn };
  },
};
