/** CPU starvation without control groups: the processes are stopped and continued many times a second. */
import type { Clock } from "../../clock/index.ts";
import type { FaultOf } from "../plan/fault.ts";
import type { Injected, InjectorContext } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { FaultMember, ProcessControl } from "../run/target.ts";
import type { UndoEntry } from "../undo/undo-guard.ts";
import { percent } from "./percent.ts";
import { readStat, sendSignal } from "./proc.ts";

const periodMs = 50;
const samples = 40;

export async function byTurns(
  { share }: FaultOf<"cpu-starvation">,
  member: FaultMember,
  context: InjectorContext,
  reason: string,
): Promise<Injected> {
  const what = `cpu-starvation of ${member.name}`;
  const { clock, guard } = context;
  const control = member.process as ProcessControl;
  const entries = new Map<number, UndoEntry>();
  let over = false;
  const turns = takeTurns();
  const release = async () => {
    over = true;
    await turns;
    for (const pid of entries.keys()) sendSignal(pid, "SIGCONT");
    const seen = await seenWithin(
      async () => ((await stoppedPart(entries, clock, 5)) === 0 ? "no process stands still" : undefined),
      context,
    );
    if (seen === undefined) throw notUndone(what, "a process still stands still");
    for (const entry of entries.values()) await entry.kept();
    return seen;
  };
  const effect = await seenWithin(async () => {
    const part = await stoppedPart(entries, clock, samples);
    return part >= (1 - share) / 2
      ? `its processes stood still in ${percent(part)} of ${samples} looks`
      : undefined;
  }, context);
  if (effect === undefined) {
    await release();
    throw noEffect(what, "its processes were seldom seen to stand still");
  }
  return { by: `SIGSTOP and SIGCONT in turns (${reason})`, effect, undo: release };

  async function takeTurns(): Promise<void> {
    while (!over) {
      const pids = await control.pids();
      for (const pid of pids) {
        if (!entries.has(pid)) entries.set(pid, await guard.promise(`kill -CONT ${pid}`));
        sendSignal(pid, "SIGSTOP");
      }
      await clock.sleep(periodMs * (1 - share));
      for (const pid of pids) sendSignal(pid, "SIGCONT");
      await clock.sleep(periodMs * share);
    }
  }
}

/** In how many looks a process stood still, from 0 to 1. Looks are uneven, so that they do not beat with the turns. */
async function stoppedPart(
  entries: ReadonlyMap<number, UndoEntry>,
  clock: Clock,
  looks: number,
): Promise<number> {
  let stopped = 0;
  let seen = 0;
  for (let look = 0; look < looks; look++) {
    for (const pid of entries.keys()) {
      const stat = await readStat(pid);
      if (stat) seen++;
      if (stat?.state === "T") stopped++;
    }
    await clock.sleep(3 + clock.random.next() * 10);
  }
  return seen === 0 ? 0 : stopped / seen;
}
