/** A job on its way through the outbox: what it is there, and what its queue's engine makes of it. */
import type { OutboxEntry } from "../outbox/index.ts";
import type { OutgoingJob } from "./port.ts";

/** What the outbox does not have a place of its own for. */
type Rest = Pick<OutgoingJob, "name" | "group" | "priority" | "due" | "unique" | "tags">;

/** Jobs of one group keep their order on the way. */
export function outboxEntry(job: OutgoingJob): OutboxEntry {
  const { id, name, json, group, priority, due, unique, tags, traceparent, session } = job;
  const rest: Rest = { name, group, priority, due, unique, tags };
  return { id, key: group ?? id, json, options: JSON.stringify(rest), traceparent, session };
}

/** @param entry as the relay hands it out: a job's delay counts from its arrival at the queue */
export function jobFromOutbox(entry: OutboxEntry & { readonly id: string }): OutgoingJob {
  const rest = JSON.parse(entry.options ?? "{}") as Partial<Rest>;
  return {
    id: entry.id,
    name: rest.name,
    json: entry.json,
    group: rest.group,
    priority: rest.priority ?? 0,
    due: rest.due ?? { afterMs: 0 },
    unique: rest.unique,
    tags: rest.tags ?? [],
    traceparent: entry.traceparent,
    session: entry.session,
  };
}
