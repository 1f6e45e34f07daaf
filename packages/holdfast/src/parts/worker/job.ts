/**
 * What a handler of jobs gets: one attempt of one job.
 *
 * An attempt can be cut off at any point, and the job comes again. What must not happen twice is done with `apply`:
 * the transaction also records that this job has been applied for this key, in the shard where its effects are, so
 * that a later attempt changes nothing there, from whatever process. That record stays for as long as the queue knows
 * the job: however long retries take, and when a dead letter is redriven, it is found. A key with a time limit could
 * not promise that.
 */
import { createHash } from "node:crypto";
import type { Transaction } from "kysely";
import { HoldfastError } from "../../call/index.ts";
import type { Database, EffectGuard, ShardKey } from "../database/index.ts";
import type { ClaimedJob } from "../queue/index.ts";

export interface Job<Value> {
  readonly id: string;
  readonly name: string | undefined;
  readonly value: Value;
  /** 1 for the first. */
  readonly attempt: number;
  readonly group: string | undefined;
  readonly priority: number;
  readonly tags: readonly string[];
  /** By the store's clock, in milliseconds since the epoch. */
  readonly enqueuedAtMs: number;
  /**
   * Aborts when the attempt has taken `timeoutMs`, the job was cancelled, its worker has lost its lease, or has
   * drained for too long. The call that the handler runs in has the same: parts that it uses stop by themselves.
   */
  readonly signal: AbortSignal;
  /** Keeps how far the job is, for `queue.get(id)`: anything that JSON can hold, at most 16 KiB. */
  progress(value: unknown): Promise<void>;
  /**
   * Writes to the shard of a key, once per job and key. Once per attempt and key: all that the job does for a key is
   * one transaction. `run` may be called again for a transaction that did not commit, so its effects belong into `tx`.
   *
   * @returns true when it was applied now, false when an earlier attempt had
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when called twice for one key; otherwise what the write threw
   */
  apply<Tables>(
    database: Database<Tables>,
    key: ShardKey,
    run: (tx: Transaction<Tables>) => Promise<void>,
  ): Promise<boolean>;
}

/** Most bytes of JSON that a handler may say of how far it is. */
export const progressBytesMax = 16 << 10;

export interface JobEnvironment {
  readonly queue: string;
  readonly claimed: ClaimedJob;
  /** Wall time, in milliseconds. */
  readonly nowMs: () => number;
  /** Of the attempt. Made when it is asked for. */
  readonly signal: () => AbortSignal;
  /** Keeps progress, as JSON. */
  readonly progress: (json: string) => Promise<void>;
}

/** A class, because there is one of these for each of many jobs a second. */
export class OpenJob<Value> implements Job<Value> {
  readonly #env: JobEnvironment;
  #applied: Set<string> | undefined;

  constructor(env: JobEnvironment) {
    this.#env = env;
  }

  get id(): string {
    return this.#env.claimed.id;
  }
  get name(): string | undefined {
    return this.#env.claimed.name;
  }
  get value(): Value {
    return this.#env.claimed.value as Value;
  }
  get attempt(): number {
    return this.#env.claimed.attempt;
  }
  get group(): string | undefined {
    return this.#env.claimed.group;
  }
  get priority(): number {
    return this.#env.claimed.priority;
  }
  get tags(): readonly string[] {
    return this.#env.claimed.tags;
  }
  get enqueuedAtMs(): number {
    return this.#env.claimed.enqueuedAtMs;
  }
  get signal(): AbortSignal {
    return this.#env.signal();
  }

  async progress(value: unknown): Promise<void> {
    const { queue, claimed } = this.#env;
    const json = JSON.stringify(value);
    const bytes = json === undefined ? 0 : Buffer.byteLength(json);
    if (json === undefined || bytes > progressBytesMax) {
      const what = json === undefined ? "nothing that JSON can hold" : `${bytes} bytes`;
      throw new HoldfastError(
        "HOLDFAST_INPUT_INVALID",
        `queue "${queue}", job ${claimed.id}: progress is ${what}; it should be JSON of at most ${progressBytesMax} bytes. Say less of it.`,
        { data: { queue, id: claimed.id, bytes, bytesMax: progressBytesMax } },
      );
    }
    await this.#env.progress(json);
  }

  async apply<Tables>(
    database: Database<Tables>,
    key: ShardKey,
    run: (tx: Transaction<Tables>) => Promise<void>,
  ): Promise<boolean> {
    const { queue, claimed } = this.#env;
    const guard = jobGuard(queue, claimed.id, key, this.#env.nowMs());
    const place = `${database.name} ${guard.consumer}`;
    this.#applied ??= new Set();
    if (this.#applied.has(place)) throw appliedTwiceError(queue, claimed.id, database.name);
    this.#applied.add(place);
    this.signal.throwIfAborted();
    return database.at(key).writeOnce(guard, run);
  }
}

/** The consumer of a job's guard begins so; then follow the name of the queue, a colon, and the id of the job. */
export const jobGuardsPrefix = "job:";

/** Guards of a queue's jobs begin so, and then follows the id of the job. */
export function jobGuardPrefix(queue: string): string {
  return `${jobGuardsPrefix}${queue}:`;
}

/** Its mark is when it was made: whoever sweeps leaves young guards alone. */
function jobGuard(queue: string, id: string, key: ShardKey, nowMs: number): EffectGuard {
  const parts = Array.isArray(key) ? key.map(String) : [String(key)];
  // A digest, because the guard is part of an index, and keys may be long.
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);
  return {
    consumer: `${jobGuardPrefix(queue)}${id}:${digest}`,
    partition: 0,
    sequence: 1n,
    mark: String(nowMs),
  };
}

function appliedTwiceError(queue: string, id: string, database: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `queue "${queue}", job ${id}: job.apply was called twice for one key of database "${database}". A job is applied once for a key, so the second would do nothing: do both in one apply.`,
    { data: { queue, id, database } },
  );
}
