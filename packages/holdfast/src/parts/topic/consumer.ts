/**
 * A consumer of a topic, seen from outside: how far it is, sending it elsewhere, its dead letters.
 *
 * Asked through the topic's handle: `clicks.consumer("tally").lag()`.
 */
import type {
  ConsumerState,
  DeadLetterFilter,
  DeadLetterPage,
  Replayed,
  TopicPlace,
  TopicPort,
} from "./port.ts";

export interface ConsumerHandle {
  readonly name: string;
  /** How far it is behind, in all and in each partition; `undefined`: it has never run. */
  state(): Promise<ConsumerState | undefined>;
  /** Messages that it wants and has not completed. */
  lag(): Promise<bigint>;
  /**
   * Sends it to another place in the topic, back or forward, while it runs or stands still. What is under way is
   * fenced; messages from there on are delivered and **applied again**, on purpose: effects of before do not count. To
   * have them applied elsewhere without touching this consumer, start another one with `startAt`.
   *
   * A place before the oldest message that is kept is the beginning; the answer says which that is.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it has never run, or `from` is no place
   */
  replay(options: { readonly from: TopicPlace }): Promise<Replayed>;
  /** Forgets it, with its progress and its dead letters. @returns whether there was one */
  remove(): Promise<boolean>;
  readonly deadLetters: {
    /** Oldest first, 100 a page unless `limit` says otherwise (at most 1_000). */
    search(
      filter?: DeadLetterFilter,
      page?: { readonly limit?: number; readonly after?: string | undefined },
    ): Promise<DeadLetterPage>;
    /** Has those that fit delivered once more, to this consumer only. @returns how many; at most `limit`, if given */
    redrive(filter?: DeadLetterFilter, limit?: number): Promise<number>;
    /** Deletes those that fit. @returns how many */
    discard(filter?: DeadLetterFilter, limit?: number): Promise<number>;
  };
}

const pageDefault = 100;
const limitMax = 1_000_000;

export function consumerHandle(
  name: string,
  during: <T>(operation: string, run: (port: TopicPort) => Promise<T>) => Promise<T>,
): ConsumerHandle {
  return {
    name,
    state: () => during("consumer-state", async (port) => (await port.consumers(name))[0]),
    lag: () => during("lag", (port) => port.lag(name)),
    replay: ({ from }) => during("replay", (port) => port.replay(name, from)),
    remove: () => during("remove-consumer", (port) => port.remove(name)),
    deadLetters: {
      search: (filter = {}, { limit = pageDefault, after } = {}) =>
        during("dead-letters", (port) => port.deadLetters(name, filter, limit, after)),
      redrive: (filter = {}, limit = limitMax) =>
        during("redrive", (port) => port.redrive(name, filter, limit)),
      discard: (filter = {}, limit = limitMax) =>
        during("discard", (port) => port.discard(name, filter, limit)),
    },
  };
}
