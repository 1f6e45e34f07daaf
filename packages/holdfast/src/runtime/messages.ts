/**
 * What the supervisor and its child processes say to each other over their private channel. Passwords travel
 * here and nowhere else: arguments and environment are visible to other programs.
 */
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import type { DevelopmentWarning } from "../engines/postgres/warnings/warning.ts";
import type { SystemDescription } from "./describe.ts";

/** How the parts of a system are bound, as plain data. */
export interface WorldConfig {
  /** The system's name. */
  readonly name: string;
  /** By name of the database part. */
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  /** Connections of one pool. */
  readonly poolSize: number;
  /** Warn of what will not bear more rows or users. For development: it costs a little. */
  readonly warnings?: boolean;
}

/** Where one ready instance of a service listens. */
export interface Endpoint {
  /** Name of the instance, such as `api-1`; a replacement in its place has another id. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** By name of the service. */
export type Endpoints = Readonly<Record<string, readonly Endpoint[]>>;

export interface PartStart {
  readonly kind: "start-part";
  readonly systemFile: string;
  readonly part: string;
  /** Such as `api-1`. */
  readonly instance: string;
  readonly world: WorldConfig;
}

export interface GatewayStart {
  readonly kind: "start-gateway";
  readonly instance: string;
  readonly gateway: NonNullable<SystemDescription["edge"]>;
  /** Descriptor of the listening socket, inherited. */
  readonly fd: number;
  readonly endpoints: Endpoints;
  /** What session tokens are sealed with, in base64url. */
  readonly sessionSecret: string;
}

export interface DescribeStart {
  readonly kind: "start-describe";
  readonly systemFile: string;
}

export interface TrafficStart {
  readonly kind: "start-traffic";
  readonly systemFile: string;
  readonly url: string;
}

export type StartMessage = PartStart | GatewayStart | DescribeStart | TrafficStart;

export type ToChild =
  | StartMessage
  /** Finish what is under way, take nothing new, end within `graceMs`. */
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "endpoints"; readonly version: number; readonly endpoints: Endpoints }
  /** A migration has run: tell again what is still to be warned of. */
  | { readonly kind: "warn-again" };

export type FromChild =
  | { readonly kind: "ready"; readonly port?: number }
  /** Sent every second: its absence means that the event loop stands still. */
  | { readonly kind: "beat"; readonly memoryBytes: number }
  /** Files of the project that the process has loaded since it last said so. */
  | { readonly kind: "loaded"; readonly files: readonly string[] }
  /** It drains though nobody here told it to: somebody sent it SIGTERM. */
  | { readonly kind: "leaving" }
  /** Something that works now and will not bear more rows or users. Each process tells it once. */
  | { readonly kind: "warning"; readonly warning: DevelopmentWarning }
  /** Why the process is about to end. */
  | { readonly kind: "failed"; readonly message: string }
  /** The gateway sends no new request to an endpoint that this version does not have. */
  | { readonly kind: "endpoints-taken"; readonly version: number }
  | { readonly kind: "described"; readonly description: SystemDescription };

export const beatMs = 1_000;
