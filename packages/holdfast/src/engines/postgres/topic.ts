/**
 * `topic` on Postgres: the log and its consumers live on the first node of the topic's home database.
 *
 * - `log-tables.ts`, `topic-sql.ts`: what is stored. `log-append.ts`, `topic-publisher.ts`: publishing.
 * - `log-read.ts`, `log-progress.ts`, `topic-reader.ts`: reading by snapshots, recording batches.
 * - `topic-group.ts`: members and claims. `log-rotation.ts`: retention. `topic-wakeup.ts`: wake-ups.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { Topic, TopicPort } from "../../parts/topic/index.ts";
import { completeBatch } from "./log-progress.ts";
import { readLag } from "./log-read.ts";
import { rotateLog } from "./log-rotation.ts";
import { boundedSessions } from "./log-session.ts";
import { openTopicLog, type TopicLog } from "./log-tables.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { once } from "./once.ts";
import { findConsumer, openConsumer, removeMember, renewMember } from "./topic-group.ts";
import { TopicPublisher } from "./topic-publisher.ts";
import { ConsumerReader, fencedError } from "./topic-reader.ts";
import { topicWakeup } from "./topic-wakeup.ts";
import { WakeWait } from "./wake-wait.ts";

export interface PostgresTopic extends TopicPort {
  /** Sends what waits, ends waiting, and closes the listening connection. The pools are their owner's. */
  close(): Promise<void>;
}

/** How often a process looks after the log at most, in milliseconds. */
const careMsMax = 60_000;

/** @param home nodes of the topic's home database; connections are made when first needed */
export function postgresTopic(declaration: Topic<never>, home: DatabaseNodes, clock: Clock): PostgresTopic {
  const { name } = declaration;
  const { partitions, retentionMs } = declaration.options;
  const wakeup = topicWakeup(home, clock);
  const use = boundedSessions(home.primary(home.home), clock);

  const openLog = once<TopicLog>(() => use((session) => openTopicLog(session, name, partitions)));
  const consumers = new Map<string, () => Promise<{ log: TopicLog; consumerId: number }>>();
  const consumerOf = (consumer: string) => {
    let open = consumers.get(consumer);
    if (!open) {
      open = once(async () => {
        const log = await openLog();
        return { log, consumerId: await use((session) => openConsumer(session, log, consumer)) };
      });
      consumers.set(consumer, open);
    }
    return open();
  };
  const readers = new Map<string, ConsumerReader>();
  const readerOf = (consumer: string): ConsumerReader => {
    let reader = readers.get(consumer);
    if (!reader) {
      reader = new ConsumerReader({ consumer, node: home.home, open: () => consumerOf(consumer), use });
      readers.set(consumer, reader);
    }
    return reader;
  };

  let caredAtMs = clock.monotonicMs();
  let caring: Promise<unknown> | undefined;
  const careMs = Math.min(careMsMax, retentionMs / 8);
  const care = (log: TopicLog): void => {
    if (closing || caring || clock.monotonicMs() - caredAtMs < careMs) return;
    caring = use((session) => rotateLog(session, log, retentionMs))
      .catch(() => {}) // the next round tries again; nothing depends on its time
      .finally(() => {
        caredAtMs = clock.monotonicMs();
        caring = undefined;
      });
  };

  const publisher = new TopicPublisher({
    what: `topic "${name}"`,
    items: "messages",
    use,
    clock,
    store: openLog,
    committed: (log) => {
      wakeup.published(String(log.id));
      care(log);
    },
  });

  const joined = new Set<string>();
  const waiting = new WakeWait(clock);
  let stopListening: (() => void) | undefined;
  let closing: Promise<void> | undefined;

  return {
    async publish(messages) {
      await publisher.publish(messages);
    },
    async heartbeat(consumer, member, leaseMs) {
      const { log, consumerId } = await consumerOf(consumer);
      const joins = !joined.has(`${consumer} ${member}`);
      const claims = await use((session) =>
        renewMember(session, consumerId, consumer, member, leaseMs, joins),
      );
      joined.add(`${consumer} ${member}`);
      care(log);
      return claims;
    },
    async leave(consumer, member) {
      const { consumerId } = await consumerOf(consumer);
      await use((session) => removeMember(session, consumerId, member));
    },
    next(claim, maxMessages) {
      waiting.looking();
      return readerOf(claim.consumer).next(claim, maxMessages);
    },
    async complete(claim, sequence) {
      const { consumerId } = await consumerOf(claim.consumer);
      const end = await use((session) =>
        completeBatch(session, consumerId, claim.partition, claim.epoch, sequence),
      );
      if (!end.held) throw fencedError(claim);
      if (!end.done) throw unrecordedError(claim.consumer, claim.partition, sequence);
    },
    async wait(maxWaitMs, signal) {
      if (closing) return;
      if (!stopListening) {
        const log = await openLog().catch(() => undefined);
        if (log) stopListening ??= wakeup.listen(String(log.id), () => waiting.wake());
      }
      await waiting.wait(maxWaitMs, signal);
    },
    async lag(consumer) {
      const log = await openLog();
      return use(async (session) => readLag(session, log, (await findConsumer(session, log, consumer)) ?? 0));
    },
    close() {
      closing ??= (async () => {
        await publisher.close();
        stopListening?.();
        waiting.wake();
        await caring;
        await wakeup.release();
      })();
      return closing;
    },
  };
}

function unrecordedError(consumer: string, partition: number, sequence: bigint): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `Batch ${sequence} of partition ${partition} was never recorded for consumer "${consumer}". Complete what \`next\` answered.`,
    { data: { consumer, partition, sequence: sequence.toString() } },
  );
}
