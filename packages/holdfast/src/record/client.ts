/**
 * A client whose operations are recorded. After an unknown outcome its process number retires, because that
 * operation may still be under way: the client goes on under a new one.
 */
import { outcomeOf } from "../call/index.ts";
import type { HistoryEvent } from "../check/history/event.ts";

export interface RecordedOperation {
  /** What is done, such as `read`, `write`, `cas`, `txn`. */
  readonly f: string;
  /** Its argument. */
  readonly value?: unknown;
  /** The object it is done to. */
  readonly key?: unknown;
}

/** What a client writes to. */
export interface EventRecord {
  newProcess(): number;
  record(event: Pick<HistoryEvent, "type" | "process" | "f" | "value" | "key" | "error">): void;
}

export class RecordedClient {
  readonly #recorder: EventRecord;
  #process: number;
  #open: RecordedOperation | undefined;

  constructor(recorder: EventRecord) {
    this.#recorder = recorder;
    this.#process = recorder.newProcess();
  }

  /** The number that the next operation, or the one under way, is recorded under. */
  get process(): number {
    return this.#process;
  }

  /** Right before the operation begins. */
  invoke(f: string, value: unknown = null, key?: unknown): void {
    if (this.#open)
      throw new Error(
        `process ${this.#process} invokes ${f} while its ${this.#open.f} is under way: one operation at a time for each client`,
      );
    const operation = { f, value, ...(key === undefined ? {} : { key }) };
    this.#recorder.record({ type: "invoke", process: this.#process, ...operation });
    this.#open = operation;
  }

  /** It took effect, and answered with `value`. Default: what it was invoked with. */
  ok(value?: unknown): void {
    this.#end("ok", value);
  }

  /** It certainly took no effect. */
  fail(error?: unknown): void {
    this.#end("fail", undefined, error);
  }

  /** Nobody knows. */
  info(error?: unknown): void {
    this.#end("info", undefined, error);
    this.#process = this.#recorder.newProcess();
  }

  /**
   * Records what `run` does. Its result is the answer; what it throws is recorded by its outcome (see `outcomeOf`)
   * and thrown on.
   *
   * @param answer what to record of the result. Default: all of it
   */
  async run<T>(
    operation: RecordedOperation,
    run: () => Promise<T>,
    answer: (result: T) => unknown = (result) => result,
  ): Promise<T> {
    this.invoke(operation.f, operation.value, operation.key);
    let result: T;
    try {
      result = await run();
    } catch (error) {
      if (outcomeOf(error) === "not-applied") this.fail(errorText(error));
      else this.info(errorText(error));
      throw error;
    }
    this.ok(answer(result));
    return result;
  }

  #end(type: "ok" | "fail" | "info", value?: unknown, error?: unknown): void {
    const open = this.#open;
    if (!open) throw new Error(`process ${this.#process} ends an operation that it has not invoked`);
    this.#open = undefined;
    this.#recorder.record({
      ...{ type, process: this.#process, f: open.f },
      value: value === undefined ? open.value : value,
      ...(open.key === undefined ? {} : { key: open.key }),
      ...(error === undefined ? {} : { error }),
    });
  }
}

export function errorText(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return [code, message].filter((part) => typeof part === "string").join(": ") || String(error);
}
