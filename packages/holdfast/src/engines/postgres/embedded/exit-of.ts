/** How a server's process ended, also when it ended before anybody asked. */
import type { ChildProcess } from "node:child_process";
import type { ServerExit } from "./running-server.ts";

/**
 * A postmaster that refuses its settings is gone within milliseconds, and its `exit` is told once: whoever
 * listens after that would wait for ever, so what the child remembers is asked first.
 */
export function exitOf(child: ChildProcess): Promise<ServerExit> {
  const { exitCode: code, signalCode: signal } = child;
  if (code !== null || signal !== null) return Promise.resolve({ code, signal });
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: null, signal: null })); // it never started
  });
}
