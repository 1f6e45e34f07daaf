/**
 * Logs what the parts report at the seam: failures, slow operations, and on `debug` everything. What a caller threw
 * to undo its own transaction is its answer, no failure: whoever it is thrown to decides what it is worth.
 *
 * One broken database fails thousands of operations a second, and one that is overloaded makes thousands of
 * them slow. Of those that are alike (part, operation, code) only the first few in each ten seconds are written,
 * and how many more there were.
 */
import { HoldfastError, type OperationEnd, type Seam } from "../call/index.ts";
import type { Logger } from "./logger.ts";

export interface LogOperationsOptions {
  /** An operation that takes at least this long is written as a warning, in milliseconds. Default 1_000. */
  readonly slowMs?: number;
}

export const logOperationsDefaults = { slowMs: 1_000 } as const;

const alikeMax = 5;
const windowMs = 10_000;
/** Kinds of failures and slow operations told apart in one window; beyond it they count as one kind. */
const kindsMax = 1_000;

/** @returns how to stop */
export function logOperations(seam: Seam, logger: Logger, options: LogOperationsOptions = {}): () => void {
  const slowMs = options.slowMs ?? logOperationsDefaults.slowMs;
  const quiet = quietly(logger);
  const stop = seam.observe({
    end(operation) {
      const fields = () => fieldsOf(operation);
      const what = `${operation.kind} ${operation.operation}`;
      if (operation.error !== undefined) {
        // Refused for good before anything happened: the caller's mistake, which the caller hears of.
        const refused = operation.outcome === "not-applied" && isPermanent(operation.error);
        if (operation.undone) logger.debug(`${what} undone by its caller`, fields());
        else if (refused) logger.debug(`${what} refused`, fields());
        else if (quiet.admits(operation)) logger.warn(`${what} failed`, fields());
      } else if (operation.durationMs >= slowMs) {
        if (quiet.admits(operation)) logger.warn(`${what} was slow`, fields());
      } else if (logger.writes("debug")) {
        logger.debug(what, fields());
      }
    },
  });
  return () => {
    stop();
    quiet.tell();
  };
}

function fieldsOf({ part, outcome, durationMs, error, attributes, call }: OperationEnd) {
  return {
    part,
    outcome,
    durationMs: Math.round(durationMs * 10) / 10,
    ...attributes,
    ...(call ? { traceId: call.trace.traceId, spanId: call.trace.spanId } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

function isPermanent(error: unknown): boolean {
  return error instanceof HoldfastError && error.permanent && error.code !== "HOLDFAST_DEADLINE";
}

function quietly(logger: Logger) {
  const { clock } = logger;
  let seen = new Map<string, { count: number; part: string }>();
  let windowEndMs = clock.monotonicMs() + windowMs;
  const tell = () => {
    for (const [what, { count, part }] of seen) {
      if (count <= alikeMax) continue;
      logger.warn(`${count - alikeMax} more like this in ${windowMs / 1_000} s: ${what}`, { part });
    }
    seen = new Map();
  };
  return {
    tell,
    admits({ kind, part, operation, error }: OperationEnd): boolean {
      const nowMs = clock.monotonicMs();
      if (nowMs >= windowEndMs) {
        tell();
        windowEndMs = nowMs + windowMs;
      }
      const code =
        error instanceof HoldfastError ? error.code : error instanceof Error ? error.name : "thrown value";
      const end = error === undefined ? "was slow" : code;
      const what = seen.size < kindsMax ? `${kind} ${part} ${operation}: ${end}` : "others";
      const alike = seen.get(what) ?? { count: 0, part };
      seen.set(what, alike);
      return ++alike.count <= alikeMax;
    },
  };
}
