/** Which jobs fit a search, and their order. */
import type { JobFilter } from "../../../parts/queue/index.ts";
import type { KeptJob } from "./kept-job.ts";

export function fits(job: KeptJob, filter: JobFilter): boolean {
  const { ids, name, group, tag, state, failureCode } = filter;
  const { outgoing } = job;
  return (
    (ids === undefined || ids.includes(outgoing.id)) &&
    (name === undefined || outgoing.name === name) &&
    (group === undefined || outgoing.group === group) &&
    (tag === undefined || outgoing.tags.includes(tag)) &&
    (state === undefined || job.state === state) &&
    (failureCode === undefined || job.failure?.code === failureCode)
  );
}

export function sortById(jobs: readonly KeptJob[]): KeptJob[] {
  return [...jobs].sort((a, b) => (a.outgoing.id < b.outgoing.id ? -1 : 1));
}
