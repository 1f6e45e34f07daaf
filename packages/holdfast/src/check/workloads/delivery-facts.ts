/** What a history of deliveries says of each message: who put it in, which attempts it had, and where it is in the end. */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";

const puts = ["enqueue", "publish"];
/** Reads at the end; each lists messages. */
const places = ["effects", "done", "dead-letters", "pending"] as const;

export type DeliveryPlace = (typeof places)[number];

export const deliveryFunctions: readonly string[] = [...puts, "attempt", ...places];

/** An attempt's number; or several, the first of which counts most: `[epoch, try]`. */
export type AttemptNumber = number | readonly number[];

export interface AttemptValue {
  readonly attempt: AttemptNumber;
  readonly messages: readonly unknown[];
}

export interface DeliveryMessage {
  readonly id: unknown;
  readonly puts: Operation[];
  readonly attempts: Operation[];
  /** Positions in the read of effects. */
  readonly effects: number[];
  /** The reads that list it. */
  readonly places: Map<DeliveryPlace, Operation>;
}

export interface DeliveryFacts {
  readonly messages: ReadonlyMap<unknown, DeliveryMessage>;
  /** The last read of each place that was answered. */
  readonly reads: ReadonlyMap<DeliveryPlace, Operation>;
}

export function deliveryFacts(operations: readonly Operation[]): DeliveryFacts {
  const messages = new Map<unknown, DeliveryMessage>();
  const reads = new Map<DeliveryPlace, Operation>();
  const of = (id: unknown): DeliveryMessage => {
    const key = identity(id);
    const known = messages.get(key);
    if (known) return known;
    const message: DeliveryMessage = { id, puts: [], attempts: [], effects: [], places: new Map() };
    messages.set(key, message);
    return message;
  };
  for (const operation of operations) {
    const { f, input, outcome } = operation;
    if (puts.includes(f)) of(input).puts.push(operation);
    else if (f === "attempt")
      for (const id of (input as AttemptValue).messages) of(id).attempts.push(operation);
    else if (outcome === "ok") reads.set(f as DeliveryPlace, operation);
  }
  for (const [place, read] of reads) {
    for (const [position, id] of listOf(read).entries()) {
      const message = of(id);
      message.places.set(place, read);
      if (place === "effects") message.effects.push(position);
    }
  }
  return { messages, reads };
}

/** Which of two attempts is the higher one: positive when `a` is. */
export function attemptOrder(a: Operation, b: Operation): number {
  const [one, other] = [numbersOf(a), numbersOf(b)];
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Values that are not what the checker reads. */
export function deliveryProblems(operations: readonly Operation[]): HistoryProblem[] {
  return operations.flatMap(({ f, input, output, outcome, callIndex }) => {
    if (f === "attempt" && !isAttempt(input)) {
      return [
        {
          problem: `event ${callIndex}: the value of an attempt should be {"attempt": 1, "messages": [...]}, where attempt is a number or a list of numbers; got ${shownValue(input)}`,
        },
      ];
    }
    if (
      places.includes(f as DeliveryPlace) &&
      outcome === "ok" &&
      output !== null &&
      !Array.isArray(output)
    ) {
      return [
        {
          problem: `event ${callIndex}: ${f} should answer with a list of messages; got ${shownValue(output)}`,
        },
      ];
    }
    return [];
  });
}

function isAttempt(value: unknown): value is AttemptValue {
  if (typeof value !== "object" || value === null) return false;
  const { attempt, messages } = value as Partial<AttemptValue>;
  const numbers = Array.isArray(attempt) ? attempt : [attempt];
  return Array.isArray(messages) && numbers.length > 0 && numbers.every((number) => Number.isFinite(number));
}

function numbersOf({ input }: Operation): readonly number[] {
  const { attempt } = input as AttemptValue;
  return typeof attempt === "number" ? [attempt] : attempt;
}

function listOf({ output }: Operation): readonly unknown[] {
  return (output ?? []) as readonly unknown[];
}
