/**
 * Several recordings of one machine as one history, ordered by time. Every recorder counts its processes from 0, so
 * they get new numbers; a witness of faults keeps its name.
 */
import { statSync } from "node:fs";
import type { HistoryEvent } from "../check/history/event.ts";
import { readHistory } from "../check/history/read-history.ts";

/** @throws {HistoryUnreadableError} with the line that cannot be read */
export async function* mergeHistories(files: readonly string[]): AsyncGenerator<HistoryEvent> {
  // Whoever recorded nothing has nothing to add.
  const readers = files.filter((file) => statSync(file).size > 0).map((file) => readHistory(file));
  const next = await Promise.all(readers.map((reader) => reader.next()));
  const numbers = readers.map(() => new Map<number, number>());
  let processes = 0;
  for (let index = 0; ; index++) {
    let earliest = -1;
    for (let i = 0; i < next.length; i++) {
      const event = next[i]?.value as HistoryEvent | undefined;
      const best = next[earliest]?.value as HistoryEvent | undefined;
      if (event && !next[i]?.done && (!best || event.timeNs < best.timeNs)) earliest = i;
    }
    const event = next[earliest]?.value as HistoryEvent | undefined;
    if (!event) return;
    next[earliest] = await (readers[earliest] as AsyncGenerator<HistoryEvent>).next();
    yield { ...event, index, process: renumbered(event.process, numbers[earliest] as Map<number, number>) };
  }

  function renumbered(process: number | string, known: Map<number, number>): number | string {
    if (typeof process === "string") return process;
    const number = known.get(process) ?? processes++;
    known.set(process, number);
    return number;
  }
}
