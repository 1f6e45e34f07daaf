export type { RouteBacklog, SourceBacklog } from "./backlog.ts";
export type { OutboxDestination, OutboxMessage } from "./destination.ts";
export { type OutboxDatabase, type OutboxRelay, type OutboxRelayOptions, startOutboxRelay } from "./relay.ts";
