/** What jobs are searched by, checked before it reaches an engine: every problem at once. */
import { valueError } from "../checked-value.ts";
import type { JobFilter, JobState } from "./port.ts";

export interface JobSearch extends JobFilter {
  /** Most jobs of the page, 1 to 1_000. Default 100. */
  readonly limit?: number;
  /** `after` of the page before. */
  readonly after?: string | undefined;
}

export const searchLimits = { limit: 100, limitMax: 1_000, idsMax: 1_000 } as const;

const states: readonly JobState[] = ["waiting", "delayed", "active", "done", "dead", "cancelled"];
const texts = ["name", "group", "tag", "failureCode"] as const;
const fields: readonly string[] = ["ids", "state", ...texts];
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once */
export function checkSearch(
  queue: string,
  search: JobSearch,
): { readonly filter: JobFilter; readonly limit: number; readonly after: string | undefined } {
  const { limit = searchLimits.limit, after, ...filter } = search;
  const problems = filterProblems(filter);
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= searchLimits.limitMax)) {
    problems.push(`limit should be a whole number from 1 to ${searchLimits.limitMax}, got ${limit}`);
  }
  if (after !== undefined && !uuid.test(after)) {
    problems.push(`after should be what the page before answered as after, got ${JSON.stringify(after)}`);
  }
  if (problems.length > 0)
    throw valueError({ kind: "queue", name: queue }, problems.join("; "), { problems });
  return { filter, limit, after };
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once */
export function checkFilter(queue: string, filter: JobFilter): JobFilter {
  const problems = filterProblems(filter);
  if (problems.length > 0)
    throw valueError({ kind: "queue", name: queue }, problems.join("; "), { problems });
  return filter;
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID for what can be no job's id */
export function checkJobId(queue: string, id: string): string {
  if (typeof id === "string" && uuid.test(id)) return id;
  const what = `${JSON.stringify(id)} is no id of a job: use what enqueue answered as id`;
  throw valueError({ kind: "queue", name: queue }, what, { field: "id" });
}

function filterProblems(filter: JobFilter): string[] {
  const problems: string[] = [];
  for (const field of Object.keys(filter)) {
    if (!fields.includes(field)) {
      problems.push(`${field} is nothing that jobs are searched by: use ${fields.join(", ")}`);
    }
  }
  const { ids, state } = filter;
  if (ids !== undefined && !(Array.isArray(ids) && ids.length <= searchLimits.idsMax)) {
    problems.push(`ids should be a list of at most ${searchLimits.idsMax} ids`);
  } else {
    const wrong = ids?.find((id) => typeof id !== "string" || !uuid.test(id));
    if (wrong !== undefined) problems.push(`ids has ${JSON.stringify(wrong)}, which is no id of a job`);
  }
  if (state !== undefined && !states.includes(state)) {
    problems.push(`state should be ${states.join(", ")}, got ${JSON.stringify(state)}`);
  }
  for (const field of texts) {
    const value = filter[field];
    if (value !== undefined && (typeof value !== "string" || value.includes("\0"))) {
      problems.push(`${field} should be text without NUL characters, got ${JSON.stringify(value)}`);
    }
  }
  return problems;
}
