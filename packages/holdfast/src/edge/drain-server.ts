/**
 * Stops an HTTP server without cutting anybody off in mid-sentence.
 *
 * A server that closes an idle keep-alive connection races the request that its client may be writing at that
 * very moment. So the connections stay open for a grace period, in which each answer says `Connection: close`
 * and clients that watch the instance's health let go by themselves; only then are idle ones closed.
 */
import type { Server } from "node:http";
import net from "node:net";
import type { Clock } from "../clock/index.ts";

export const drainDefaults = { idleGraceMs: 1000, pollMs: 50 } as const;

/** Resolves when every connection is closed; after `withinMs` milliseconds those that are left are cut. */
export async function drainServer(server: Server, clock: Clock, withinMs: number): Promise<void> {
  const startMs = clock.monotonicMs();
  let closed = false;
  // Not http's own close(), which closes idle connections at once.
  net.Server.prototype.close.call(server, () => {
    closed = true;
  });
  while (!closed) {
    const spentMs = clock.monotonicMs() - startMs;
    if (spentMs >= withinMs) server.closeAllConnections();
    else if (spentMs >= drainDefaults.idleGraceMs) server.closeIdleConnections();
    await clock.sleep(Math.min(drainDefaults.pollMs, Math.max(1, withinMs - spentMs)));
  }
  closeServer(server);
}

/** Cuts every connection and stops listening. May be called twice. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A server that is closed already answers with an error, which here is as good as success.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
