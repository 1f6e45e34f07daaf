/**
 * `topic` on Postgres: the log and its consumers live on the first node of the topic's home database.
 *
 * - `log-tables.ts`, `topic-sql.ts`: what is stored. `log-append.ts`, `topic-publisher.ts`: publishing.
 * - `log-read.ts`, `log-progress.ts`, `topic-reader.ts`: reading by snapshots, recording batches.
 * - `log-attempts.ts`: batches that fail. `log-sequence.ts`, `log-mark.ts`: what outlives a failover of the home.
 * - `log-start.ts`, `log-lag.ts`, `topic-letters.ts`, `topic-operate.ts`: replay, lag, dead letters, from outside.
 * - `topic-group.ts`: members and claims. `log-rotation.ts`: retention. `topic-wakeup.ts`: wake-ups.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { ConsumerOpening, PartitionClaim, Topic, TopicPort } from "../../parts/topic/index.ts";
import { subjectsRegExp } from "../../parts/topic/subject.ts";
import { beginAttempt, buryBatch, type HeldBatch, halveBatch, reportAttempt } from "./log-attempts.ts";
import { readLag } from "./log-lag.ts";
import { completeBatch } from "./log-progress.ts";
import type { ReadMessage } from "./log-read.ts";
import { rotateLog } from "./log-rotation.ts";
import { boundedSessions } from "./log-session.ts";
import { openTopicLog, type TopicLog } from "./log-tables.ts";
import { registerVersions } from "./message-schemas.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { once } from "./once.ts";
import type { OutboxDestination } from "./outbox/destination.ts";
import { topicDestination } from "./outbox/topic-destination.ts";
import { Backlog } from "./topic-backlog.ts";
import { findConsumer, type MemberComing, openConsumer, removeMember, renewMember } from "./topic-group.ts";
import { checkPlace, topicOperator } from "./topic-operate.ts";
import { TopicPublisher } from "./topic-publisher.ts";
import { ConsumerReader, fencedError } from "./topic-reader.ts";
import { topicWakeup } from "./topic-wakeup.ts";
import { WakeWait } from "./wake-wait.ts";

export interface PostgresTopic extends TopicPort {
  /** Where the outbox's relay moves what was published in transactions. */
  readonly destination: OutboxDestination;
  /** Sends what waits, ends waiting, and closes the listening connection. The pools are their owner's. */
  close(): Promise<void>;
}

/** How often a process looks after the log at most, in milliseconds. */
const careMsMax = 60_000;

