/** From what witnesses of faults said to stretches of time: a fault lasts until it is stopped, healed or recovered. */
import type { HistoryEvent } from "../history/event.ts";

export interface FaultBand {
  readonly label: string;
  readonly startNs: number;
  /** `Infinity` when it was never ended. */
  readonly endNs: number;
}

const ending = /^(stop|heal|recover|resume|end|reset|undo|restart)(?:[-_ ](.*))?$/;
const beginning = /^(?:start|begin)(?:[-_ ](.*))?$/;

export function faultBands(faults: readonly HistoryEvent[]): readonly FaultBand[] {
  const bands: FaultBand[] = [];
  const open = new Map<string, { label: string; startNs: number }>();
  const close = (name: string, endNs: number) => {
    const begun = open.get(name);
    if (!begun) return;
    bands.push({ ...begun, endNs });
    open.delete(name);
  };
  for (const { process, f, type, timeNs } of faults) {
    const end = ending.exec(f);
    if (end) {
      // Undone once that is confirmed, not when it was asked for.
      const names = [...open.keys()].filter(
        (name) => end[2] === undefined || name === `${process} ${end[2]}`,
      );
      if (type !== "invoke")
        for (const name of names.length > 0 ? names : [...open.keys()]) close(name, timeNs);
      continue;
    }
    const name = beginning.exec(f)?.[1] ?? f;
    const key = `${process} ${name}`;
    if (!open.has(key)) open.set(key, { label: `${process}: ${name}`, startNs: timeNs });
  }
  for (const key of [...open.keys()]) close(key, Number.POSITIVE_INFINITY);
  return bands.sort((a, b) => a.startNs - b.startNs);
}
