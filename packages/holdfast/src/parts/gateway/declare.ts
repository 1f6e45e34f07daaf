/**
 * `gateway`: the one door of a system. It takes HTTP in, strips what outsiders may not say, and hands each
 * request to a healthy instance of the service that its path belongs to.
 */
import { isIP } from "node:net";
import { deadlineMsMax, refuseProblems } from "../../call/index.ts";
import { namingProblem, type Part } from "../part.ts";
import type { Service } from "../service/index.ts";

export interface Route {
  /** Prefix of the request path, by whole segments: `/api` takes `/api` and `/api/x`, not `/apix`. */
  readonly path: string;
  readonly to: Service;
}

export interface GatewayOptions {
  /** The longest matching path wins, whatever the order. */
  readonly routes: readonly Route[];
  /** Processes that share the listening socket. Default 2. */
  readonly workers?: number;
  /** Default 4000; 4400 is kept for the console. `holdfast up --port` overrides it. */
  readonly port?: number;
  /** IP address to listen on, or `localhost`. Default 127.0.0.1: nothing is exposed unless told. */
  readonly host?: string;
  /**
   * Milliseconds a whole request may take, from its headers to the end of its answer. Default 15_000. An answer
   * of type `text/event-stream` has to begin by then, and may last longer.
   */
  readonly timeoutMs?: number;
  /**
   * How clients carry what they have written and seen from one request to the next, so that a later request sees at
   * least that: in the header `holdfast-session`, which a client sends back as it got it (`header`, the default),
   * also in a cookie, as browsers do by themselves (`cookie`), or not at all (`off`). A cookie makes answers
   * private to their client, and lets its newer token pass by older cache entries.
   */
  readonly session?: "header" | "cookie" | "off";
}

export interface ResolvedGatewayOptions extends Required<GatewayOptions> {}

export const gatewayDefaults = {
  workers: 2,
  port: 4000,
  host: "127.0.0.1",
  timeoutMs: 15_000,
  session: "header",
} as const;

/** Kept for the console, on every system: no gateway takes it. */
export const consolePort = 4400;

export interface Gateway extends Part {
  readonly kind: "gateway";
  readonly options: ResolvedGatewayOptions;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function gateway(options: GatewayOptions & { readonly name?: string }): Gateway {
  const { name = "edge", ...given } = options;
  const resolved: ResolvedGatewayOptions = { ...gatewayDefaults, ...given };
  const problems: string[] = [];
  const naming = namingProblem("gateway", name);
  if (naming) problems.push(naming);
  if (!Array.isArray(given.routes) || given.routes.length === 0)
    problems.push("routes should have at least one route");
  const seen = new Set<string>();
  for (const route of given.routes ?? []) {
    const shown = JSON.stringify(route.path);
    const problem = pathProblem(route.path);
    if (problem) problems.push(`route ${shown}: ${problem}`);
    // A slash at the end makes no difference to what a route takes.
    const prefix = String(route.path).replace(/\/+$/, "");
    if (seen.has(prefix)) problems.push(`route ${shown} is there twice; keep one`);
    seen.add(prefix);
    if (route.to?.kind !== "service") {
      problems.push(`route ${shown}: to should be a service, got ${describe(route.to)}`);
    }
  }
  if (!(Number.isInteger(resolved.workers) && resolved.workers >= 1 && resolved.workers <= 64)) {
    problems.push(`workers should be a whole number from 1 to 64, got ${resolved.workers}`);
  }
  const port = portProblem(resolved.port);
  if (port) problems.push(port);
  if (isIP(resolved.host) === 0 && resolved.host !== "localhost") {
    problems.push(`host should be an IP address or localhost, got ${JSON.stringify(resolved.host)}`);
  }
  if (!(resolved.timeoutMs > 0 && resolved.timeoutMs <= deadlineMsMax)) {
    problems.push(`timeoutMs should be above 0 and at most ${deadlineMsMax}, got ${resolved.timeoutMs}`);
  }
  if (!["header", "cookie", "off"].includes(resolved.session)) {
    problems.push(`session should be header, cookie or off, got ${JSON.stringify(resolved.session)}`);
  }
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `gateway "${name}"`, problems);
  return { kind: "gateway", name, options: Object.freeze(resolved) };
}

/** Why a gateway may not listen on `port`; `undefined` when it may. 0 is any free one. */
export function portProblem(port: number): string | undefined {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535))
    return `port should be a whole number from 0 to 65535, got ${port}`;
  if (port === consolePort) return `port ${consolePort} is kept for the console; choose another`;
  return undefined;
}

/** Routes match decoded paths, so a prefix that is not one plain path would silently match nothing. */
function pathProblem(path: unknown): string | undefined {
  if (typeof path !== "string" || !path.startsWith("/")) return "path should begin with /";
  if (!/^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/.test(path) || path.includes("//")) {
    return "path should be plain segments between single slashes, without query, fragment or encoding";
  }
  if (/\/\.{1,2}(?:\/|$)/.test(path)) return "path should have no . or .. segment";
  if (/^\/\.holdfast(?:\/|$)/.test(path)) return "paths below /.holdfast belong to the system itself";
  return undefined;
}

function describe(value: unknown): string {
  return value !== null && typeof value === "object" && "kind" in value
    ? `a ${String(value.kind)}`
    : String(value);
}
