/**
 * Clients that act at the same time, each one operation after the other, and write down what they saw.
 *
 * After an unknown outcome a client goes on under a new process number and in a new session: that operation may
 * still be under way.
 */
import { Call, HoldfastError, inCall, outcomeOf, Session } from "../../call/index.ts";
import { type Clock, type Random, randomInt } from "../../clock/index.ts";
import type { RecordedClient, Recorder } from "../../record/index.ts";
import { type PlannedOperation, RefusedError, type Workload, type WorkloadClient } from "./workload.ts";

export interface ClientsOptions {
  readonly workload: Workload;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly clients: number;
  /** Deadline of each operation, in milliseconds. */
  readonly operationMs: number;
  /** Longest pause between two operations of a client, in milliseconds. */
  readonly pauseMs: number;
  /** Randomness of client `number`. */
  readonly randomOf: (number: number) => Random;
  /** Runs an operation where its handles are bound. */
  readonly inside: <T>(run: () => Promise<T>) => Promise<T>;
}

/** A pause after a failure: a system that refuses at once is not asked a thousand times a second. */
const failedPauseMs = 25;

export class Client implements WorkloadClient {
  readonly number: number;
  readonly clients: number;
  begun = 0;
  succeeded = 0;
  readonly #options: ClientsOptions;
  readonly #random: Random;
  readonly #recorded: RecordedClient;
  #session = new Session();

  constructor(options: ClientsOptions, number: number) {
    this.#options = options;
    this.number = number;
    this.clients = options.clients;
    this.#random = options.randomOf(number);
    this.#recorded = options.recorder.client();
  }

  /** Acts until told to stop. */
  async act(until: (client: Client) => boolean): Promise<void> {
    const { workload, clock, pauseMs } = this.#options;
    while (!until(this)) {
      const ok = await this.perform(workload.plan(this, this.#random));
      await clock.sleep(ok ? randomInt(this.#random, pauseMs + 1) : failedPauseMs);
    }
  }

  /** @returns whether it succeeded */
  async perform(operation: PlannedOperation): Promise<boolean> {
    const { workload, clock, operationMs, inside } = this.#options;
    const recorded = this.#recorded;
    this.begun++;
    const session = workload.sessionless ? new Session() : this.#session;
    using call = new Call(clock, { timeoutMs: operationMs, session });
    recorded.invoke(operation.f, operation.value, operation.key);
    try {
      recorded.ok(await inside(() => inCall(call, () => workload.perform(operation, this))));
      this.succeeded++;
      return true;
    } catch (error) {
      if (error instanceof RefusedError) {
        // The system answered; it is the workload that wanted something else.
        recorded.fail(error.message);
        this.succeeded++;
        return true;
      }
      const changesNothing = workload.reads.includes(operation.f);
      if (changesNothing || outcomeOf(error) === "not-applied") {
        recorded.fail(inWords(error));
        return false;
      }
      recorded.info(inWords(error)); // and goes on as another process
      this.#session = new Session();
      return false;
    }
  }
}

function inWords(error: unknown): string {
  return error instanceof HoldfastError ? `${error.code}: ${error.message}` : String(error);
}
