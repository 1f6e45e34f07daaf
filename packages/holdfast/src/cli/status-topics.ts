/** The part of `holdfast status` that says how far the consumers of topics are. */
import type { TopicStatus } from "../runtime/status.ts";
import { duration, textTable } from "./table.ts";

export function topicLines(topics: readonly TopicStatus[]): string[] {
  const rows = topics.flatMap(({ topic, consumers }) => {
    if (!consumers) return [[topic, "not known: its home does not answer", "", "", "", ""]];
    return consumers.map((one) => [
      topic,
      one.ephemeral ? `${one.name} (ephemeral)` : one.name,
      `${one.messages}${one.isAtLeast ? " or more" : ""}`,
      one.messages > 0 ? duration(one.oldestMs) : "",
      one.deadLetters > 0 ? String(one.deadLetters) : "",
      one.members.length > 0 ? one.members.join(", ") : "nobody",
    ]);
  });
  if (rows.length === 0) return [];
  return textTable(["TOPIC", "CONSUMER", "BEHIND", "OLDEST", "DEAD LETTERS", "WORKED ON BY"], rows);
}
