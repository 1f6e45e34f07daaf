export { assignStep } from "./assign-step.ts";
export type { ConsumerHandle } from "./consumer.ts";
export {
  type BacklogOptions,
  type ResolvedTopicOptions,
  type Topic,
  type TopicEntryOptions,
  type TopicOptions,
  topic,
  topicDefaults,
} from "./declare.ts";
export type {
  BatchFailure,
  BatchWish,
  ConsumerOpening,
  ConsumerState,
  DeadLetter,
  DeadLetterFilter,
  DeadLetterPage,
  Moment,
  OutgoingMessage,
  PartitionClaim,
  PartitionLag,
  RecordedBatch,
  Replayed,
  StoredMessage,
  TopicPlace,
  TopicPort,
} from "./port.ts";
export { subjectMatches } from "./subject.ts";
