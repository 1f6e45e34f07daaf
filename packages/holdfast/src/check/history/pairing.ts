/**
 * From events to operations: each invocation meets its end. What makes no sense (an end without a beginning, a
 * process that begins twice or goes on after an unknown outcome) is gathered and told at once.
 */
import type { HistoryEvent, Operation } from "./event.ts";
import { type HistoryProblem, HistoryUnreadableError } from "./history-error.ts";
import { splitIndependent } from "./independent.ts";

export interface PairedHistory {
  /** Of client processes, in the order of their invocations. */
  readonly operations: readonly Operation[];
  /** What witnesses of faults said, such as `nemesis`. */
  readonly faults: readonly HistoryEvent[];
  /** How many events there were. */
  readonly events: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface PairingOptions {
  /**
   * Whether a process may go on after an operation of unknown outcome, as recorders do that do not renumber their
   * clients. Default false: where the order of a process counts, nobody knows whether it kept it.
   */
  readonly goOnAfterInfo?: boolean;
}

export class Pairing {
  events = 0;
  readonly #goOnAfterInfo: boolean;
  readonly #operations: Mutable<Operation>[] = [];
  readonly #faults: HistoryEvent[] = [];
  readonly #open = new Map<number, Mutable<Operation>>();
  readonly #retired = new Map<number, string>();
  readonly #problems: HistoryProblem[] = [];

  constructor({ goOnAfterInfo = false }: PairingOptions = {}) {
    this.#goOnAfterInfo = goOnAfterInfo;
  }

  /** @param line of the file, for messages */
  add(event: HistoryEvent, line?: number): void {
    this.events++;
    if (typeof event.process !== "number") this.#faults.push(event);
    else if (event.type === "invoke") this.#begin(event, event.process, line);
    else this.#end(event, event.process, line);
  }

  /** @throws {HistoryUnreadableError} when something made no sense */
  end(source: string): PairedHistory {
    if (this.#problems.length > 0) throw new HistoryUnreadableError(source, this.#problems);
    return {
      operations: splitIndependent(this.#operations),
      faults: this.#faults,
      events: this.events,
    };
  }

  #begin(event: HistoryEvent, process: number, line?: number): void {
    const open = this.#open.get(process);
    if (open) {
      this.#wrong(
        event,
        line,
        `process ${process} invokes ${event.f} while its ${open.f} (event ${open.callIndex}) is still under way; each process does one operation at a time`,
      );
      return;
    }
    const retired = this.#retired.get(process);
    if (retired !== undefined && !this.#goOnAfterInfo) {
      this.#wrong(
        event,
        line,
        `process ${process} invokes ${event.f} after its ${retired} had an unknown outcome (info); that may still be under way, so the client goes on under a new process number`,
      );
      return;
    }
    const operation: Mutable<Operation> = {
      process,
      f: event.f,
      key: event.key,
      input: event.value,
      output: undefined,
      outcome: "info",
      callIndex: event.index,
      returnIndex: Number.POSITIVE_INFINITY,
      callNs: event.timeNs,
      returnNs: Number.POSITIVE_INFINITY,
    };
    this.#operations.push(operation);
    this.#open.set(process, operation);
  }

  #end(event: HistoryEvent, process: number, line?: number): void {
    const open = this.#open.get(process);
    if (!open) {
      this.#wrong(
        event,
        line,
        `process ${process} ends ${event.f} (${event.type}) without having invoked it`,
      );
      return;
    }
    if (open.f !== event.f) {
      this.#wrong(
        event,
        line,
        `process ${process} ends ${event.f}, but what it has under way is ${open.f} (event ${open.callIndex})`,
      );
      return;
    }
    this.#open.delete(process);
    if (event.type === "info") {
      this.#retired.set(process, `${event.f} (event ${open.callIndex})`);
      return;
    }
    open.outcome = event.type as "ok" | "fail";
    open.returnIndex = event.index;
    open.returnNs = event.timeNs;
    if (event.type === "ok") open.output = event.value;
  }

  #wrong(event: HistoryEvent, line: number | undefined, problem: string): void {
    const place = line === undefined ? { problem: `event ${event.index}: ${problem}` } : { line, problem };
    this.#problems.push(place);
  }
}

/** Pairs events that are in memory already. @throws {HistoryUnreadableError} */
export function pairEvents(
  events: Iterable<HistoryEvent>,
  source = "given",
  options: PairingOptions = {},
): PairedHistory {
  const pairing = new Pairing(options);
  for (const event of events) pairing.add(event);
  return pairing.end(source);
}
