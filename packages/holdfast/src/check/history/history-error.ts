/**
 * A history that cannot be judged, because a line cannot be read, or because its events do not make sense
 * together. This room depends on no other, so it has an error of its own, in the shape of a HoldfastError: its
 * code stands in the same table.
 */
export interface HistoryProblem {
  /** From 1; absent when it is about no single line. */
  readonly line?: number;
  /** What is wrong, and what was expected. */
  readonly problem: string;
}

/** Problems that a message lists; of the others it says how many there are. */
const listedMax = 20;

export class HistoryUnreadableError extends Error {
  override readonly name: string = "HistoryUnreadableError";
  readonly code = "HOLDFAST_HISTORY_UNREADABLE";
  readonly outcome = "not-applied";
  readonly permanent = true;
  readonly data: { readonly source: string; readonly problems: readonly HistoryProblem[] };

  /** @param source the file, or what else it was read from */
  constructor(source: string, problems: readonly HistoryProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const listed = problems
      .slice(0, listedMax)
      .map(({ line, problem }) => `\n  - ${line === undefined ? "" : `line ${line}: `}${problem}`);
    const more = problems.length > listedMax ? `\n  - and ${problems.length - listedMax} more` : "";
    super(`The history ${source} cannot be judged: ${count}${listed.join("")}${more}`);
    this.data = { source, problems };
  }
}

/** A piece of foreign text for a message: short, in one line, and without control characters. */
export function excerpt(text: string, charsMax = 60): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return JSON.stringify(cut);
}
