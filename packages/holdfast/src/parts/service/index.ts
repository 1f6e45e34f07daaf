export {
  type FetchHandler,
  type ResolvedServiceOptions,
  type Service,
  type ServiceOptions,
  service,
  serviceDefaults,
} from "./declare.ts";
export { errorResponse, errorStatus } from "./error-response.ts";
