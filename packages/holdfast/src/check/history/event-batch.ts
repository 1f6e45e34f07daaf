/** What the readers of all formats give: some events at a time, and the line of each. */
import type { HistoryEvent } from "./event.ts";
import { type HistoryProblem, HistoryUnreadableError } from "./history-error.ts";

export interface EventBatch {
  readonly events: HistoryEvent[];
  /** The line, from 1, of each event. */
  readonly lines: number[];
}

export type EventReader = (chunks: AsyncIterable<string>, source: string) => AsyncGenerator<EventBatch>;

/** After that many the rest of the file is not looked at: it is probably something else altogether. */
const problemsMax = 20;

/** Gathers the problems of a file, so that all are told at once. */
export class LineProblems {
  readonly #source: string;
  readonly #problems: HistoryProblem[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  /** @throws {HistoryUnreadableError} when there are so many that going on is useless */
  add(line: number, problems: readonly string[]): void {
    for (const problem of problems) this.#problems.push({ line, problem });
    if (this.#problems.length >= problemsMax) this.refuse();
  }

  /** @throws {HistoryUnreadableError} when there is any problem */
  refuse(): void {
    if (this.#problems.length > 0) throw new HistoryUnreadableError(this.#source, this.#problems);
  }
}
