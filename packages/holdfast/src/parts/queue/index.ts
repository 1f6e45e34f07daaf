export { type Queue, queue } from "./declare.ts";
export {
  type GroupOptions,
  isSelective,
  type QueueOptions,
  type QueueRetryOptions,
  queueDefaults,
  type RateLimit,
  type ResolvedQueueOptions,
} from "./options.ts";
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
