/**
 * What workers do, as attempts in a history: one begins when the store hands messages out, and is `ok` when the store
 * took their completion. It is seen at the port, so the loop of the worker is the real one, with whatever it does.
 */
import { outcomeOf } from "../../call/index.ts";
import type { AttemptNumber } from "../../check/index.ts";
import type { QueueMember, QueuePort } from "../../parts/queue/index.ts";
import type { PartitionClaim, RecordedBatch, TopicPort } from "../../parts/topic/index.ts";
import type { JobHandler } from "../../parts/worker/index.ts";
import type { RecordedClient, Recorder } from "../../record/index.ts";

/** Attempts under way in one process; each is recorded under a process number of its own. */
export class Attempts {
  readonly #recorder: Recorder;
  readonly #free: RecordedClient[] = [];

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  begin(attempt: AttemptNumber, messages: readonly unknown[]): OpenAttempt {
    const client = this.#free.pop() ?? this.#recorder.client();
    client.invoke("attempt", { attempt, messages });
    return new OpenAttempt(client, () => this.#free.push(client));
  }
}

export class OpenAttempt {
  readonly #client: RecordedClient;
  readonly #over: () => void;
  #mayBeCompleted = false;

  constructor(client: RecordedClient, over: () => void) {
    this.#client = client;
    this.#over = over;
  }

  completed(): void {
    this.#client.ok();
    this.#over();
  }

  /** It did not complete; unless one of its completions had no answer, which nobody can tell. */
  notCompleted(why: string): void {
    if (this.#mayBeCompleted) this.#client.info(why);
    else this.#client.fail(why);
    this.#over();
  }

  /** A completion ended with an error. The attempt goes on: it may be asked for again. */
  failed(error: unknown): void {
    if (outcomeOf(error) !== "not-applied") this.#mayBeCompleted = true;
  }
}

/**
 * The same port; each batch that it hands out is an attempt, numbered by the claim's epoch and within it.
 *
 * @param idOf what a message is in the history; `undefined` leaves it out
 */
export function recordedTopic<Value>(
  port: TopicPort,
  recorder: Recorder,
  idOf: (value: Value) => unknown,
): TopicPort {
  const attempts = new Attempts(recorder);
  const open = new Map<number, OpenAttempt>();
  const tries = new Map<string, number>();
  const take = (partition: number) => {
    const attempt = open.get(partition);
    open.delete(partition);
    return attempt;
  };
  return over(port, {
    async next(claim: PartitionClaim, maxMessages: number): Promise<RecordedBatch | undefined> {
      const batch = await port.next(claim, maxMessages);
      take(claim.partition)?.notCompleted("the partition was asked for its next batch instead");
      if (batch) {
        const under = `${claim.partition} ${claim.epoch}`;
        const number = (tries.get(under) ?? 0) + 1;
        tries.set(under, number);
        const ids = batch.messages.map(({ value }) => idOf(value as Value));
        const messages = ids.filter((id) => id !== undefined);
        open.set(claim.partition, attempts.begin([Number(claim.epoch), number], messages));
      }
      return batch;
    },
    async complete(claim: PartitionClaim, sequence: bigint): Promise<void> {
      try {
        await port.complete(claim, sequence);
      } catch (error) {
        open.get(claim.partition)?.failed(error);
        throw error;
      }
      take(claim.partition)?.completed();
    },
  });
}

/**
 * The same queue, and the same handler: an attempt begins with its handler, because a job that was claimed ahead and
 * given back does not count, and ends when the store says whether its end counted.
 */
export function recordedQueue<Value>(
  port: QueuePort,
  recorder: Recorder,
  idOf: (value: Value) => unknown,
): { readonly port: QueuePort; handler(handler: JobHandler<Value>): JobHandler<Value> } {
  const attempts = new Attempts(recorder);
  const open = new Map<string, OpenAttempt>();
  const nameOf = ({ id, attempt }: { readonly id: string; readonly attempt: number }) => `${id} ${attempt}`;
  return {
    handler: (handler) => (job) => {
      open.set(nameOf(job), attempts.begin(job.attempt, [idOf(job.value)]));
      return handler(job);
    },
    port: over(port, {
      async finish(member: QueueMember, ends: Parameters<QueuePort["finish"]>[1]) {
        let counted: readonly boolean[];
        try {
          counted = await port.finish(member, ends);
        } catch (error) {
          for (const { job } of ends) open.get(nameOf(job))?.failed(error);
          throw error;
        }
        for (const [at, { job, end }] of ends.entries()) {
          const attempt = open.get(nameOf(job));
          open.delete(nameOf(job));
          if (counted[at] && end.kind === "done") attempt?.completed();
          else attempt?.notCompleted(counted[at] ? end.kind : "another attempt has taken its place");
        }
        return counted;
      },
    }),
  };
}

/** An object with some of its methods replaced; the others run on the object itself. */
export function over<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      const replaced = methods[name as keyof T];
      if (replaced !== undefined) return replaced;
      const found: unknown = Reflect.get(target, name);
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
}
