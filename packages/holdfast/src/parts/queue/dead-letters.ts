/** Dead letters of a queue: jobs that no attempt will be made at any more, each with its reason, until somebody decides. */
import { checkFilter, checkSearch, type JobSearch } from "./job-search.ts";
import type { JobFilter, JobPage, QueuePort } from "./port.ts";

/** Which dead letters: one by its id, those that fit, or all of them. */
export type DeadChoice = string | Omit<JobFilter, "state"> | "all";

export interface DeadLetters {
  /** With the reason of each in `failure`. */
  list(search?: Omit<JobSearch, "state">): Promise<JobPage>;
  /**
   * Runs them again, from attempt 1, under their own ids: what `job.apply` has applied before is not applied again.
   * In transactions of a thousand, each all or none.
   *
   * @returns how many
   */
  redrive(which: DeadChoice): Promise<number>;
  /** Deletes them, a thousand in a transaction. @returns how many */
  discard(which: DeadChoice): Promise<number>;
}

const atOnce = 1_000;

/** @param report runs an operation on the queue's port, seen by its world */
export function deadLetters(
  queue: string,
  report: <T>(operation: string, run: (port: QueuePort) => Promise<T>) => Promise<T>,
): DeadLetters {
  return {
    list: (search = {}) =>
      report("search", (port) => {
        const { filter, limit, after } = checkSearch(queue, { ...search, state: "dead" });
        return port.search(filter, limit, after);
      }),
    redrive: (which) =>
      report("redrive", (port) => each(queue, port, which, (filter) => port.redrive(filter, atOnce))),
    discard: (which) =>
      report("discard", (port) => each(queue, port, which, (filter) => port.discard(filter, atOnce))),
  };
}

async function each(
  queue: string,
  port: QueuePort,
  which: DeadChoice,
  act: (filter: Omit<JobFilter, "state">) => Promise<number>,
): Promise<number> {
  const filter = which === "all" ? {} : typeof which === "string" ? { ids: [which] } : which;
  checkFilter(queue, filter);
  // As many as there are now: what dies again meanwhile is not driven round in circles.
  const { dead } = await port.counts();
  let count = 0;
  while (count < dead) {
    const some = await act(filter);
    count += some;
    if (some < atOnce) break;
  }
  return count;
}
