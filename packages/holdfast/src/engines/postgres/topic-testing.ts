/** For tests of this engine: a topic whose messages are anything, keyed by themselves. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type Topic, type TopicOptions, topic } from "../../parts/topic/index.ts";

const anything: StandardSchemaV1<unknown, unknown> = {
  "~standard": { version: 1, vendor: "holdfast-tests", validate: (value) => ({ value }) },
};

export function declaredTopic(
  name: string,
  options: Partial<TopicOptions<typeof anything>> = {},
): Topic<never> {
  return topic(name, { schema: anything, keyBy: String, ...options }) as Topic<never>;
}
