/** Which faults begin and end by now: the pure step that drives real faults and simulated ones alike. */
import type { TimedFault, Timeline } from "./plan.ts";

export interface TimelineState {
  /** Ids of the faults that have begun and not ended. */
  readonly active: readonly number[];
  /** How many faults of the timeline have begun. */
  readonly begun: number;
}

export const timelineStart: TimelineState = { active: [], begun: 0 };

export interface TimelineStep {
  readonly state: TimelineState;
  /** To be undone now, the latest first, before anything begins. */
  readonly end: readonly TimedFault[];
  readonly begin: readonly TimedFault[];
  readonly phase: "faults" | "healing" | "over";
  /** When there is something to do next; undefined when nothing will change any more. */
  readonly nextMs: number | undefined;
}

/**
 * @param nowMs milliseconds since the start of the timeline; may be late. A fault that would have begun and ended
 *   in between is left out: there is no effect in no time.
 */
export function stepTimeline(timeline: Timeline, state: TimelineState, nowMs: number): TimelineStep {
  const { faults, healAtMs, endMs } = timeline;
  const healing = nowMs >= healAtMs;
  const isActive = (fault: TimedFault) => state.active.includes(fault.id);
  const end = faults.filter((fault) => isActive(fault) && (healing || nowMs >= fault.endMs)).reverse();
  const due = faults.slice(state.begun).filter((fault) => fault.beginMs <= nowMs);
  const begin = healing ? [] : due.filter((fault) => nowMs < fault.endMs);
  const active = [
    ...state.active.filter((id) => !end.some((fault) => fault.id === id)),
    ...begin.map(({ id }) => id),
  ];
  const next = { active, begun: state.begun + due.length };
  const timesMs = healing
    ? [endMs]
    : [
        healAtMs,
        ...faults.filter(({ id }) => active.includes(id)).map((fault) => fault.endMs),
        ...faults.slice(next.begun, next.begun + 1).map((fault) => fault.beginMs),
      ];
  const nextMs = Math.min(...timesMs.filter((timeMs) => timeMs > nowMs));
  return {
    state: next,
    end,
    begin,
    phase: nowMs >= endMs ? "over" : healing ? "healing" : "faults",
    nextMs: Number.isFinite(nextMs) ? nextMs : undefined,
  };
}
