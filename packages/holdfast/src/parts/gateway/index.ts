export {
  type Gateway,
  type GatewayOptions,
  gateway,
  gatewayDefaults,
  type ResolvedGatewayOptions,
  type Route,
} from "./declare.ts";
