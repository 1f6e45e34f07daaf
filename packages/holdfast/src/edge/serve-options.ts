/** What the server of one service instance is given. */
import { deadlineMsMax, type HeaderCounter, refuseProblems, type Seam } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { type FetchHandler, serviceDefaults } from "../parts/service/index.ts";

export interface ServeOptions {
  readonly handler: FetchHandler;
  /** Name of the service part, for the seam. */
  readonly name: string;
  readonly clock: Clock;
  readonly seam: Seam;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Largest request body in bytes; more is answered 413. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Deadline of a request that brings none, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number;
  /** Requests under way at once; more are refused with 503, not applied. Default 512. */
  readonly maxInFlight?: number;
}

export type ResolvedServeOptions = Required<ServeOptions>;

export const serveDefaults = {
  host: "127.0.0.1",
  port: 0,
  maxBodyBytes: serviceDefaults.maxBodyBytes,
  timeoutMs: serviceDefaults.timeoutMs,
  maxInFlight: 512,
} as const;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function resolveServeOptions(options: ServeOptions): ResolvedServeOptions {
  const resolved: ResolvedServeOptions = { ...serveDefaults, ...options };
  const problems: string[] = [];
  if (typeof options.handler?.fetch !== "function") {
    problems.push(
      "handler should have a `fetch(request)`: export a Hono app, or an object with fetch, as default",
    );
  }
  const { port, maxBodyBytes, timeoutMs, maxInFlight } = resolved;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    problems.push(`port should be a whole number from 0 to 65535, got ${port}`);
  }
  if (!(Number.isSafeInteger(maxBodyBytes) && maxBodyBytes >= 0)) {
    problems.push(`maxBodyBytes should be a whole number of 0 or more, got ${maxBodyBytes}`);
  }
  if (!(timeoutMs > 0 && timeoutMs <= deadlineMsMax)) {
    problems.push(`timeoutMs should be above 0 and at most ${deadlineMsMax}, got ${timeoutMs}`);
  }
  if (!(Number.isInteger(maxInFlight) && maxInFlight >= 1)) {
    problems.push(`maxInFlight should be a whole number of 1 or more, got ${maxInFlight}`);
  }
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `service "${options.name}"`, problems);
  return Object.freeze(resolved);
}

export interface ServedInstance {
  readonly host: string;
  readonly port: number;
  /** Requests whose handler has not answered yet. */
  readonly inFlight: number;
  readonly draining: boolean;
  /** How often each header of a call was malformed, and therefore ignored. */
  readonly malformedHeaders: HeaderCounter["counts"];
  /**
   * Takes no new connections, answers 503 to health checks, finishes what is under way, and closes after
   * `withinMs` milliseconds at the latest.
   */
  drain(withinMs: number): Promise<void>;
  /** Closes at once: requests under way are cut, their outcome unknown. */
  close(): Promise<void>;
}
