/**
 * What a client gets to see of an error: a status, a code and a message, and nothing internal.
 *
 * Errors that say what the client did wrong keep their message; of all others only what the client can do is
 * told, because messages may name hosts, tables and keys. Whatever escaped a handler carries no outcome: the handler
 * may have applied something before it failed.
 */
import { escapeHeaders, HoldfastError } from "../../call/index.ts";

const statusOfCode: Readonly<Record<string, number>> = {
  HOLDFAST_INPUT_INVALID: 400,
  HOLDFAST_WRITE_LOST: 409,
  HOLDFAST_LOOKUP_TAKEN: 409,
  HOLDFAST_VERSION_CONFLICT: 412,
  HOLDFAST_IDEMPOTENCY_MISMATCH: 422,
  HOLDFAST_LOOKUP_BUSY: 503,
  HOLDFAST_OVERLOADED: 503,
  HOLDFAST_UNAVAILABLE: 503,
  HOLDFAST_CONNECTION_LOST: 503,
  HOLDFAST_RETRIES_EXHAUSTED: 503,
  HOLDFAST_ABORTED: 503,
  HOLDFAST_DEADLINE: 504,
  HOLDFAST_ATTEMPT_TIMEOUT: 504,
};

const unavailable =
  "The service cannot do this now. Part of it may have taken effect: check before you repeat it.";
const tooLate = "The service took too long. The request may have taken effect: check before you repeat it.";

/** Seconds that a client is asked to wait before it tries again. */
const retryAfterSeconds = 1;

/** The status that stands for `error`: 500 unless it is a Holdfast error that says more. */
export function errorStatus(error: unknown): number {
  return error instanceof HoldfastError ? (statusOfCode[error.code] ?? 500) : 500;
}

/**
 * The answer to a request whose handler threw `error`. The server of a service gives it by itself; frameworks
 * that catch errors before it can are told in one line: `app.onError((error) => errorResponse(error))`.
 */
export function errorResponse(error: unknown): Response {
  const status = errorStatus(error);
  const headers: Record<string, string> = { "cache-control": "no-store", ...escapeHeaders(error) };
  if (status === 503) headers["retry-after"] = String(retryAfterSeconds);
  return Response.json({ error: describe(error, status) }, { status, headers });
}

function describe(error: unknown, status: number): Record<string, unknown> {
  if (!(error instanceof HoldfastError) || status === 500) {
    return { code: "internal", message: "The service failed. The cause is in its log." };
  }
  if (status < 500) return { code: error.code, message: error.message, ...fieldOf(error) };
  return { code: error.code, message: status === 503 ? unavailable : tooLate };
}

function fieldOf(error: HoldfastError): { field?: string } {
  return typeof error.data.field === "string" ? { field: error.data.field } : {};
}
