/** What asynchronous work takes over from the calls that asked for it: a trace that is linked, and what they knew. */
import { childSpan, parseTraceparent, Session, type TraceContext } from "../call/index.ts";
import type { Random } from "../clock/index.ts";

/** What the publishers of messages, or whoever enqueued a job, knew: reads at level `causal` see at least that. */
export function heardSession(texts: Iterable<string | undefined>): Session {
  const session = new Session();
  // Many messages of one publisher have the same.
  for (const text of new Set(texts)) {
    const published = text === undefined ? undefined : Session.decode(text);
    if (published) session.hear(published);
  }
  return session;
}

/** A span in the trace of the call that asked for the work, if there was one. */
export function linkedTrace(traceparent: string | undefined, random: Random): TraceContext | undefined {
  const trace = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  return trace && childSpan(trace, random);
}
