export type { DeadChoice, DeadLetters } from "./dead-letters.ts";
export { type EnqueueEntry, type EnqueueWithin, enqueueJobsMax, type Queue, queue } from "./declare.ts";
export { jobLostFailure, queueFullError, roomWaitMs } from "./errors.ts";
export type { JobSearch } from "./job-search.ts";
export {
  type GroupOptions,
  isSelective,
  type QueueOptions,
  type QueueRetryOptions,
  queueDefaults,
  type RateLimit,
  type ResolvedQueueOptions,
} from "./options.ts";
export { jobFromOutbox } from "./outbox-job.ts";
export type {
  AttemptEnd,
  ClaimedJob,
  Enqueued,
  JobFailure,
  JobFilter,
  JobPage,
  JobState,
  JobView,
  OutgoingJob,
  QueueCounts,
  QueueMember,
  QueuePort,
  UniqueKey,
} from "./port.ts";
export { type EnqueueOptions, jobLimits } from "./prepare-job.ts";
export type { ResultOptions } from "./result.ts";
export { failureOf, retryStep } from "./retry-step.ts";
