/**
 * Backpressure: publishers stop when the slowest consumer is too far behind.
 *
 * Nothing is asked for each publish. How far consumers are is looked up at most every second while somebody publishes
 * (less often when it takes long: a twentieth of the time at most goes into it), counted up to the bound and no
 * further, and between two looks each process adds what it has published itself. So a process knows the bound to
 * about what all the others publish in a second. Ephemeral consumers do not count: nothing is kept for them.
 */
import { currentCall, HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { BacklogOptions, ConsumerState } from "../../parts/topic/index.ts";
import { patienceDefaultMs } from "./pool-lease.ts";

export interface BacklogEnv {
  readonly topic: string;
  readonly limit: Required<BacklogOptions>;
  readonly clock: Clock;
  /** How far the consumers are, counted up to so many messages in each partition. */
  readonly look: (messagesMax: number) => Promise<readonly ConsumerState[]>;
}

const lookEveryMsMin = 1_000;
/** A look may take this share of the time. */
const lookShare = 1 / 20;
const waitMs = 100;

export class Backlog {
  readonly #env: BacklogEnv;
  /** The slowest consumer, when it was looked up last. */
  #slowest: { readonly name: string; readonly messages: number } | undefined;
  /** Published by this process since. */
  #since = 0;
  #dueAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(env: BacklogEnv) {
    this.#env = env;
  }

  /** Resolves when so many messages may be published. @throws {HoldfastError} HOLDFAST_OVERLOADED */
  async admit(messages: number): Promise<void> {
    const { limit, clock } = this.#env;
    const call = currentCall();
    const untilMs = Math.min(call?.deadlineAtMs ?? Infinity, clock.monotonicMs() + patienceDefaultMs);
    for (;;) {
      await this.#fresh();
      const behind = this.#slowest ? this.#slowest.messages + this.#since : 0;
      // A consumer that has caught up takes a publish of any size.
      if (behind === 0 || behind + messages <= limit.messages) {
        this.#since += messages;
        return;
      }
      if (limit.whenFull === "refuse" || clock.monotonicMs() + waitMs > untilMs)
        throw this.#fullError(behind);
      await clock.sleep(waitMs * (0.5 + clock.random.next() / 2), call?.signal);
    }
  }

  /** Only who finds the figure old waits for a new one; one look at a time. */
  async #fresh(): Promise<void> {
    if (this.#env.clock.monotonicMs() < this.#dueAtMs) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, limit, look } = this.#env;
    const startMs = clock.monotonicMs();
    const counted = this.#since;
    const states = (await look(limit.messages + 1)).filter((state) => !state.ephemeral);
    const slowest = states.sort((a, b) => b.messages - a.messages)[0];
    this.#slowest = slowest && { name: slowest.name, messages: slowest.messages };
    // What was published while it looked may or may not be in the figure: counted again, to be on the safe side.
    this.#since -= counted;
    const tookMs = clock.monotonicMs() - startMs;
    this.#dueAtMs = clock.monotonicMs() + Math.max(lookEveryMsMin, tookMs / lookShare);
  }

  #fullError(behind: number): HoldfastError {
    const { topic, limit } = this.#env;
    const consumer = this.#slowest?.name;
    return new HoldfastError(
      "HOLDFAST_OVERLOADED",
      `topic "${topic}": consumer "${consumer}" is ${behind} messages behind, and backlogMax allows ${limit.messages}. Publish more slowly, give the consumer more instances or larger batches, or, when it will never come back, remove it (topic.consumer("${consumer}").remove()).`,
      { data: { topic, consumer, behind, backlogMax: limit.messages } },
    );
  }
}
