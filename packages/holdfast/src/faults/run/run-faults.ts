/**
 * Runs a timeline of faults against a real system: begins each when it is time and looks whether it works, ends it
 * and looks whether it is gone, then heals and waits for the system to be alive again.
 *
 *   const report = await runFaults({ timeline: schedule(7, plan), target, clock: systemClock, alive });
 *   expect(report.problems).toEqual([]);
 *
 * A fault counts only when its effect was seen. What cannot be done here at all is refused before anything begins.
 * Everything is undone when the signal aborts or something throws, and by the guard when this process is killed.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { faultText, whomText } from "../plan/fault.ts";
import type { TimedFault, Timeline } from "../plan/plan.ts";
import { stepTimeline, timelineStart } from "../plan/timeline-step.ts";
import { undoGuard } from "../undo/undo-guard.ts";
import { FaultInProgress } from "./fault-in-progress.ts";
import type { InjectorContext } from "./injector.ts";
import type { FaultRecord, FaultReport, NemesisEvent } from "./report.ts";
import { resolveWhom } from "./resolve.ts";
import { seenWithin } from "./seen.ts";
import type { FaultTarget } from "./target.ts";

export interface RunFaultsOptions {
  readonly timeline: Timeline;
  readonly target: FaultTarget;
  readonly clock: Clock;
  /** Whether the system is alive: does something through it, and throws when that fails. Asked while healing. */
  readonly alive?: () => Promise<unknown>;
  /** Told of each begin and end: events of a history, by a process that is no client. */
  readonly note?: (event: NemesisEvent) => void;
  /** Ends the run: everything is undone, and the report says what was. */
  readonly signal?: AbortSignal;
  /** Bound for an effect, and for its end, to be seen, in milliseconds. Default 5_000. */
  readonly probeMs?: number;
}

/** @throws {HoldfastError} HOLDFAST_FAULT_REFUSED with every fault that cannot be done here; nothing was done then */
export async function runFaults(options: RunFaultsOptions): Promise<FaultReport> {
  const { timeline, target, clock, signal, probeMs = 5_000 } = options;
  await refuseImpossible(timeline, target);
  const guard = undoGuard();
  const context: InjectorContext = { clock, guard, probeMs };
  const startMs = clock.monotonicMs();
  const nowMs = () => clock.monotonicMs() - startMs;
  /** Time that doing, undoing and looking took: the timeline stands still meanwhile, so that no fault is too short. */
  let probingMs = 0;
  const timed = async <T>(act: () => Promise<T>): Promise<T> => {
    const fromMs = nowMs();
    try {
      return await act();
    } finally {
      probingMs += nowMs() - fromMs;
    }
  };
  const note = options.note ?? (() => {});
  const active = new Map<number, FaultInProgress>();
  const records: FaultRecord[] = [];
  const problems: string[] = [];
  let aliveAfterMs: number | undefined;

  const begin = async (planned: TimedFault) => {
    const fault = new FaultInProgress(planned, target, context, nowMs, note);
    active.set(planned.id, fault);
    problems.push(...(await timed(() => fault.begin())));
  };
  const end = async (id: number) => {
    const fault = active.get(id);
    if (!fault) return;
    active.delete(id);
    problems.push(...(await timed(() => fault.end())));
    records.push(fault.record());
  };

  try {
    for (let state = timelineStart; ; ) {
      const step = stepTimeline(timeline, state, nowMs() - probingMs);
      state = step.state;
      for (const { id } of step.end) await end(id);
      if (step.phase !== "faults" || signal?.aborted) break;
      for (const fault of step.begin) {
        if (!signal?.aborted) await begin(fault);
      }
      const waitMs = (step.nextMs ?? 0) - (nowMs() - probingMs);
      if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => {});
    }
  } finally {
    for (const id of [...active.keys()].reverse()) await end(id);
    await guard.close();
  }
  if (options.alive && !signal?.aborted) {
    note(nemesis("heal", { atMs: Math.round(nowMs()) }));
    const fromMs = nowMs();
    const { alive } = options;
    const healMs = timeline.endMs - timeline.healAtMs;
    const seen = await seenWithin(() => alive().then(() => "alive"), { clock, probeMs: healMs });
    if (seen === undefined)
      problems.push(`the system was not alive again ${healMs} ms after all faults were undone`);
    else {
      aliveAfterMs = nowMs() - fromMs;
      note(nemesis("alive", { afterMs: Math.round(aliveAfterMs) }));
    }
  }
  records.sort((a, b) => a.id - b.id);
  const missed = timeline.faults.filter(({ id }) => !records.some((record) => record.id === id));
  if (missed.length > 0 && !signal?.aborted) {
    problems.push(`${missed.length} faults never began: this process was not running when it was their time`);
  }
  return {
    seed: timeline.seed,
    faults: records,
    ...(aliveAfterMs === undefined ? {} : { aliveAfterMs }),
    interrupted: signal?.aborted ?? false,
    problems,
  };
}

function nemesis(f: string, value: NemesisEvent["value"]): NemesisEvent {
  return { process: "nemesis", type: "info", f, value };
}

/** What a role will be when its time comes nobody knows: it is looked at as it is now. */
async function refuseImpossible(timeline: Timeline, target: FaultTarget): Promise<void> {
  const reasons = new Set<string>();
  for (const { fault, on } of timeline.faults) {
    const { injections, problems } = await resolveWhom(fault, on, target);
    for (const problem of problems) reasons.add(`${faultText(fault)} on ${whomText(on)}: ${problem}`);
    for (const { injector, to, name } of injections) {
      const reason = await injector.refusal(fault, to);
      if (reason !== undefined) reasons.add(`${faultText(fault)} on ${name}: ${reason}`);
    }
  }
  if (reasons.size === 0) return;
  const list = [...reasons].map((reason) => `\n  - ${reason}`).join("");
  throw new HoldfastError(
    "HOLDFAST_FAULT_REFUSED",
    `The faults cannot be run here, and none was begun:${list}`,
    {
      data: { problems: [...reasons] },
    },
  );
}
