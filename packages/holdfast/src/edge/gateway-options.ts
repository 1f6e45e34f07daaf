/**
 * What a gateway process is given, and the limits that are on by default.
 */
import { isIP } from "node:net";
import { deadlineMsMax, type HeaderCounter, refuseProblems, type Seam } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { type GatewaySessionOptions, sealSecretBytesMin } from "./session-seal.ts";

/** One running instance of a service. The id stays the same for its life and names it in logs and figures. */
export interface GatewayEndpoint {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

export interface GatewayRoute {
  /** Prefix of the path, by whole segments; the longest that matches wins. */
  readonly path: string;
  readonly service: string;
}

/** A descriptor of a bound socket (see `bindListeningSocket`), or an address of its own. Port 0 takes a free one. */
export type GatewayListen = { readonly fd: number } | { readonly host: string; readonly port: number };

export interface GatewayLimits {
  /** Longest request target in characters; more is answered 414. Default 8192. */
  readonly urlChars: number;
  /** All headers of a request together, in bytes; more is answered 431. Default 32_768. */
  readonly headerBytes: number;
  /** Number of header fields; more is answered 431. Default 128. */
  readonly headerCount: number;
  /** Largest request body in bytes; more is answered 413. Default 10 MiB. */
  readonly bodyBytes: number;
  /** Bodies up to this size are read whole before they are sent on, so that an attempt can be made again. Default 64 KiB. */
  readonly replayBytes: number;
  /** Time to receive all headers, in milliseconds. Default 10_000. */
  readonly headersMs: number;
  /** Time to receive a whole request, in milliseconds. Default 30_000. */
  readonly requestMs: number;
  /** How long an idle connection is kept, in milliseconds. Default 60_000. */
  readonly keepAliveMs: number;
  /** How often slow clients are looked for, in milliseconds. Default 1000. */
  readonly checkMs: number;
  /** A connection on which nothing moves for so long is cut, in milliseconds. Default 120_000. */
  readonly stalledMs: number;
  /** Open connections of this process; more are closed as they come. Default 10_000. */
  readonly connections: number;
  /** Requests under way in this process; more are answered 503. Default 4096. */
  readonly inFlight: number;
}

export const gatewayLimits: GatewayLimits = Object.freeze({
  urlChars: 8192,
  headerBytes: 32_768,
  headerCount: 128,
  bodyBytes: 10 << 20,
  replayBytes: 64 << 10,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 60_000,
  checkMs: 1000,
  stalledMs: 120_000,
  connections: 10_000,
  inFlight: 4096,
});

export interface GatewayStartOptions {
  readonly listen: GatewayListen;
  readonly routes: readonly GatewayRoute[];
  readonly clock: Clock;
  readonly seam: Seam;
  /** Name of the gateway part, for the seam. Default "edge". */
  readonly name?: string;
  /** Milliseconds a request may take, from its headers to the end of its answer. Default 15_000. */
  readonly timeoutMs?: number;
  /** Attempts of one request, the first included. Default 3. */
  readonly attempts?: number;
  /** How often each instance's health is asked for, in milliseconds. Default 1000. */
  readonly healthMs?: number;
  /** Addresses or CIDR blocks whose X-Forwarded-* headers are believed. Default none. */
  readonly trustedProxies?: readonly string[];
  readonly limits?: Partial<GatewayLimits>;
  /** Lets clients carry what they have written and seen. Default: sessions end here, and tokens are ignored. */
  readonly sessions?: GatewaySessionOptions;
}

export interface ResolvedGatewayStart extends Required<Omit<GatewayStartOptions, "sessions">> {
  readonly limits: GatewayLimits;
  readonly sessions: GatewaySessionOptions | undefined;
}

export const gatewayStartDefaults = { name: "edge", timeoutMs: 15_000, attempts: 3, healthMs: 1000 } as const;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function resolveGatewayStart(options: GatewayStartOptions): ResolvedGatewayStart {
  const resolved: ResolvedGatewayStart = {
    ...gatewayStartDefaults,
    trustedProxies: [],
    sessions: undefined,
    ...options,
    limits: { ...gatewayLimits, ...options.limits },
  };
  const problems: string[] = [];
  for (const [name, value] of Object.entries(resolved.limits)) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      problems.push(`limits.${name} should be a whole number of 1 or more, got ${value}`);
    }
  }
  const { headersMs, requestMs } = resolved.limits;
  if (headersMs > requestMs) {
    problems.push(`limits.headersMs (${headersMs}) should be at most limits.requestMs (${requestMs})`);
  }
  if (!(resolved.timeoutMs > 0 && resolved.timeoutMs <= deadlineMsMax)) {
    problems.push(`timeoutMs should be above 0 and at most ${deadlineMsMax}, got ${resolved.timeoutMs}`);
  }
  if (!(resolved.healthMs > 0)) problems.push(`healthMs should be positive, got ${resolved.healthMs}`);
  if (!(Number.isInteger(resolved.attempts) && resolved.attempts >= 1 && resolved.attempts <= 10)) {
    problems.push(`attempts should be a whole number from 1 to 10, got ${resolved.attempts}`);
  }
  const secretBytes = resolved.sessions?.secret.length ?? sealSecretBytesMin;
  if (secretBytes < sealSecretBytesMin) {
    problems.push(`sessions.secret should have ${sealSecretBytesMin} bytes or more, got ${secretBytes}`);
  }
  for (const block of resolved.trustedProxies) {
    if (isIP(block.split("/")[0] as string) === 0) {
      problems.push(`trustedProxies: ${JSON.stringify(block)} should be an address or a CIDR block`);
    }
  }
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `gateway "${resolved.name}"`, problems);
  return Object.freeze(resolved);
}

export interface RunningGateway {
  readonly address: { readonly host: string; readonly port: number };
  /** Replaces the instances of a service. Those that stay keep their connections; those that go finish their work. */
  setEndpoints(service: string, endpoints: readonly GatewayEndpoint[]): void;
  stats(): GatewayStats;
  /** Takes no new connections, finishes what is under way, and closes after `withinMs` at the latest. */
  drain(withinMs: number): Promise<void>;
  /** Closes at once: requests under way are cut. */
  close(): Promise<void>;
}

export interface GatewayStats {
  readonly connections: number;
  readonly inFlight: number;
  /** Requests that were answered, refused ones included. */
  readonly answered: number;
  /** Requests refused before any instance saw them: malformed, too large, no route. */
  readonly refused: number;
  /** Attempts beyond the first. */
  readonly retries: number;
  /** How often each header of a call was malformed, and therefore ignored. */
  readonly malformedHeaders: HeaderCounter["counts"];
  /** Session tokens that this gateway had not sealed, and therefore ignored. */
  readonly ignoredSessions: number;
  readonly endpoints: readonly {
    readonly service: string;
    readonly id: string;
    readonly inFlight: number;
    readonly healthy: boolean;
  }[];
}
