/**
 * What people and programs do to the consumers of a topic from outside: see how far they are, send them elsewhere,
 * look after their dead letters. Needs the topic's name and its home, not its declaration, so that a verb can do it.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type {
  ConsumerState,
  DeadLetterFilter,
  DeadLetterPage,
  Replayed,
  TopicPlace,
} from "../../parts/topic/index.ts";
import { placeProblem } from "../../parts/topic/place.ts";
import { readConsumers, readLag, type StateWish } from "./log-lag.ts";
import { boundedSessions, type UseSession } from "./log-session.ts";
import { oldestKept, replayConsumer } from "./log-start.ts";
import { openTopicLog, type TopicLog } from "./log-tables.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { findConsumer, removeConsumer } from "./topic-group.ts";
import { discardLetters, redriveLetters, searchLetters } from "./topic-letters.ts";

export interface TopicOperator {
  consumers(wish?: StateWish): Promise<ConsumerState[]>;
  replay(consumer: string, place: TopicPlace): Promise<Replayed>;
  remove(consumer: string): Promise<boolean>;
  deadLetters(
    consumer: string,
    filter: DeadLetterFilter,
    limit: number,
    after: string | undefined,
  ): Promise<DeadLetterPage>;
  redrive(consumer: string, filter: DeadLetterFilter, limit: number): Promise<number>;
  discard(consumer: string, filter: DeadLetterFilter, limit: number): Promise<number>;
}

export interface TopicOperatorEnv {
  readonly log: () => Promise<TopicLog>;
  /** Sessions of the home primary. */
  readonly use: UseSession;
  /** New each time. */
  readonly token: () => string;
  /** Told when there is something new to deliver. */
  readonly changed?: (log: TopicLog) => void;
}

export function topicOperator({ log: openLog, use, token, changed }: TopicOperatorEnv): TopicOperator {
  const found = async (name: string): Promise<{ log: TopicLog; id: number }> => {
    const log = await openLog();
    const id = await use((session) => findConsumer(session, log, name));
    if (id === undefined) throw await unknownConsumer(log, name);
    return { log, id };
  };
  const unknownConsumer = async (log: TopicLog, name: string): Promise<HoldfastError> => {
    const names = (await use((session) => readConsumers(session, log, { messagesMax: 0 }))).map(
      (one) => one.name,
    );
    const there =
      names.length > 0 ? `It has ${names.map((one) => `"${one}"`).join(", ")}.` : "It has none yet.";
    return new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      `topic "${log.name}" has no consumer "${name}". ${there} A consumer is there once its worker has started.`,
      { data: { topic: log.name, consumer: name, consumers: names } },
    );
  };
  return {
    async consumers(wish) {
      const log = await openLog();
      return use((session) => readConsumers(session, log, wish));
    },
    async replay(consumer, place) {
      checkPlace(place);
      const { log, id } = await found(consumer);
      await use((session) => replayConsumer(session, log, id, place, token()));
      changed?.(log);
      const [messages, oldest] = await use(async (session) => [
        await readLag(session, log, id),
        await oldestKept(session, log),
      ]);
      return { messages, oldestKept: oldest };
    },
    async remove(consumer) {
      const log = await openLog();
      return use(async (session) => {
        const id = await findConsumer(session, log, consumer);
        return id === undefined ? false : removeConsumer(session, id);
      });
    },
    async deadLetters(consumer, filter, limit, after) {
      const { id } = await found(consumer);
      return use((session) => searchLetters(session, id, consumer, filter, limit, after));
    },
    async redrive(consumer, filter, limit) {
      const { log, id } = await found(consumer);
      const count = await use((session) => redriveLetters(session, id, filter, limit));
      if (count > 0) changed?.(log);
      return count;
    },
    async discard(consumer, filter, limit) {
      const { id } = await found(consumer);
      return use((session) => discardLetters(session, id, filter, limit));
    },
  };
}

/**
 * For verbs and consoles, which have no world.
 *
 * @param nodes of the topic's home, opened with a login that may write there
 * @param answerMsMax how long one question may take, in milliseconds; default 10_000
 */
export function openTopicOperator(
  nodes: DatabaseNodes,
  { name, partitions }: { readonly name: string; readonly partitions: number },
  clock: Clock,
  answerMsMax?: number,
): TopicOperator {
  const use = boundedSessions(nodes.primary(nodes.home), clock, answerMsMax);
  let opened: Promise<TopicLog> | undefined;
  return topicOperator({
    use,
    log: () => {
      opened ??= use((session) => openTopicLog(session, name, partitions)).catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      return opened;
    },
    token: () => replayToken(clock),
  });
}

/** New each time: tells one replay from another. */
export function replayToken(clock: Clock): string {
  return Buffer.from(clock.random.bytes(9)).toString("base64url");
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID */
export function checkPlace(place: unknown): void {
  const problem = placeProblem("from", place);
  if (!problem) return;
  throw new HoldfastError("HOLDFAST_INPUT_INVALID", `${problem}.`, { data: { field: "from" } });
}
