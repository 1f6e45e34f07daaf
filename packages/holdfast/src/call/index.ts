export { Call, type CallFields, currentCall, deadlineError, detach, inCall } from "./call.ts";
export { type ErrorCode, type ErrorCodeFacts, errorCodes } from "./error-codes.ts";
export {
  attemptMax,
  type CallHeader,
  callFromHeaders,
  callFromOutside,
  callHeaders,
  deadlineMsMax,
  type HeaderCounter,
  type HeaderGetter,
  type HeaderReading,
  headerCounter,
  headersFromCall,
  isInternalHeader,
} from "./headers.ts";
export {
  HoldfastError,
  type HoldfastErrorOptions,
  isPermanent,
  outcomeOf,
  refuseProblems,
} from "./holdfast-error.ts";
export { checkIdempotencyKey, idempotencyKeyCharsMax } from "./idempotency-key.ts";
export type { Outcome } from "./outcome.ts";
export type { Principal } from "./principal.ts";
export { type Idempotence, mayRetry, mayRetryAfter, retryRule } from "./retry-rule.ts";
export {
  type OperationAttributes,
  type OperationEnd,
  type OperationStart,
  Seam,
  type SeamObserver,
  type Undone,
} from "./seam.ts";
export {
  type Knowledge,
  type LogPosition,
  type NodeKnowledge,
  Session,
  sessionCharsMax,
} from "./session.ts";
export {
  childSpan,
  formatTraceparent,
  newTrace,
  parseTraceparent,
  type TraceContext,
} from "./trace-context.ts";
export {
  answerHeaders,
  escapedError,
  escapeHeaders,
  readFailedAnswer,
  refusalHeaders,
} from "./wire-outcome.ts";