/** @param home nodes of the topic's home database; connections are made when first needed */
export function postgresTopic(declaration: Topic<never>, home: DatabaseNodes, clock: Clock): PostgresTopic {
  const { name } = declaration;
  const { partitions, retentionMs, backlogMax, versions } = declaration.options;
  const wakeup = topicWakeup(home, clock);
  const use = boundedSessions(home.primary(home.home), clock);

  const openLog = once<TopicLog>(() =>
    use(async (session) => {
      if (versions) await registerVersions(session, `topic/${name}`, versions.description);
      return openTopicLog(session, name, partitions);
    }),
  );
  const consumers = new Map<string, () => Promise<{ log: TopicLog; consumerId: number }>>();
  const filters = new Map<string, string | undefined>();
  const consumerOf = (consumer: string, opening?: ConsumerOpening) => {
    let open = consumers.get(consumer);
    if (!open) {
      if (opening?.from !== undefined) checkPlace(opening.from);
      open = once(async () => {
        const log = await openLog();
        return { log, consumerId: await use((session) => openConsumer(session, log, consumer, opening)) };
      });
      consumers.set(consumer, open);
    }
    return open();
  };
  const held = async (claim: PartitionClaim, sequence: bigint): Promise<HeldBatch> => {
    const { consumerId } = await consumerOf(claim.consumer);
    return { consumerId, partition: claim.partition, epoch: claim.epoch, sequence };
  };
  const readers = new Map<string, ConsumerReader>();
  const readerOf = (consumer: string): ConsumerReader => {
    let reader = readers.get(consumer);
    if (!reader) {
      reader = new ConsumerReader({
        consumer,
        node: home.home,
        clock,
        open: () => consumerOf(consumer),
        use,
        filter: () => filters.get(consumer),
      });
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

  const published = (log: TopicLog): void => {
    wakeup.published(log.id);
    care(log);
  };
  const publisher = new TopicPublisher({
    what: `topic "${name}"`,
    items: "messages",
    use,
    clock,
    store: openLog,
    committed: published,
  });

  const operator = topicOperator({
    log: openLog,
    use,
    token: () => Buffer.from(clock.random.bytes(9)).toString("base64url"),
    changed: (log) => wakeup.published(log.id),
  });

  const backlog =
    backlogMax &&
    new Backlog({
      topic: name,
      limit: backlogMax,
      clock,
      look: (messagesMax) => operator.consumers({ messagesMax }),
    });

  /** Members that this process has joined as, each with the timeline of the server that it joined. */
  const joined = new Map<string, number>();
  const waiting = new WakeWait(clock);
  let stopListening: (() => void) | undefined;
  let closing: Promise<void> | undefined;

  return {
    destination: topicDestination(name, home, clock, openLog, published),

    async publish(messages) {
      if (backlog) await backlog.admit(messages.length);
      await publisher.publish(messages);
    },
    async heartbeat(consumer, member, leaseMs, opening) {
      if (opening) filters.set(consumer, opening.only && subjectsRegExp(opening.only));
      const { log, consumerId } = await consumerOf(consumer, opening);
      const name = `${consumer} ${member}`;
      try {
        const claims = await use(async (session) => {
          const { timeline } = session.facts;
          const before = joined.get(name);
          const coming: MemberComing =
            before === undefined ? "join" : before === timeline ? "renew" : "rejoin";
          const held = await renewMember(session, consumerId, consumer, member, leaseMs, coming);
          joined.set(name, timeline);
          return held;
        });
        care(log);
        return claims;
      } catch (error) {
        // Removed: whoever begins again finds or makes another one.
        if (error instanceof HoldfastError && error.data.removed === true) consumers.delete(consumer);
        throw error;
      }
    },
    async leave(consumer, member) {
      const { consumerId } = await consumerOf(consumer);
      await use((session) => removeMember(session, consumerId, member));
      joined.delete(`${consumer} ${member}`);
    },
    next(claim, wish) {
      waiting.looking();
      return readerOf(claim.consumer).next(claim, wish);
    },
    async complete(claim, sequence) {
      const { consumerId } = await consumerOf(claim.consumer);
      const end = await use((session) =>
        completeBatch(session, consumerId, claim.partition, claim.epoch, sequence),
      );
      if (!end.held) throw fencedError(claim);
      if (!end.done) throw unrecordedError(claim.consumer, claim.partition, sequence);
    },
    async begin(claim, sequence) {
      const batch = await held(claim, sequence);
      const attempts = await use((session) => beginAttempt(session, batch));
      if (attempts === undefined) throw fencedError(claim);
      return attempts;
    },
    async fail(claim, sequence, failure, counts) {
      const batch = await held(claim, sequence);
      await use((session) => reportAttempt(session, batch, failure, counts));
    },
    async halve(claim, { sequence, messages }) {
      const batch = await held(claim, sequence);
      const count = Math.floor(messages.length / 2);
      const untilId = messages[count - 1]?.id;
      if (untilId === undefined) throw new RangeError("a batch of one message cannot be halved");
      if (!(await use((session) => halveBatch(session, batch, { untilId, count })))) throw fencedError(claim);
    },
    async bury(claim, { sequence, messages }, failure, keepDeadMs) {
      const [message] = messages as readonly ReadMessage[];
      if (!message || messages.length > 1) throw new RangeError("only a batch of one message can be buried");
      const batch = await held(claim, sequence);
      const log = await openLog();
      const buried = await use((session) =>
        buryBatch(session, log, batch, message.place, failure, keepDeadMs),
      );
      if (!buried) throw fencedError(claim);
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
    consumers: (consumer, messagesMax) => operator.consumers({ name: consumer, messagesMax }),
    replay: operator.replay,
    async remove(consumer) {
      const removed = await operator.remove(consumer);
      consumers.delete(consumer);
      return removed;
    },
    deadLetters: operator.deadLetters,
    redrive: operator.redrive,
    discard: operator.discard,
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
