/** What a system's own files import: the declarations, the errors and the call they run in. */
export {
  Call,
  currentCall,
  type ErrorCode,
  HoldfastError,
  inCall,
  type Outcome,
  outcomeOf,
} from "./call/index.ts";
export * from "./parts/index.ts";
