/** What is wrong with an outbox, and what to do about it. Pure. */
import type { RouteBacklog, SourceBacklog } from "../engines/postgres/outbox/index.ts";

/** Age from which a message that waits is told of, in milliseconds. A relay needs some milliseconds. */
export const outboxLateMs = 60_000;

export interface Overdue {
  readonly source: string;
  readonly route: RouteBacklog;
}

/** What waits for too long, or for somebody who is not there. */
export function overdueOutbox(sources: readonly SourceBacklog[]): Overdue[] {
  return sources.flatMap(({ database, node, routes }) =>
    routes
      .filter(({ state, oldestMs }) => state !== "moving" || oldestMs >= outboxLateMs)
      .map((route) => ({ source: `${database}/${node}`, route })),
  );
}

/** @param figures with how much and since when, which changes from look to look */
export function overdueText({ source, route }: Overdue, figures: boolean): string {
  const { destination, state, waiting, oldestMs } = route;
  const what = `${source}: what was published in transactions for ${destination}`;
  if (state === "unknown") {
    return `${what} will not be moved on: the system has no ${destination.replace(":", " ")}. Declare it again, or have it deleted: delete from holdfast.outbox where destination = '${destination}'.`;
  }
  if (state === "homeless") {
    return `${what} waits, because its home does not answer. It is kept, and moved when the home is back.`;
  }
  const much = figures ? ` (${waiting} messages, the oldest for ${Math.round(oldestMs / 1_000)} s)` : "";
  return `${what} waits${much}. The logs of services and workers say why their relays fail (operation "relay"); it is kept, and moved when they do not.`;
}
