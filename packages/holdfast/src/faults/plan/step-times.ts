import type { FaultStep } from "./plan.ts";

/** When a step begins: once, or again and again for as long as it ends within the phase. */
export function stepTimes({ atMs, forMs, everyMs }: FaultStep, lastsMs: number): number[] {
  if (everyMs === undefined) return [atMs];
  const times: number[] = [];
  for (let beginMs = atMs; beginMs + forMs <= lastsMs; beginMs += everyMs) times.push(beginMs);
  return times;
}
