export { assignStep } from "./assign-step.ts";
export {
  type ResolvedTopicOptions,
  type Topic,
  type TopicEntryOptions,
  type TopicOptions,
  topic,
  topicDefaults,
} from "./declare.ts";
export type { OutgoingMessage, PartitionClaim, RecordedBatch, StoredMessage, TopicPort } from "./port.ts";
