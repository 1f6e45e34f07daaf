/**
 * What to do with a batch that does not work: a pure step.
 *
 * 1. The batch as a whole gets its attempts, with growing pauses.
 * 2. Then it is halved. A piece with several messages gets one attempt before it is halved again, so that the message
 *    that does it is found in about twice as many attempts as the batch has binary digits; what is innocent is applied.
 * 3. A message that fails alone gets a few attempts more, and is put aside: the partition goes on.
 *
 * Which failures count is decided by the outcome. What was refused because something is away or busy (`not-applied`,
 * and not permanent) says nothing against a message: it is tried again for as long as it takes. What will fail the
 * same way every time (permanent, and certainly not applied) is not tried again. Whatever else escapes a handler
 * counts, and so does an attempt whose end nobody told: a message that kills its process is poison too.
 */
import { HoldfastError, isPermanent, outcomeOf } from "../../call/index.ts";
import type { BatchFailure } from "../topic/index.ts";

export interface RetryRule {
  /** Attempts of a whole batch. */
  readonly attemptsMax: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/** What a failure says of the batch. */
export type FailureKind = "passing" | "counted" | "permanent";

/** Of a message that fails alone in the end. */
export const aloneAttemptsMax = 3;

/** Permanent, but of the program or the system and not of a message: all messages would fail the same way. */
const notOfMessages: ReadonlySet<string> = new Set([
  "HOLDFAST_UNBOUND",
  "HOLDFAST_OPTIONS_INVALID",
  "HOLDFAST_SYSTEM_INVALID",
  "HOLDFAST_SCHEMA_INCOMPATIBLE",
  "HOLDFAST_SQL_PERMISSION",
  "HOLDFAST_POOLER",
  "HOLDFAST_HOSTS_CONFLICT",
  "HOLDFAST_INSTALL_NEWER",
  "HOLDFAST_CROSS_SHARD_REFUSED",
  "HOLDFAST_DISK_FULL",
  "HOLDFAST_WRITE_LOST",
  "HOLDFAST_FENCED",
]);

/** Permanent for the call that they ended: the next attempt is another call. */
const ofTheCall: ReadonlySet<string> = new Set([
  "HOLDFAST_DEADLINE",
  "HOLDFAST_ABORTED",
  "HOLDFAST_RETRIES_EXHAUSTED",
]);

export function failureKind(error: unknown): FailureKind {
  if (!(error instanceof HoldfastError)) return "counted";
  if (notOfMessages.has(error.code)) return "passing";
  if (outcomeOf(error) !== "not-applied" || ofTheCall.has(error.code)) return "counted";
  return isPermanent(error) ? "permanent" : "passing";
}

export function failureOf(error: unknown): BatchFailure {
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: error instanceof HoldfastError ? error.code : "ERROR",
    message: message.slice(0, 4_000).replaceAll("\0", "�"),
    outcome: outcomeOf(error),
  };
}

/** The failure of an attempt that was begun and whose end nobody told. */
export const diedFailure: BatchFailure = {
  code: "DIED",
  message:
    "The process ended, or lost its lease, while it handled this message, each time: see its log, and the kernel's (out of memory?).",
  outcome: "unknown",
};

export interface PoisonState {
  readonly kind: FailureKind;
  /** Attempts that counted, with the one that has just failed. */
  readonly attempts: number;
  /** Failures in a row in this process, also those that do not count. */
  readonly failures: number;
  readonly messages: number;
  readonly isolating: boolean;
  readonly retry: RetryRule;
  readonly onPoison: "dead-letter" | "stop-partition";
  /** In [0, 1). */
  readonly random: number;
}

export type PoisonStep =
  | { readonly kind: "again"; readonly afterMs: number; readonly stopped: boolean }
  | { readonly kind: "halve" }
  | { readonly kind: "bury" };

export function poisonStep(state: PoisonState): PoisonStep {
  const { kind, messages, onPoison } = state;
  const again = (stopped: boolean, failures: number): PoisonStep => ({
    kind: "again",
    afterMs: pauseMs(state, failures),
    stopped,
  });
  if (kind === "passing") return again(false, state.failures);
  if (kind === "counted" && state.attempts < attemptsOf(state)) return again(false, state.attempts);
  if (messages > 1) return { kind: "halve" };
  return onPoison === "dead-letter" ? { kind: "bury" } : again(true, Number.POSITIVE_INFINITY);
}

/** How many attempts the batch gets before it is halved or put aside. */
export function attemptsOf({
  messages,
  isolating,
  retry,
}: Pick<PoisonState, "messages" | "isolating" | "retry">): number {
  if (!isolating) return retry.attemptsMax;
  return messages > 1 ? 1 : Math.min(retry.attemptsMax, aloneAttemptsMax);
}

/** Exponential, with jitter over its upper half: never hot, never all at once. */
function pauseMs({ retry: { baseMs, capMs }, random }: PoisonState, failures: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30)) * (0.5 + random / 2);
}
