/** What clients did and saw, written down as it happens: the events of a history. */
import type { HistoryEvent } from "../../check/index.ts";
import type { PlannedOperation } from "./workload.ts";

export type End = "ok" | "fail" | "info";

export class Recorder {
  readonly events: HistoryEvent[] = [];
  readonly #startNs = process.hrtime.bigint();
  #processes = 0;

  /** A process number that nobody has had. */
  newProcess(): number {
    return this.#processes++;
  }

  /** @returns how to write its end down */
  invoke(process: number, operation: PlannedOperation): (type: End, value: unknown, error?: unknown) => void {
    this.#add({ type: "invoke", process, ...operation });
    return (type, value, error) =>
      this.#add({ type, process, ...operation, value, ...(error ? { error } : {}) });
  }

  /** What was done to the system: no client's operation, but shown beside them. */
  fault(f: string, value: unknown): void {
    this.#add({ type: "info", process: "nemesis", f, value });
  }

  #add(event: Omit<HistoryEvent, "index" | "timeNs">): void {
    const timeNs = Number(process.hrtime.bigint() - this.#startNs);
    this.events.push({ index: this.events.length, timeNs, ...event });
  }
}
