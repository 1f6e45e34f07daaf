/** A topic as a destination of the outbox: messages are appended to its log, under the partition of their key. */
import type { Clock } from "../../../clock/index.ts";
import type { TopicEntryOptions } from "../../../parts/topic/index.ts";
import { partitionOf } from "../../../parts/topic/partition-of.ts";
import { appendStatement } from "../log-append.ts";
import type { TopicLog } from "../log-tables.ts";
import { drawMarkerId } from "../marker.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { OutboxDestination } from "./destination.ts";

/** A snapshot is recorded for readers that are behind after so long, in milliseconds. */
const tickEveryMs = 1_000;

export function topicDestination(
  name: string,
  home: DatabaseNodes,
  clock: Clock,
  openLog: () => Promise<TopicLog>,
  published: (log: TopicLog) => void,
): OutboxDestination {
  let log: TopicLog | undefined;
  let tickedAtMs = Number.NEGATIVE_INFINITY;
  return {
    kind: "topic",
    name,
    home,
    async open() {
      log = await openLog();
    },
    append(session, messages) {
      const opened = log as TopicLog;
      const nowMs = clock.monotonicMs();
      const tick = nowMs - tickedAtMs >= tickEveryMs;
      if (tick) tickedAtMs = nowMs;
      const outgoing = messages.map(({ key, json, options, traceparent, session: knew }) => ({
        partition: partitionOf(key, opened.partitions),
        key,
        json,
        traceparent,
        session: knew,
        ...optionsOf(options),
      }));
      return session.send(appendStatement(opened, { id: drawMarkerId(clock), messages: outgoing, tick }));
    },
    appended() {
      if (log) published(log);
    },
  };
}

/** What the entry of a message says beside key and value: its subject and its version, where it has them. */
function optionsOf(options: string | undefined): TopicEntryOptions {
  return options === undefined ? {} : (JSON.parse(options) as TopicEntryOptions);
}
