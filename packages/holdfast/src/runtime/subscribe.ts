/**
 * Reading a topic without a worker: `for await (const message of subscribe(clicks, { only: ["orders.>"] }))`, in a
 * service, a script or a test, on the same loop as workers (`consume.ts`).
 *
 * - With a `group` it is one of the group's members, as a process of a worker is: members share the messages, progress
 *   is kept, and what is published while none of them runs waits for them.
 * - Without one it is a group of its own that ends with it: every subscriber gets every message, from now on. Nothing
 *   is kept for it, so one that is slower than the topic's retention misses messages.
 *
 * A message counts as read when the loop asks for the next one. At least once: who leaves the loop in the middle of a
 * batch, or dies, gets the messages of that batch again (of a group: some member does).
 */
import { HoldfastError } from "../call/index.ts";
import type { StoredMessage, Topic, TopicPlace } from "../parts/topic/index.ts";
import { worker } from "../parts/worker/index.ts";
import { boundPort, currentWorld } from "../parts/world.ts";
import { consumeTopic } from "./consume.ts";
import type { ConsumeErrorContext } from "./consume-options.ts";

/** A loop may take as long as it likes over a message. */
const neverMs = Number.MAX_SAFE_INTEGER;

export interface SubscribeOptions {
  /** Name of the group, as that of a worker. Default: a group of its own, for this subscription. */
  readonly group?: string;
  /** Patterns of the subjects that it wants. Default: all messages. */
  readonly only?: readonly string[];
  /** Where it begins when the group is new. Default `beginning` with a group, `now` without. */
  readonly from?: TopicPlace;
  /** Ends the loop when it aborts. */
  readonly signal?: AbortSignal;
  /** Most messages that are fetched at once, 1 to 10_000. Default 100. */
  readonly batch?: number;
  /** How long it is silent before its partitions pass to others, in milliseconds, 1_000 or more. Default 10_000. */
  readonly leaseMs?: number;
  /** Told what goes wrong meanwhile, and is tried again. */
  readonly onError?: (error: unknown, context: ConsumeErrorContext) => void;
}

/**
 * Begins when the loop does, and ends when the loop is left or `signal` aborts.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once; from the loop HOLDFAST_FENCED when the
 *   subscription had been silent for longer than its lease and was taken for dead
 */
export function subscribe<Value>(
  topic: Topic<Value>,
  options: SubscribeOptions = {},
): AsyncGenerator<StoredMessage<Value>, void, undefined> {
  const world = currentWorld(topic);
  const port = boundPort(topic);
  const { clock } = world;
  const own = Buffer.from(clock.random.bytes(6)).toString("hex");
  const { group, only, batch, leaseMs, signal, onError } = options;
  const hand = new Handover<StoredMessage<Value>>();
  const handler = async (given: {
    readonly messages: readonly StoredMessage<Value>[];
    readonly signal: AbortSignal;
  }) => {
    for (const message of given.messages) await hand.over(message, given.signal);
  };
  const declared = worker<Value>(group ?? `subscription-${own}`, {
    from: topic,
    load: async () => ({ default: handler }),
    startAt: options.from ?? (group === undefined ? "now" : "beginning"),
    // One batch at a time: there is one loop.
    concurrency: 1,
    timeoutMs: neverMs,
    ...(only === undefined ? {} : { only }),
    ...(batch === undefined ? {} : { batch }),
    ...(leaseMs === undefined ? {} : { leaseMs }),
  });

  return (async function* () {
    const stopping = new AbortController();
    const stop = () => stopping.abort();
    if (signal?.aborted) return;
    signal?.addEventListener("abort", stop, { once: true });
    stopping.signal.addEventListener("abort", () => hand.end(), { once: true });
    const running = consumeTopic<Value>({
      worker: declared,
      topic: port,
      handler,
      clock,
      world,
      signal: stopping.signal,
      memberName: `subscriber-${own}`,
      // What is in the loop's hands is not waited for: the loop has been left.
      drainMs: 0,
      ephemeral: group === undefined,
      ...(onError ? { onError } : {}),
    });
    let failure: unknown;
    running.then(
      () => hand.end(),
      (error: unknown) => {
        failure = error;
        hand.end();
      },
    );
    try {
      for (;;) {
        const taken = await hand.take();
        if (!taken) break;
        yield taken.value;
        taken.done();
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      stopping.abort();
      await running.catch(() => {});
      if (group === undefined) await port.remove(declared.name).catch(() => {});
    }
    if (failure !== undefined) throw failure;
  })();
}

interface Handed<Value> {
  readonly value: Value;
  done(): void;
}

/** Passes values from handlers to one loop, each taken before the next is given. */
class Handover<Value> {
  readonly #waiting: Handed<Value>[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  /** Resolves when the loop has dealt with it. */
  over(value: Value, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || this.#ended) return reject(signal.reason ?? leftError());
      const handed = { value, done: resolve };
      this.#waiting.push(handed);
      signal.addEventListener(
        "abort",
        () => {
          const at = this.#waiting.indexOf(handed);
          if (at >= 0) this.#waiting.splice(at, 1);
          reject(signal.reason);
        },
        { once: true },
      );
      this.#wake?.();
    });
  }

  /** `undefined` when nothing comes any more. */
  async take(): Promise<Handed<Value> | undefined> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#ended ? undefined : this.#waiting.shift();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

function leftError(): HoldfastError {
  return new HoldfastError("HOLDFAST_ABORTED", "The loop over the subscription was left.");
}
