/**
 * HTTP in: the server of one service instance, and the gateway in front of all of them.
 *
 *   serveFetch(options: ServeOptions): Promise<ServedInstance>
 *   startGateway(options: GatewayStartOptions): Promise<RunningGateway>
 *   bindListeningSocket(at: { host, port }): ListeningSocket      binds without accepting; its `fd` is inherited
 *
 * Neither owns a process: signals, messages between processes and exits belong to whoever calls them.
 */

export { startGateway } from "./gateway.ts";
export {
  type GatewayEndpoint,
  type GatewayLimits,
  type GatewayListen,
  type GatewayRoute,
  type GatewayStartOptions,
  type GatewayStats,
  gatewayLimits,
  gatewayStartDefaults,
  type RunningGateway,
} from "./gateway-options.ts";
export { bindListeningSocket, type ListeningSocket } from "./listening-socket.ts";
export { healthPath, serveFetch } from "./serve.ts";
export { type ServedInstance, type ServeOptions, serveDefaults } from "./serve-options.ts";
